//! The cases of the protocol, one by one.

use serde_json::json;

use super::world::{World, deadline, wanted};
use super::*;
use crate::starter::world::{Fault, poll, run};
use crate::tasks::Told;

fn started(number: usize) -> Result<Going, Failure> {
    let run_id = Some(format!("jr_{number}"));
    Ok(Going { job: "features".into(), run_id, state: "STARTED".into() })
}

fn good(number: usize) -> Told {
    let run = format!("jr_{number}");
    Told::Success(json!({"job": "features", "run_id": run, "state": "SUCCEEDED"}))
}

fn word(told: &[Told]) -> Vec<&str> {
    let word = told.iter().map(|told| match told {
        Told::Failure(word, _) => word.as_str(),
        Told::Success(_) => "success",
        Told::Beat => "beat",
    });
    word.collect()
}

#[test]
fn a_runs_end_resumes_the_workflow() {
    let world = World::new();
    assert_eq!(run(world.ask("A")), started(0));
    assert_eq!((world.tasks.told(), world.open()), (vec![], 1));
    assert_eq!(world.jobs.0.lock().unwrap().runs[0].claim, "task:run-1_Features:1");
    world.end(0, "SUCCEEDED", None);
    assert_eq!(run(world.callback(0)), Ok(true));
    assert_eq!(world.tasks.told_of("A"), [good(0)]);
    // The token is kept no longer, and nothing is open.
    assert_eq!((world.row().claim.token, world.open()), (None, 0));
    // The same event once more.
    assert_eq!(run(world.callback(0)), Ok(false));
    assert_eq!(world.tasks.told().len(), 1);
    assert_eq!(run(world.reconcile()), Reconciled::default());
}

#[test]
fn a_failed_run_fails_by_its_own_word() {
    for (end, error, want, part) in [
        (
            "FAILED",
            Some("Failed: DataQuality.Failed: unit u is refused by 1 rule(s)"),
            "DataQuality.Failed",
            "ended FAILED: unit u is refused",
        ),
        (
            "FAILED",
            Some("Error Category: X; Failed: Input.Invalid: a key leads out\n  at line 7: secret"),
            "Input.Invalid",
            "a key leads out",
        ),
        ("FAILED", Some("Failed: Recipe.Invalid: no step"), "Recipe.Invalid", "no step"),
        (
            "FAILED",
            Some("Failed: Config.Invalid: no key. Service.Busy"),
            "Config.Invalid",
            "no key",
        ),
        ("FAILED", Some("An error occurred: card 4000 0001"), "Service.Busy", "its log says why"),
        ("TIMEOUT", None, "Service.Busy", "ended TIMEOUT"),
        ("STOPPED", None, "Config.Invalid", "somebody stopped it"),
    ] {
        let world = World::new();
        run(world.ask("A")).unwrap();
        world.end(0, end, error);
        assert_eq!(run(world.callback(0)), Ok(true));
        let told = world.tasks.told_of("A");
        let [Told::Failure(word, cause)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(word, want);
        assert!(cause.contains(part) && cause.contains("`jr_0`"), "{cause}");
        assert!(!cause.contains("4000") && !cause.contains("secret"), "{cause}");
    }
}

#[test]
fn an_end_before_the_id_is_stored_resumes_it() {
    let world = World::new();
    let mut asking = Box::pin(world.ask("A"));
    while world.runs() == 0 {
        assert!(poll(&mut asking, 1).is_none());
    }
    assert_eq!(world.row().state, TaskState::Claimed);
    world.end(0, "SUCCEEDED", None);
    assert_eq!(run(world.callback(0)), Ok(true));
    assert_eq!(world.tasks.told_of("A"), [good(0)]);
    // Who started it wants to store the run's id now: it must not open the task again.
    assert_eq!(poll(&mut asking, 1_000_000).unwrap(), started(0));
    assert!(matches!(world.row().state, TaskState::Ended { .. }));
    assert_eq!(run(world.reconcile()), Reconciled::default());
}

#[test]
fn an_end_that_no_event_told_of_is_found() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    assert_eq!(run(world.reconcile()), Reconciled { open: 1, ..Reconciled::default() }); // it goes on
    world.end(0, "SUCCEEDED", None);
    assert_eq!(run(world.reconcile()), Reconciled { open: 1, ended: 1, problems: vec![] });
    assert_eq!(world.tasks.told_of("A"), [good(0)]);
}

