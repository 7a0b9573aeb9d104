//! From the Runtime API to a handler and back.

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Failure, telemetry};

/// When an invocation must have answered.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `left` ahead.
    pub fn after(left: Duration) -> Self {
        Deadline(Instant::now() + left)
    }

    /// How much time is left; zero if it has passed.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// What a handler knows of its invocation.
#[derive(Clone, Debug)]
pub struct Call {
    /// The invocation's id, for logs.
    pub request_id: String,
    /// When it must have answered.
    pub deadline: Deadline,
}

/// Serves invocations one after another: `handler` gets the event's raw JSON, so that each function parses no more
/// of it than it needs, and as leniently as it needs.
pub async fn serve<R: Serialize>(
    handler: impl AsyncFn(&str, Call) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let left = left(event.context.deadline(), SystemTime::now());
        let call = Call { request_id: event.context.request_id, deadline: Deadline::after(left) };
        let request_id = call.request_id.clone();
        let answer = handler(event.payload.get(), call).await;
        if let Err(failure) = &answer {
            tracing::error!(request_id, word = failure.word(), "{failure}");
        }
        answer
    }))
    .await
    .map_err(|why| Failure::Busy(format!("the Lambda runtime ended: {why}")))
}

/// The time until `deadline`. Lambda delivers nothing after its deadline; `cargo lambda` names one in 1970.
fn left(deadline: SystemTime, now: SystemTime) -> Duration {
    deadline.duration_since(now).unwrap_or(Duration::from_secs(60))
}

/// Runs a function's `main`: logs are set up first; a failure to start is logged, reported to the Runtime API with
/// its word, and ends the process with status 1.
pub async fn run(main: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let vars = crate::vars();
    let level = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"].iter().find_map(|name| vars.get(*name));
    telemetry::init(level.map_or("info", String::as_str));
    match main.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(word = failure.word(), "{failure}");
            if let Some(api) = vars.get("AWS_LAMBDA_RUNTIME_API") {
                // The log holds the reason already; the report only adds the word to Lambda's answer.
                let _ = report(api, failure);
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells the Runtime API why the function could not start. `lambda_runtime` keeps its own request for this private.
/// See "Runtime API: initialization error" in the Lambda developer guide.
fn report(api: &str, failure: Failure) -> std::io::Result<()> {
    let Diagnostic { error_type, error_message } = failure.into();
    let body =
        serde_json::json!({"errorType": error_type, "errorMessage": error_message}).to_string();
    let api = api.trim_start_matches("http://");
    let (host, base) =
        api.split_once('/').map_or((api, String::new()), |(h, b)| (h, format!("/{b}")));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    write!(
        stream,
        "POST {base}/2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {error_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut first = [0; 1];
    stream.read(&mut first).map(|_| ()) // wait until it was taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_is_reported() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let api = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let mut got = 0;
            while !request[..got].ends_with(b"}") {
                got += stream.read(&mut request[got..]).unwrap();
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
            String::from_utf8(request[..got].to_vec()).unwrap()
        });
        report(&format!("{api}/f"), Failure::Config("LEAT_RECIPE is missing".into())).unwrap();
        let request = server.join().unwrap();
        assert!(
            request.starts_with("POST /f/2018-06-01/runtime/init/error HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("Config.Invalid"), "{request}");
    }

    #[test]
    fn a_deadline_in_1970_is_none() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(left(now + Duration::from_secs(7), now), Duration::from_secs(7));
        let early = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(left(early, now), Duration::from_secs(60));
    }

    #[test]
    fn a_deadline_does_not_go_below_zero() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), Duration::ZERO);
    }
}
