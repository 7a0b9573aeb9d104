//! The columns of the data that the rules read.

use std::collections::BTreeSet;

use leat::column::{Column, Type};
use leat::decode::{Decoder, Limits};
use leat::quality::Tally;
use leat::recipe::Recipe;

/// How the data is read for the rules.
pub struct View {
    /// The fields that are read.
    pub recipe: Recipe,
    /// What decodes them.
    pub decoder: Decoder,
    /// Where each of them stands among the columns of the rules, and how many these are; none if all are read.
    places: Option<(Vec<usize>, usize)>,
}

impl View {
    /// All fields are read: one that no rule names may still refuse a row.
    pub fn whole(recipe: Recipe, decoder: Decoder) -> Self {
        View { recipe, decoder, places: None }
    }

    /// Only the fields in the slots `reads` are read, or one, to count rows by. `recipe` has a schema and nothing else.
    pub fn of(mut recipe: Recipe, reads: &BTreeSet<usize>) -> Self {
        let fields = std::mem::take(&mut recipe.schema.fields);
        let (width, first) = (fields.len(), reads.first().copied().unwrap_or_default());
        let read = |slot: &usize| *slot == first || reads.contains(slot);
        let places: Vec<usize> = (0..width).filter(read).collect();
        let fields = fields.into_iter().enumerate().filter(|(slot, _)| read(slot));
        recipe.schema.fields = fields.map(|(_, field)| field).collect();
        let decoder = Decoder::new(&recipe, None, Limits::default());
        View { recipe, decoder, places: Some((places, width)) }
    }

    /// The fields that are read for the rules' columns in `slots`; none if all are read, as something else than rules may then
    /// look at them.
    pub fn slots(&self, slots: &BTreeSet<usize>) -> BTreeSet<usize> {
        let places = self.places.iter().flat_map(|(places, _)| places.iter().enumerate());
        places.filter(|(_, place)| slots.contains(*place)).map(|(at, _)| at).collect()
    }

    /// The tallies of fields that were read, by the slots of the rules' columns.
    pub fn tallies(&self, tallies: Vec<(usize, Tally)>) -> Vec<(usize, Tally)> {
        let Some((places, _)) = &self.places else { return tallies };
        let place = |(at, tally)| places.get(at).map(|place| (*place, tally));
        tallies.into_iter().filter_map(place).collect()
    }

    /// The columns that were read where the rules look for them; the others are empty.
    pub fn placed(&self, columns: Vec<Column>) -> Vec<Column> {
        let Some((places, width)) = &self.places else { return columns };
        let mut placed: Vec<Column> = (0..*width).map(|_| Column::new(Type::Bool)).collect();
        for (place, column) in places.iter().zip(columns) {
            placed[*place] = column;
        }
        placed
    }
}