#[test]
fn a_run_that_its_service_forgot_has_failed() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    world.jobs.0.lock().unwrap().runs[0].id = "purged".into();
    assert_eq!(run(world.reconcile()).ended, 1);
    assert_eq!(word(&world.tasks.told_of("A")), ["Service.Busy"]);
}

/// Dies after each number of steps in turn; the state is tried again with other tokens until one is accepted.
#[test]
fn a_starter_that_dies_is_succeeded() {
    for steps in 0.. {
        let world = World::new();
        let mut asking = Box::pin(world.ask("A"));
        if poll(&mut asking, steps).is_some() {
            assert!(steps > 10);
            break;
        }
        drop(asking);
        let mut accepted = None;
        for token in ["B", "C"] {
            match run(world.ask(token)) {
                Ok(going) => {
                    assert_eq!(going.state, "STARTED");
                    accepted = Some(token);
                    break;
                }
                Err(why) => assert_eq!(why.word(), "Service.Busy"),
            }
            world.tick(PATIENCE + 1);
        }
        assert_eq!(world.runs(), 1, "died after {steps} steps");
        world.end(0, "SUCCEEDED", None);
        run(world.callback(0)).unwrap();
        assert_eq!(world.tasks.told_of(accepted.unwrap()), [good(0)], "died after {steps} steps");
        assert_eq!((world.tasks.told().len(), world.open()), (1, 0));
    }
}

#[test]
fn a_call_that_timed_out_but_started_is_found_by_its_claim() {
    let world = World::new();
    world.faults(Fault::Unknown { started: true });
    assert_eq!(run(world.ask("A")).unwrap_err().word(), "Service.Busy");
    assert_eq!(run(world.ask("B")), started(0));
    world.end(0, "SUCCEEDED", None);
    run(world.callback(0)).unwrap();
    assert_eq!((world.tasks.told_of("B"), world.runs()), (vec![good(0)], 1));
}

#[test]
fn a_claim_is_left_alone_until_nobody_can_be_at_it() {
    let world = World::new();
    world.faults(Fault::Unknown { started: false });
    assert_eq!(run(world.ask("A")).unwrap_err().word(), "Service.Busy");
    world.tick(PATIENCE);
    assert_eq!(run(world.ask("B")).unwrap_err().word(), "Service.Busy");
    assert_eq!(world.runs(), 0);
    world.tick(1);
    assert_eq!(run(world.ask("C")), started(0));
    assert_eq!(world.jobs.0.lock().unwrap().runs[0].claim, "task:run-1_Features:2");
    assert_eq!(world.open(), 1);
}

#[test]
fn a_claim_of_the_dead_is_told_to_who_waits() {
    let world = World::new();
    world.faults(Fault::Unknown { started: false });
    run(world.ask("A")).unwrap_err();
    assert_eq!(run(world.reconcile()), Reconciled { open: 1, ..Reconciled::default() });
    world.tick(PATIENCE + 1);
    assert_eq!(run(world.reconcile()), Reconciled { open: 1, ended: 1, problems: vec![] });
    assert_eq!(word(&world.tasks.told_of("A")), ["Service.Busy"]);
    assert_eq!(world.open(), 0);
    assert_eq!(run(world.ask("B")), started(0));
}

#[test]
fn busy_claims_nothing() {
    let world = World::new();
    world.jobs.0.lock().unwrap().limit = 0;
    let why = run(world.ask("A")).unwrap_err();
    assert_eq!((why.word(), world.open()), ("Service.Busy", 0));
    world.jobs.0.lock().unwrap().limit = 1;
    assert_eq!(run(world.ask("B")), started(0));
}

#[test]
fn a_wrong_job_is_told_and_mended() {
    let world = World::new();
    world.faults(Fault::Refused);
    let why = run(world.ask("A")).unwrap_err();
    assert_eq!((why.word(), world.open()), ("Config.Invalid", 0));
    assert_eq!(run(world.ask("B")), started(0));
}

#[test]
fn the_same_name_is_the_same_run() {
    let world = World::new();
    assert_eq!(run(world.ask("A")), started(0));
    assert_eq!(run(world.ask("A")), started(0)); // the same call twice
    assert_eq!(run(world.ask("B")), started(0)); // the state is tried again
    world.end(0, "SUCCEEDED", None);
    run(world.callback(0)).unwrap();
    assert_eq!((world.tasks.told_of("A"), world.tasks.told_of("B")), (vec![], vec![good(0)]));
    // And again, after the end: told at once.
    let going = run(world.ask("C")).unwrap();
    assert_eq!((going.run_id.as_deref(), going.state.as_str()), (Some("jr_0"), "SUCCEEDED"));
    assert_eq!(world.tasks.told_of("C"), [good(0)]);
    // Without a token, too.
    assert_eq!(run(world.awaited().start(&wanted(None), "d", deadline())), Ok(going));
    assert_eq!(world.runs(), 1);
}

