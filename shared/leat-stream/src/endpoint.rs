//! The endpoint: rows of features to predictions, in packed, bounded, concurrent calls.

mod sagemaker;

use std::collections::VecDeque;
use std::ops::Range;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use leat_aws::{Deadline, Failure, back_off, within};
pub use sagemaker::SageMaker;

/// Rows of a call, at most.
const ROWS: usize = 500;
/// Bytes of a call, at most. The API takes 6,291,456.
const BYTES: usize = 5_000_000;
/// Calls at a time.
const CALLS: usize = 4;
/// How often a call is made again while the endpoint is busy.
const ATTEMPTS: u32 = 5;

/// Why an endpoint gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The model refuses this payload (its own status is 4xx), and will refuse it again.
    Payload(String),
    /// The call failed; whether it may succeed later is the failure's to say.
    Call(Failure),
}

/// Something that predicts.
pub trait Endpoint {
    /// Sends `csv` (rows without a header) to the endpoint `name` and gives its answer. `id` names the call in the
    /// endpoint's logs.
    async fn invoke(&self, name: &str, csv: Vec<u8>, id: &str) -> Result<Vec<u8>, Refusal>;
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The prediction.
    Prediction(f64),
    /// The model refuses the row, and will refuse it again.
    Refused(String),
    /// There was no answer: the row has to come again.
    Failed(Failure),
}

/// Asks the endpoint `name` for a prediction of each of `rows` (CSV lines with their line ends), in order. A pack
/// that the model refuses is halved down to the row. It gives up before the deadline.
pub async fn score(
    endpoint: &impl Endpoint,
    name: &str,
    rows: &[Vec<u8>],
    id: &str,
    deadline: Deadline,
) -> Vec<Outcome> {
    let late = Outcome::Failed(Failure::Busy(format!("the endpoint {name}: no time left")));
    let mut outcomes = vec![late; rows.len()];
    let mut waiting: VecDeque<Range<usize>> = packs(rows).into();
    let mut calls = FuturesUnordered::new();
    loop {
        while calls.len() < CALLS && !deadline.left().is_zero() {
            let Some(pack) = waiting.pop_front() else { break };
            calls.push(call(endpoint, name, rows, pack, id, deadline));
        }
        let Some((pack, answer)) = calls.next().await else { return outcomes };
        match answer {
            Ok(predictions) => {
                for (outcome, prediction) in outcomes[pack].iter_mut().zip(predictions) {
                    *outcome = Outcome::Prediction(prediction);
                }
            }
            Err(Refusal::Payload(_)) if pack.len() > 1 => {
                let middle = pack.start + pack.len() / 2;
                waiting.push_front(middle..pack.end);
                waiting.push_front(pack.start..middle);
            }
            Err(Refusal::Payload(why)) => outcomes[pack.start] = Outcome::Refused(why),
            Err(Refusal::Call(why)) => outcomes[pack].fill(Outcome::Failed(why)),
        }
    }
}

async fn call(
    endpoint: &impl Endpoint,
    name: &str,
    rows: &[Vec<u8>],
    pack: Range<usize>,
    id: &str,
    deadline: Deadline,
) -> (Range<usize>, Result<Vec<f64>, Refusal>) {
    let id = format!("{id}-{}", pack.start);
    let mut attempt = 0;
    loop {
        let csv = rows[pack.clone()].concat();
        let asked = async { Ok(endpoint.invoke(name, csv, &id).await) };
        let answer = match within(deadline, &format!("the endpoint {name}"), asked).await {
            Ok(answer) => answer,
            Err(late) => Err(Refusal::Call(late)),
        };
        let predictions = answer.and_then(|body| predictions(name, &body, pack.len()));
        match predictions {
            Err(Refusal::Call(why)) if why.is_transient() && attempt + 1 < ATTEMPTS => {
                if !back_off(attempt, deadline).await {
                    return (pack, Err(Refusal::Call(why)));
                }
                attempt += 1;
            }
            done => return (pack, done),
        }
    }
}

