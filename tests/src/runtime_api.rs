//! A Lambda Runtime API: runs one function's binary as its own process and hands it events.
//!
//! Source: "Using the Lambda runtime API for custom runtimes", AWS Lambda Developer Guide.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tiny_http::{Header, Method, Request, Response, Server};

/// What a function answered: its payload, or the error document that it reported.
pub type Answer = Result<Vec<u8>, String>;

/// A function's process behind a Runtime API of its own. It ends when this is dropped.
pub struct Function {
    child: Child,
    server: Arc<Server>,
    events: Sender<Vec<u8>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl Function {
    /// Starts `binary` with `variables` and nothing else of this process's environment but `PATH`.
    pub fn start(binary: &Path, variables: &[(&str, &str)]) -> Result<Function, String> {
        let server = Arc::new(Server::http("127.0.0.1:0").map_err(|e| format!("no port: {e}"))?);
        let address = server.server_addr().to_string();
        let (events, to_serve) = channel();
        let (answer, answers) = channel();
        let api = Arc::clone(&server);
        let thread = std::thread::spawn(move || serve(&api, &to_serve, &answer));
        let name = binary.file_name().unwrap_or_default();
        let child = Command::new(binary)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "local")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| format!("{}: {e}", binary.display()))?;
        Ok(Function { child, server, events, answers, thread: Some(thread) })
    }

    /// Hands `event` to the function and waits for its answer, a minute at most.
    pub fn invoke(&self, event: &[u8]) -> Answer {
        self.events.send(event.to_vec()).map_err(|_| "the Runtime API has ended".to_owned())?;
        self.answers
            .recv_timeout(Duration::from_secs(60))
            .map_err(|_| "no answer within a minute: did the function start?".to_owned())?
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The process first: its open long poll holds the server.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.server.unblock();
        let (unused, _) = channel();
        self.events = unused;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(server: &Server, events: &Receiver<Vec<u8>>, answers: &Sender<Answer>) {
    while let Ok(request) = server.recv() {
        let path = request.url().to_owned();
        let stop = match (request.method(), path.as_str()) {
            (Method::Get, "/2018-06-01/runtime/invocation/next") => match events.recv() {
                Ok(event) => respond(request, Response::from_data(event), 200),
                Err(_) => true,
            },
            (Method::Post, path) if path.ends_with("/response") => {
                take(request, |body| answers.send(Ok(body)).is_err())
            }
            (Method::Post, path) if path.ends_with("/error") => take(request, |body| {
                answers.send(Err(String::from_utf8_lossy(&body).into_owned())).is_err()
            }),
            _ => respond(request, Response::from_data(Vec::new()), 404),
        };
        if stop {
            return;
        }
    }
}

fn take(mut request: Request, send: impl FnOnce(Vec<u8>) -> bool) -> bool {
    let mut body = Vec::new();
    let read = std::io::Read::read_to_end(request.as_reader(), &mut body);
    let gone = respond(request, Response::from_data(b"{\"status\":\"OK\"}".to_vec()), 202);
    read.is_err() || gone || send(body)
}

/// Answers with an invocation's headers; true if the function has gone.
fn respond(request: Request, response: Response<std::io::Cursor<Vec<u8>>>, status: u16) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", (now.as_millis() + 60_000).to_string()),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:000000000000:function:local".to_owned(),
        ),
        ("Content-Type", "application/json".to_owned()),
    ];
    let response =
        headers.iter().fold(response.with_status_code(status), |response, (name, value)| {
            match Header::from_bytes(name.as_bytes(), value.as_bytes()) {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            }
        });
    request.respond(response).is_err()
}
