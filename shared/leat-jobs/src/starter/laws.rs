//! The promise: whatever happens, in whatever order, each object is read by exactly one published unit, or stands in one
//! manifest that a person has to look at.

use std::pin::Pin;

use proptest::prelude::*;

use super::world::{Fault, HALT, World, poll, run};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// An event comes; somebody begins to handle it.
    Event(usize),
    /// The hour strikes; somebody begins.
    Hourly,
    /// EventBridge tells of a run, whether it has ended or not; somebody begins.
    Callback(usize),
    /// One of those at work goes on for some steps.
    GoOn(usize, usize),
    /// One of those at work dies where it is.
    Die(usize),
    /// Time passes.
    Tick(i64),
    /// A run decides its manifest's fate, unless that is decided.
    Publish(usize),
    /// A run ends.
    End(usize, &'static str, bool),
    /// The next start goes wrong.
    Fault(Fault),
    /// So many runs may be at once.
    Limit(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop::sample::select(vec!["SUCCEEDED", "FAILED", "TIMEOUT"]);
    let millis = prop::sample::select(vec![1, 1000, LEASE / 2, LEASE + 1, PATIENCE + 1]);
    prop_oneof![
        4 => (0..6usize).prop_map(Step::Event),
        2 => Just(Step::Hourly),
        2 => (0..8usize).prop_map(Step::Callback),
        12 => (0..4usize, 1..40usize).prop_map(|(who, steps)| Step::GoOn(who, steps)),
        1 => (0..4usize).prop_map(Step::Die),
        2 => millis.prop_map(Step::Tick),
        3 => (0..8usize).prop_map(Step::Publish),
        3 => (0..8usize, end, prop::bool::weighted(0.1)).prop_map(|(run, end, halt)| Step::End(run, end, halt)),
        1 => any::<bool>().prop_map(|started| Step::Fault(Fault::Unknown { started })),
        1 => Just(Step::Fault(Fault::Refused)),
        1 => (0..3usize).prop_map(Step::Limit),
    ]
}

fn check(steps: Vec<Step>) {
    let world = World::new();
    let mut at_work: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    let mut landed = std::collections::BTreeSet::new();
    for step in steps {
        match step {
            Step::Event(number) => {
                landed.insert(number);
                let world = &world;
                at_work.push(Box::pin(async move { drop(world.event("cards", number).await) }));
            }
            Step::Hourly => at_work.push(Box::pin(async { drop(world.hourly().await) })),
            Step::Callback(number) => {
                let world = &world;
                at_work.push(Box::pin(async move { drop(world.callback(number).await) }));
            }
            Step::GoOn(who, steps) if !at_work.is_empty() => {
                let who = who % at_work.len();
                if poll(&mut at_work[who], steps).is_some() {
                    drop(at_work.swap_remove(who));
                }
            }
            Step::Die(who) if !at_work.is_empty() => {
                let who = who % at_work.len();
                drop(at_work.swap_remove(who));
            }
            Step::Tick(millis) => world.tick(millis),
            Step::Publish(number) if number < world.runs().len() => run(world.publish(number)),
            Step::End(number, end, halted) if number < world.runs().len() => {
                let service = &mut world.jobs.0.lock().unwrap().runs[number];
                if service.end.is_none() {
                    (service.end, service.error) = (Some(end), halted.then_some(HALT));
                }
            }
            Step::Fault(fault) => world.jobs.0.lock().unwrap().faults.push_back(fault),
            Step::Limit(limit) => world.jobs.0.lock().unwrap().limit = limit,
            _ => {}
        }
    }
    // Those at work finish or die, half of each; runs that nobody follows publish late.
    for (i, mut work) in std::mem::take(&mut at_work).into_iter().enumerate() {
        poll(&mut work, if i % 2 == 0 { 1_000_000 } else { 7 });
    }
    {
        let mut service = world.jobs.0.lock().unwrap();
        service.faults.clear();
        service.limit = 1;
    }
    // SQS delivers what was not handled; then all goes well, hour by hour.
    for number in &landed {
        run(world.event("cards", *number));
    }
    for hour in 0..40 {
        let runs = world.runs().len();
        for number in 0..runs {
            if world.runs()[number].end.is_none() {
                run(world.publish(number));
                world.end(number, "SUCCEEDED");
            }
        }
        world.tick(3_600_000);
        run(world.hourly());
        if run(world.open("cards")).is_empty() && run(world.waiting("cards")) == 0 {
            break;
        }
        assert!(hour < 39, "it does not come to an end: {:?}", run(world.open("cards")));
    }
    for number in 0..world.runs().len() {
        run(world.publish(number)); // any run may wake up
    }
    let fates = run(world.fates("cards"));
    assert_eq!(fates.len(), landed.len(), "{fates:?}");
    for (object, (published, given_up)) in fates {
        assert_eq!(published + given_up, 1, "{object}: {published} published, {given_up} given up");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, max_shrink_iters: 4000, ..ProptestConfig::default() })]
    #[test]
    fn each_object_is_read_once(steps in prop::collection::vec(step(), 1..120)) {
        check(steps);
    }
}