/// The predictions in an answer: numbers with commas or line ends between. Another count than that of the rows fails
/// the call: a prediction is never given to the wrong row.
fn predictions(name: &str, body: &[u8], rows: usize) -> Result<Vec<f64>, Refusal> {
    let wrong = |what: String| Refusal::Call(Failure::Busy(format!("the endpoint {name} {what}")));
    let text = std::str::from_utf8(body).map_err(|_| wrong("answered what is not UTF-8".into()))?;
    let numbers: Vec<f64> = text
        .split([',', '\n', '\r', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| leat::number::parse(part).filter(|x| x.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("answered what is no list of numbers".into()))?;
    if numbers.len() != rows {
        return Err(wrong(format!("answered {} predictions for {rows} rows", numbers.len())));
    }
    Ok(numbers)
}

fn packs(rows: &[Vec<u8>]) -> Vec<Range<usize>> {
    let (mut packs, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, row) in rows.iter().enumerate() {
        if i > start && (i - start == ROWS || bytes + row.len() > BYTES) {
            packs.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes += row.len();
    }
    if start < rows.len() {
        packs.push(start..rows.len());
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::time::Duration;

    /// Predicts each row's own number; refuses packs with `bad`; first answers what is queued.
    #[derive(Default)]
    struct Twin {
        first: RefCell<VecDeque<Result<Vec<u8>, Refusal>>>,
        calls: RefCell<Vec<usize>>,
    }

    impl Endpoint for Twin {
        async fn invoke(&self, _: &str, csv: Vec<u8>, _: &str) -> Result<Vec<u8>, Refusal> {
            let text = String::from_utf8(csv).unwrap();
            self.calls.borrow_mut().push(text.lines().count());
            if let Some(answer) = self.first.borrow_mut().pop_front() {
                return answer;
            }
            if text.contains("bad") {
                return Err(Refusal::Payload("400".into()));
            }
            Ok(text.replace('\n', ",").into_bytes())
        }
    }

    fn rows(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|t| format!("{t}\n").into_bytes()).collect()
    }

    async fn ask(twin: &Twin, texts: &[&str]) -> Vec<Outcome> {
        score(twin, "e", &rows(texts), "r", Deadline::after(Duration::from_secs(60))).await
    }

    #[tokio::test]
    async fn a_refused_pack_is_halved_down_to_the_row() {
        let twin = Twin::default();
        let outcomes = ask(&twin, &["1", "2", "bad", "4", "5"]).await;
        let p = Outcome::Prediction;
        assert_eq!(outcomes, [p(1.0), p(2.0), Outcome::Refused("400".into()), p(4.0), p(5.0)]);
        assert_eq!(*twin.calls.borrow(), [5, 2, 3, 1, 2]);
    }

    #[tokio::test]
    async fn a_busy_endpoint_is_asked_again() {
        let twin = Twin::default();
        let busy = || Err(Refusal::Call(Failure::Busy("503".into())));
        twin.first.borrow_mut().extend([busy(), busy(), Ok(b"1,2,3".into())]);
        assert_eq!(ask(&twin, &["7"]).await, [Outcome::Prediction(7.0)]); // the count was wrong, once
        twin.first.borrow_mut().extend((0..9).map(|_| busy()));
        assert_eq!(ask(&twin, &["7"]).await, [Outcome::Failed(Failure::Busy("503".into()))]);
        let config = Err(Refusal::Call(Failure::Config("no such endpoint".into())));
        twin.first.borrow_mut().clear();
        twin.first.borrow_mut().push_back(config);
        assert_eq!(
            ask(&twin, &["7"]).await,
            [Outcome::Failed(Failure::Config("no such endpoint".into()))]
        );
    }

    #[tokio::test]
    async fn no_time_left() {
        let twin = Twin::default();
        let outcomes = score(&twin, "e", &rows(&["1"]), "r", Deadline::after(Duration::ZERO)).await;
        assert!(matches!(&outcomes[..], [Outcome::Failed(Failure::Busy(_))]));
        assert!(twin.calls.borrow().is_empty());
    }

    #[test]
    fn answers() {
        assert_eq!(predictions("e", b"0.5,0.25", 2), Ok(vec![0.5, 0.25]));
        assert_eq!(predictions("e", b"0.5\r\n1e-3\n", 2), Ok(vec![0.5, 0.001]));
        for bad in [b"0.5".as_slice(), b"", b"a,b", b"nan,1", b"\xff", b"1e999,1"] {
            assert!(predictions("e", bad, 2).is_err());
        }
    }

    #[test]
    fn calls_are_bounded() {
        assert!(packs(&[]).is_empty());
        assert_eq!(packs(&vec![b"1\n".to_vec(); 1001]), [0..500, 500..1000, 1000..1001]);
        assert_eq!(packs(&vec![vec![b'1'; 3_000_000]; 2]), [0..1, 1..2]);
        assert_eq!(packs(&[vec![b'1'; 9_000_000]]).first(), Some(&(0..1)));
    }
}
