//! The cases of the protocol, one by one.

use super::world::{Fault, HALT, World, landed, poll, run};
use super::*;

#[test]
fn an_event_starts_one_run_and_its_publication_ends_it() {
    let world = World::new();
    assert_eq!(run(world.event("cards", 1)).started, 1);
    let [job] = &world.runs()[..] else { panic!() };
    assert_eq!((job.set.as_str(), job.claim.ends_with("_1")), ("cards", true));
    assert!(matches!(&run(world.open("cards"))[..], [State::Running { run, .. }] if run == "jr_0"));
    let object = run(world.starter.ledger.object("cards", &landed("cards", 1))).unwrap().unwrap();
    assert_eq!(object.manifest.as_ref(), Some(&job.manifest));

    run(world.publish(0));
    world.end(0, "SUCCEEDED");
    let reports = run(world.callback(0));
    assert_eq!(reports[0].done, 1);
    assert_eq!(run(world.open("cards")), []);
    let row = run(world.starter.ledger.manifest("cards", &job.manifest)).unwrap().unwrap();
    assert_eq!(row.says.state, State::Done);
    // The same end once more, and the same event.
    assert_eq!(run(world.callback(0)), [Report::default(), Report::default()]);
    assert_eq!(run(world.event("cards", 1)), Report::default());
}

