//! A training row sees only what was known at its time: what is planted after it changes no bit of the training rows, nor
//! of the fitted state.

use leat_batch::Criteria;

use crate::world::{Event, HOUR, World, events, start};

/// Hours after which nothing is learnt.
const UNTIL: i64 = 60;

fn past() -> Vec<Event> {
    let mut past = events(160, 12);
    past.retain(|event| event.at < UNTIL * HOUR);
    past
}

fn criteria() -> Criteria {
    Criteria { train_until: Some(start() + UNTIL * HOUR), ..Criteria::default() }
}

const KNOWN: [(u64, i64, i64); 3] = [(5, 70, 1), (10, 70, 0), (3, 71, 0)];

/// The state, and the training channel by bucket.
async fn learnt(world: &World) -> (String, std::collections::BTreeMap<String, Vec<u8>>) {
    let (state, _) = world.run(true, criteria()).await.unwrap();
    let state = world.lake().read_text(&state).await.unwrap();
    let run = crate::world::RUN;
    (state, world.objects(&format!("{run}channels/candidate/train")).await)
}

#[tokio::test]
async fn the_future_changes_nothing() {
    let past = past();
    let after = |id: u64, customer: u64, hours: i64| Event {
        amount: Some(1e6),
        ..Event::new(id, customer, hours * HOUR)
    };
    // The evaluation slice must be there in both, and is another one.
    let bare: Vec<Event> = (0..6).map(|n| after(1000 + n, 90 + n % 2, UNTIL + 1)).collect();
    let world = World::new().await;
    world.publish("a", 4, 1, &past).await;
    world.publish("b", 4, 1000, &bare).await;
    world.publish_labels("l", 1, &KNOWN).await;
    let expected = learnt(&world).await;

    let planted = World::new().await;
    planted.publish("a", 4, 1, &past).await;
    planted.publish("b", 4, 1000, &bare).await;
    // Later events of the entities that are learnt of, some at once after the cut; a repeat of a past id far later.
    let mut later: Vec<Event> =
        (0..60).map(|n| after(2000 + n, n % 12, UNTIL + n as i64)).collect();
    later.extend(
        past.iter().take(5).map(|event| Event { at: (UNTIL + 50) * HOUR, ..event.clone() }),
    );
    planted.publish("c", 8, 2000, &later).await;
    planted.publish_labels("l", 1, &KNOWN).await;
    // Labels that became known after the run's logical time.
    let unknown: Vec<(u64, i64, i64)> =
        (0..120).map(|id| (id, 24 * 365, (id % 2) as i64)).collect();
    planted.publish_labels("m", 50, &unknown).await;
    let found = learnt(&planted).await;

    assert_eq!(found.0, expected.0, "the fitted state");
    assert!(expected.1.len() > 1);
    assert_eq!(found.1, expected.1, "the training rows");

    // The test tells the truth: what is known in time does change them.
    let known = World::new().await;
    known.publish("a", 4, 1, &past).await;
    known.publish("b", 4, 1000, &bare).await;
    known.publish_labels("l", 1, &KNOWN).await;
    known.publish_labels("m", 50, &[(5, 80, 0)]).await;
    assert_ne!(learnt(&known).await.1, expected.1);
    let earlier = World::new().await;
    let one = Event { at: HOUR + 7, ..after(3000, past[1].customer, 1) };
    earlier.publish("0", 4, 0, &[one]).await;
    earlier.publish("a", 4, 1, &past).await;
    earlier.publish("b", 4, 1000, &bare).await;
    earlier.publish_labels("l", 1, &KNOWN).await;
    let changed = learnt(&earlier).await;
    assert_ne!(changed.0, expected.0);
    assert_ne!(changed.1, expected.1);
}

#[tokio::test]
async fn the_latest_label_that_was_known_counts() {
    let world = World::new().await;
    world.publish("a", 4, 1, &events(160, 12)).await;
    let of = |labels: &[(u64, i64, i64)]| labels.to_vec();
    // Two of one time: the later coordinate counts. Event 5 and 10 have no label of their own, 3 has one.
    world
        .publish_labels("l", 1, &of(&[(5, 70, 1), (5, 72, 0), (5, 71, 1), (10, 9, 0), (10, 9, 1)]))
        .await;
    world.publish_labels("m", 9, &of(&[(3, 90, 0), (777, 9, 1)])).await;
    let (_, finished) = world.run(true, Criteria::default()).await.unwrap();
    let labels = finished.labels;
    assert_eq!((labels.joined, labels.inline), (3, 160 - 32 - 1));
    assert_eq!(finished.rows, 160);
    assert_eq!(finished.unlabelled, 32 - 2);
    assert_eq!(finished.labelled, labels.joined + labels.inline);
    let both = finished.positives.train + finished.positives.evaluate;
    let inline = (0..160).filter(|id| id % 5 != 0 && id % 3 == 0).count() as u64;
    assert_eq!(both, inline - 1 + 1, "3 was none after all, 10 was one");
}
