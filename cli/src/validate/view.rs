//! The columns of the data that the rules read.

use std::collections::BTreeSet;

use leat::column::{Column, Type};
use leat::decode::{Decoder, Limits};
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