#[test]
fn events_twice_and_late_are_one_object() {
    let world = World::new();
    run(world.event("cards", 1));
    run(world.event("cards", 1)); // twice
    run(world.publish(0));
    world.end(0, "SUCCEEDED");
    run(world.callback(0));
    world.tick(13 * 24 * 3600 * 1000);
    run(world.event("cards", 1)); // late
    assert_eq!(world.runs().len(), 1);
    assert_eq!(run(world.fates("cards")).into_values().collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn an_object_that_no_event_told_of_is_found_by_listing() {
    let mut world = World::new();
    // The clock of the world stands in 2026, that of the store is today's.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    world.starter.clock = Box::new(move || now.as_millis() as i64);
    for key in ["a.jsonl", "_SUCCESS", "_temporary/b.jsonl"] {
        run(world.lake.write(&format!("memory:lake/landing/cards/{key}"), "{}")).unwrap();
    }
    let set = world.set("cards");
    assert_eq!(run(world.starter.land_missed(set)), Ok(1));
    assert_eq!(run(world.starter.land_missed(set)), Ok(0));
    assert_eq!(run(world.hourly()).started, 1);
    let [row] = &run(world.starter.ledger.open("cards")).unwrap()[..] else { panic!() };
    let manifest = run(world.starter.zones.manifest(set, &row.says.id)).unwrap();
    let [object] = &manifest.objects[..] else { panic!() };
    assert_eq!(
        (object.key.as_str(), object.size, object.trusted),
        ("landing/cards/a.jsonl", 2, true)
    );
    // What was written longer ago than that is not looked at.
    run(world.lake.write("memory:lake/landing/cards/b.jsonl", "{}")).unwrap();
    world.starter.clock = Box::new(move || now.as_millis() as i64 + 8 * 24 * 3600 * 1000);
    assert_eq!(run(world.starter.land_missed(world.set("cards"))), Ok(0));
}

#[test]
fn a_run_that_publishes_and_then_fails_has_succeeded() {
    let world = World::new();
    run(world.event("cards", 1));
    run(world.publish(0));
    world.end(0, "FAILED");
    let reports = run(world.callback(0));
    assert_eq!((reports[0].done, reports[0].retried), (1, 0));
    assert_eq!(world.runs().len(), 1);
}

#[test]
fn a_run_that_succeeds_without_publishing_has_failed() {
    let world = World::new();
    run(world.event("cards", 1));
    world.end(0, "SUCCEEDED");
    let reports = run(world.callback(0));
    assert_eq!((reports[0].done, reports[0].retried, reports[0].started), (0, 1, 1));
    assert!(world.runs()[1].claim.ends_with("_2"));
    assert_eq!(world.runs()[0].manifest, world.runs()[1].manifest); // retried as itself
}

#[test]
fn a_job_that_ends_before_its_id_is_stored_is_followed() {
    let world = World::new();
    // The starter goes on until the run is started, and no further.
    let mut starter = Box::pin(world.event("cards", 1));
    while world.runs().is_empty() {
        assert!(poll(&mut starter, 1).is_none());
    }
    assert!(matches!(run(world.open("cards"))[..], [State::Claimed { .. }]));
    run(world.publish(0));
    world.end(0, "SUCCEEDED");
    let reports = run(world.callback(0));
    assert_eq!(reports[0].done, 1);
    // The starter wants to store the run id now: it must not open the manifest again.
    assert_eq!(poll(&mut starter, 1_000_000).unwrap().started, 1);
    assert_eq!(run(world.open("cards")), []);
    assert_eq!(run(world.fates("cards")).into_values().collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn a_lost_end_is_found_by_the_hour() {
    let world = World::new();
    run(world.event("cards", 1));
    run(world.publish(0));
    world.end(0, "SUCCEEDED"); // EventBridge is best effort
    assert_eq!(run(world.event("cards", 2)).started, 1); // there is room: Glue says so
    let report = run(world.hourly());
    assert_eq!(report.done, 1);
}

#[test]
fn a_run_that_its_service_forgot_is_tried_again() {
    let world = World::new();
    run(world.event("cards", 1));
    let forgotten = world.runs()[0].clone();
    world.jobs.0.lock().unwrap().runs[0].id = "purged".into();
    world.end(0, "SUCCEEDED");
    let report = run(world.hourly());
    assert_eq!((report.retried, report.started), (1, 1));
    assert_eq!(world.runs()[1].manifest, forgotten.manifest);
}

/// Dies after each number of steps in turn, and each time another one finishes the work.
#[test]
fn a_starter_that_dies_holding_the_lease_is_succeeded() {
    for steps in 0.. {
        let world = World::new();
        let mut starter = Box::pin(world.event("cards", 1));
        if poll(&mut starter, steps).is_some() {
            assert!(steps > 20);
            break;
        }
        drop(starter);
        // Another event comes at once. If the dead one holds the lease, it is left to whoever comes later.
        run(world.event("cards", 1));
        run(world.event("cards", 2));
        world.tick(LEASE + PATIENCE);
        run(world.hourly());
        for number in 0.. {
            if number >= world.runs().len() {
                break;
            }
            run(world.publish(number));
            world.end(number, "SUCCEEDED");
            run(world.callback(number));
        }
        run(world.hourly());
        let fates = run(world.fates("cards"));
        assert_eq!(fates.values().collect::<Vec<_>>(), [&(1, 0); 2], "died after {steps} steps");
        assert_eq!((run(world.open("cards")), run(world.waiting("cards"))), (vec![], 0));
    }
}

#[test]
fn a_claim_is_left_alone_until_nobody_can_be_at_it() {
    let world = World::new();
    world.jobs.0.lock().unwrap().faults = [Fault::Unknown { started: false }].into();
    let report = run(world.event("cards", 1));
    assert_eq!((report.started, report.problems.len()), (0, 1));
    world.tick(PATIENCE);
    run(world.event("cards", 1));
    run(world.hourly());
    assert_eq!(world.runs().len(), 0);
    world.tick(1);
    assert_eq!(run(world.hourly()).started, 1);
}

#[test]
fn a_call_that_timed_out_but_started_is_found_by_its_claim() {
    let world = World::new();
    world.jobs.0.lock().unwrap().faults = [Fault::Unknown { started: true }].into();
    assert_eq!(run(world.event("cards", 1)).started, 0);
    run(world.event("cards", 2));
    assert!(matches!(&run(world.open("cards"))[0], State::Running { run, .. } if run == "jr_0"));
    assert_eq!(world.runs().len(), 1); // and there is no room for the second object's run
}

#[test]
fn a_storm_of_busy_answers_loses_nothing_and_makes_no_small_manifests() {
    let world = World::new();
    run(world.event("cards", 0));
    for number in 1..100 {
        let report = run(world.event("cards", number));
        assert_eq!((report.started, report.busy, report.problems.len()), (0, 1, 0));
    }
    // One manifest waits, and the rest has stayed landed.
    assert_eq!(run(world.waiting("cards")), 98);
    run(world.publish(0));
    world.end(0, "SUCCEEDED");
    run(world.callback(0));
    run(world.publish(1));
    world.end(1, "SUCCEEDED");
    run(world.callback(1));
    assert_eq!(world.runs().len(), 3);
    run(world.publish(2));
    world.end(2, "SUCCEEDED");
    run(world.callback(2));
    assert_eq!(run(world.fates("cards")).values().filter(|fate| **fate == (1, 0)).count(), 100);
}

#[test]
fn the_end_of_a_run_starts_what_waits_in_other_data_sets_of_the_job() {
    let world = World::new();
    run(world.event("cards", 1));
    assert_eq!(run(world.event("labels", 1)).busy, 1);
    run(world.publish(0));
    world.end(0, "SUCCEEDED");
    let reports = run(world.callback(0));
    assert_eq!((reports[0].done, reports[1].started), (1, 1));
    assert_eq!(world.runs()[1].set, "labels");
}

#[test]
fn a_rule_halts_and_new_objects_come() {
    let world = World::new();
    run(world.event("cards", 1));
    let refused = world.runs()[0].manifest.clone();
    world.jobs.0.lock().unwrap().runs[0].error = Some(HALT);
    world.end(0, "FAILED");
    run(world.event("cards", 2));
    let reports = run(world.callback(0));
    assert_eq!(reports[0].refused, 1);
    let row = run(world.starter.ledger.manifest("cards", &refused)).unwrap().unwrap();
    assert_eq!(row.says.state, State::Refused);
    // The new object is read, and the refused one is not mixed with it, nor landed again by its event.
    run(world.event("cards", 1));
    for number in 1..world.runs().len() {
        run(world.publish(number));
        world.end(number, "SUCCEEDED");
        run(world.callback(number));
    }
    assert_eq!(run(world.fates("cards")).into_values().collect::<Vec<_>>(), [(0, 1), (1, 0)]);
}

#[test]
fn a_failing_manifest_is_halved_before_the_third_run_and_then_given_up() {
    let world = World::new();
    for number in 0..5 {
        run(world.starter.land(world.set("cards"), vec![landed("cards", number)])).unwrap();
    }
    run(world.event("cards", 0));
    let whole = world.runs()[0].manifest.clone();
    world.end(0, "FAILED");
    run(world.callback(0));
    assert_eq!(world.runs()[1].manifest, whole);
    world.end(1, "TIMEOUT");
    let reports = run(world.callback(1));
    assert_eq!((reports[0].retried, reports[0].started, reports[0].busy), (1, 1, 1));
    let halves = [format!("{whole}-1"), format!("{whole}-2")];
    let row = run(world.starter.ledger.manifest("cards", &whole)).unwrap().unwrap();
    assert_eq!(row.says.state, State::Split { into: halves.to_vec() });
    assert_eq!(row.says.last_end.as_deref(), Some("TIMEOUT"));

    // The first half is good, the second is not.
    assert_eq!(world.runs()[2].manifest, halves[0]);
    run(world.publish(2));
    world.end(2, "SUCCEEDED");
    run(world.callback(2));
    assert_eq!(world.runs()[3].manifest, halves[1]);
    world.end(3, "FAILED");
    assert_eq!(run(world.callback(3))[0].failed, 1);
    assert_eq!(world.runs().len(), 4);
    let fates: Vec<_> = run(world.fates("cards")).into_values().collect();
    assert_eq!(fates, [(1, 0), (1, 0), (0, 1), (0, 1), (0, 1)]);
    let object = run(world.starter.ledger.object("cards", &landed("cards", 4))).unwrap().unwrap();
    assert_eq!(object.manifest.as_ref(), Some(&halves[1]));
}

#[test]
fn a_run_taken_for_dead_cannot_publish_what_others_read_again() {
    let world = World::new();
    for number in 0..2 {
        run(world.starter.land(world.set("cards"), vec![landed("cards", number)])).unwrap();
    }
    run(world.event("cards", 0));
    world.end(0, "FAILED");
    run(world.callback(0));
    world.end(1, "FAILED");
    run(world.callback(1)); // halved
    run(world.publish(0)); // the first run was not dead
    run(world.publish(2));
    world.end(2, "SUCCEEDED");
    run(world.callback(2));
    run(world.publish(3));
    world.end(3, "SUCCEEDED");
    run(world.callback(3));
    assert_eq!(run(world.fates("cards")).into_values().collect::<Vec<_>>(), [(1, 0), (1, 0)]);
}

#[test]
fn a_wrong_job_is_a_problem_and_loses_nothing() {
    let world = World::new();
    world.jobs.0.lock().unwrap().faults = [Fault::Refused].into();
    let report = run(world.event("cards", 1));
    assert_eq!(report.worst().map(Failure::word), Some("Config.Invalid"));
    assert_eq!(run(world.open("cards")), [State::Waiting]);
    assert_eq!(run(world.hourly()).started, 1); // mended
}

#[test]
fn ends_of_other_runs_are_none_of_ours() {
    let world = World::new();
    let told = Run { end: Some("FAILED".into()), ..Run::default() };
    let ended = |job: &str| {
        run(world.starter.ended(&Start::job(job), "jr_9", &told, &world.call(false))).unwrap()
    };
    assert_eq!(ended("other"), vec![]);
    run(world.starter.land(world.set("cards"), vec![landed("cards", 1)])).unwrap();
    // Somebody ran the job by hand: its end makes room all the same.
    assert_eq!(ended("cleanse")[0].1.started, 1);
}

#[test]
fn objects_of_a_manifest_are_in_the_order_of_their_keys_and_sequencers() {
    let world = World::new();
    for number in [3, 1, 2] {
        run(world.starter.land(world.set("cards"), vec![landed("cards", number)])).unwrap();
    }
    run(world.event("cards", 3));
    let set = world.set("cards");
    let manifest = run(world.starter.zones.manifest(set, &world.runs()[0].manifest)).unwrap();
    let keys: Vec<_> = manifest.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["landing/cards/1.jsonl", "landing/cards/2.jsonl", "landing/cards/3.jsonl"]);
    assert_eq!((manifest.dataset.as_str(), manifest.leat), ("cards", 1));
}
