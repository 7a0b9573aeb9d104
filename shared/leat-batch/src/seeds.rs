//! What a stream's entities start with: the states that a history leaves behind, as items of the state table.

use std::collections::HashMap;

use leat::engine::Engine;
use leat::windows::EntityState;
use leat::windows::item::{Item, state_key};

/// An entity's item and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// The key in the state table.
    pub key: String,
    /// The entity.
    pub entity: String,
    /// Its windows; no marks, no outbox.
    pub item: Item,
}

/// The items of `states` under the state plan of `engine`, in ascending order of the entities.
pub fn seeds(engine: &Engine, states: &HashMap<Box<str>, EntityState>) -> Vec<Seed> {
    let mut entities: Vec<_> = states.iter().collect();
    entities.sort_by_key(|(entity, _)| *entity);
    entities
        .into_iter()
        .map(|(entity, state)| Seed {
            key: state_key(&engine.plan().state_plan, entity),
            entity: entity.to_string(),
            item: Item { windows: state.encode(), ..Item::default() },
        })
        .collect()
}
