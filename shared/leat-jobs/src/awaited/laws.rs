//! The promise: whatever happens, in whatever order, a name has one run at a time, and who waits last is told of a good
//! end, after which no other run is started.

use std::pin::Pin;

use proptest::prelude::*;

use super::world::World;
use super::*;
use crate::starter::world::{Fault, poll, run};
use crate::tasks::Told;

#[derive(Clone, Debug)]
enum Step {
    /// A state asks, with a token of its own; somebody begins.
    Ask,
    /// EventBridge tells of a run, whether it has ended or not; somebody begins.
    Callback(usize),
    /// The hour strikes; somebody begins.
    Reconcile,
    /// One of those at work goes on for some steps.
    GoOn(usize, usize),
    /// One of those at work dies where it is.
    Die(usize),
    /// Nobody waits for the token of this call any more.
    Forget(usize),
    /// So much time passes that nobody at work can be alive, and no claim of theirs is left alone.
    Wait,
    /// A run ends.
    End(usize, &'static str),
    /// The next start goes wrong.
    Fault(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop::sample::select(vec!["SUCCEEDED", "FAILED", "FAILED"]);
    prop_oneof![
        4 => Just(Step::Ask),
        3 => (0..4usize).prop_map(Step::Callback),
        2 => Just(Step::Reconcile),
        12 => (0..4usize, 1..20usize).prop_map(|(who, steps)| Step::GoOn(who, steps)),
        1 => (0..4usize).prop_map(Step::Die),
        1 => (0..8usize).prop_map(Step::Forget),
        1 => Just(Step::Wait),
        3 => (0..4usize, end).prop_map(|(run, end)| Step::End(run, end)),
        1 => any::<bool>().prop_map(|started| Step::Fault(Fault::Unknown { started })),
        1 => Just(Step::Fault(Fault::Refused)),
    ]
}

fn alive(world: &World) -> usize {
    world.jobs.0.lock().unwrap().runs.iter().filter(|run| run.end.is_none()).count()
}

fn check(steps: Vec<Step>) {
    let world = World::new();
    // The claims alone keep a second run away, not the service.
    world.jobs.0.lock().unwrap().limit = 100;
    let mut at_work: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    let mut asked = 0;
    for step in steps {
        match step {
            Step::Ask => {
                let (world, token) = (&world, asked.to_string());
                asked += 1;
                at_work.push(Box::pin(async move { drop(world.ask(&token).await) }));
            }
            Step::Callback(number) if number < world.runs() => {
                let world = &world;
                at_work.push(Box::pin(async move { drop(world.callback(number).await) }));
            }
            Step::Reconcile => at_work.push(Box::pin(async { drop(world.reconcile().await) })),
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
            Step::Forget(number) if number < asked => world.forget(&number.to_string()),
            Step::Wait => {
                at_work.clear();
                world.tick(PATIENCE + 1);
            }
            Step::End(number, end) if number < world.runs() => {
                let runs = &mut world.jobs.0.lock().unwrap().runs;
                runs[number].end = runs[number].end.or(Some(end));
            }
            Step::Fault(fault) => world.jobs.0.lock().unwrap().faults.push_back(fault),
            _ => {}
        }
        assert!(alive(&world) <= 1, "two runs at a time");
    }
    // Those at work end or die, half of each; then all goes well, and the state is tried again until it is accepted.
    for (i, mut work) in std::mem::take(&mut at_work).into_iter().enumerate() {
        poll(&mut work, if i % 2 == 0 { 1_000_000 } else { 7 });
    }
    world.jobs.0.lock().unwrap().faults.clear();
    for attempt in 0.. {
        assert!(attempt < 12, "the workflow does not come to an end");
        let token = format!("last-{attempt}");
        let accepted = run(world.ask(&token)).is_ok();
        assert!(alive(&world) <= 1, "two runs at a time");
        for number in 0..world.runs() {
            let runs = &mut world.jobs.0.lock().unwrap().runs;
            runs[number].end = runs[number].end.or(Some("SUCCEEDED"));
        }
        world.tick(PATIENCE + 1);
        run(world.reconcile());
        let told = world.tasks.told_of(&token);
        assert_eq!(told.len(), usize::from(accepted), "who is accepted is told, once: {told:?}");
        if let [Told::Success(_)] = told[..] {
            break;
        }
    }
    let runs = world.runs();
    run(world.ask("once more")).unwrap();
    assert!(matches!(world.tasks.told_of("once more")[..], [Told::Success(_)]));
    assert_eq!((world.runs(), world.open()), (runs, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, max_shrink_iters: 4000, ..ProptestConfig::default() })]
    #[test]
    fn who_waits_is_told(steps in prop::collection::vec(step(), 1..80)) {
        check(steps);
    }
}
