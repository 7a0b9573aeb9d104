//! The fields' slots by name, found in a few nanoseconds: lines name each field once each.

/// A table of at least twice as many places as names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Slots by the hash of their name, the next free place where that is taken.
    places: Vec<Option<usize>>,
    names: Vec<Box<str>>,
}

impl Names {
    /// Each name's slot is its place in `names`; of equal names the last.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.map(Box::from).collect();
        let mut places = vec![None; (names.len() * 2).next_power_of_two()];
        for (slot, name) in names.iter().enumerate() {
            let mask = places.len() - 1;
            let mut at = hash(name) & mask;
            while places[at].is_some_and(|taken: usize| names[taken] != *name) {
                at = (at + 1) & mask;
            }
            places[at] = Some(slot);
        }
        Names { places, names }
    }

    /// The slot of `name`.
    pub fn slot(&self, name: &str) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = hash(name) & mask;
        // A free place ends the search: at least half of them are.
        while let Some(slot) = self.places[at] {
            if *self.names[slot] == *name {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// Over eight bytes at a time.
fn hash(name: &str) -> usize {
    let mut hash = name.len() as u64;
    for chunk in name.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_slot() {
        let names: Vec<String> = (0..300).map(|n| format!("field_{n}")).collect();
        let table = Names::new(names.iter().map(String::as_str));
        for (slot, name) in names.iter().enumerate() {
            assert_eq!(table.slot(name), Some(slot));
        }
        for name in ["", "field_", "field_300", "Field_1"] {
            assert_eq!(table.slot(name), None);
        }
        assert_eq!(Names::new(["a", "b", "a"].into_iter()).slot("a"), Some(2));
        assert_eq!(Names::new(std::iter::empty()).slot("a"), None);
    }
}