#[test]
fn one_name_stands_for_one_order() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    let mut other = wanted(Some("B"));
    other.arguments.insert("--x".into(), "y".into());
    let why = run(world.awaited().start(&other, "B", deadline())).unwrap_err();
    assert_eq!(why.word(), "Input.Invalid");
}

#[test]
fn after_a_failure_was_told_the_next_token_begins_another_attempt() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    world.end(0, "FAILED", None);
    run(world.callback(0)).unwrap();
    // The same call twice: its task has ended.
    let going = run(world.ask("A")).unwrap();
    assert_eq!((going.state.as_str(), world.runs()), ("FAILED", 1));
    assert_eq!(run(world.ask("B")), started(1));
    // The first run's end comes once more, late: it is none of the second's.
    assert_eq!(run(world.callback(0)), Ok(false));
    world.end(1, "SUCCEEDED", None);
    run(world.callback(1)).unwrap();
    assert_eq!(word(&world.tasks.told_of("A")), ["Service.Busy"]);
    assert_eq!(world.tasks.told_of("B"), [good(1)]);
}

#[test]
fn a_failure_that_nobody_heard_is_told_to_the_next() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    world.forget("A");
    world.end(0, "FAILED", None);
    assert_eq!(run(world.callback(0)), Ok(true)); // nobody waits: that is no error
    let going = run(world.ask("B")).unwrap();
    assert_eq!((going.state.as_str(), world.runs()), ("FAILED", 1));
    assert_eq!(word(&world.tasks.told_of("B")), ["Service.Busy"]);
    assert_eq!(run(world.ask("C")), started(1));
}

/// The end is told while the state is tried again: whoever is ahead, the one that waits is told, once.
#[test]
fn an_end_and_a_repeat_at_the_same_time() {
    for steps in 0.. {
        let world = World::new();
        run(world.ask("A")).unwrap();
        world.end(0, "SUCCEEDED", None);
        let mut ending = Box::pin(world.callback(0));
        let ended = poll(&mut ending, steps);
        world.forget("A");
        let going = run(world.ask("B")).unwrap();
        assert_eq!(going.run_id.as_deref(), Some("jr_0"));
        let over = ended.is_some();
        if !over {
            poll(&mut ending, 1_000_000).unwrap().unwrap();
        }
        assert_eq!(world.tasks.told_of("B"), [good(0)], "after {steps} steps");
        assert_eq!((world.runs(), world.open()), (1, 0));
        if over {
            break;
        }
    }
}

#[test]
fn what_could_not_be_told_is_told_later() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    world.end(0, "SUCCEEDED", None);
    world.tasks.fail([Failure::Config("AccessDenied".into())]);
    assert_eq!(run(world.callback(0)).unwrap_err().word(), "Config.Invalid");
    assert_eq!((world.tasks.told(), world.open()), (vec![], 1));
    assert_eq!(run(world.reconcile()).ended, 1);
    assert_eq!(world.tasks.told_of("A"), [good(0)]);
    // A token that no state has, nor ever will, keeps nothing open.
    let world = World::new();
    run(world.ask("A")).unwrap();
    world.end(0, "SUCCEEDED", None);
    world.tasks.fail([Failure::Input("InvalidToken".into())]);
    assert_eq!(run(world.callback(0)), Ok(true));
    assert_eq!(world.open(), 0);
}

#[test]
fn ends_of_other_runs_are_none_of_ours() {
    let world = World::new();
    let end = |claim: Option<&str>| Run {
        claim: claim.map(Into::into),
        end: Some("SUCCEEDED".into()),
        error: None,
    };
    for claim in [None, Some("cards_20260101T000000Z-1_1"), Some("task:gone:1"), Some("task:")] {
        assert_eq!(run(world.awaited().ended("jr_0", &end(claim), deadline())), Ok(false));
    }
    assert_eq!(TaskRow::name_of("task:a:12"), Some("a"));
    assert_eq!(Claim::parts("task:run_x_1:1").map(|(set, _)| set), Some("task:run"));
}

#[test]
fn rows_read_back() {
    let world = World::new();
    run(world.ask("A")).unwrap();
    let text = serde_json::to_value(world.row()).unwrap();
    assert_eq!((&text["state"], &text["claim"]["token"]), (&json!("running"), &json!("A")));
}
