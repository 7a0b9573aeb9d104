//! Errors of a recipe are gathered, so that all of them are said at once.

use super::Place;
use crate::diagnostic::Diagnostic;

/// So many errors are said; the others are counted.
const MAX_ERRORS: usize = 200;

/// The errors found so far.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    /// What the text is, in a word.
    pub what: &'static str,
    errors: Vec<Diagnostic>,
    more: usize,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Report::on(file, "recipe")
    }

    /// Of a text that is `what`.
    pub fn on(file: &str, what: &'static str) -> Self {
        Report { file: file.to_owned(), what, errors: Vec::new(), more: 0 }
    }

    pub fn error(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.error_with(place, message, || hint);
    }

    /// [`Report::error`] with a hint that costs something to find.
    pub fn error_with(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl FnOnce() -> Option<String>,
    ) {
        if self.errors.len() >= MAX_ERRORS {
            self.more += 1;
            return;
        }
        let (Place { line, column }, file) = (place, self.file.clone());
        self.errors.push(Diagnostic { file, line, column, message: message.into(), hint: hint() });
    }

    /// How many errors there are so far.
    pub fn len(&self) -> usize {
        self.errors.len() + self.more
    }

    pub fn extend(&mut self, errors: Vec<Diagnostic>) {
        for Diagnostic { line, column, message, hint, .. } in errors {
            self.error(Place { line, column }, message, hint);
        }
    }

    /// The errors by place, each once; none is good.
    pub fn finish(mut self) -> Result<(), Vec<Diagnostic>> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        self.errors.dedup();
        if let (Some(last), 1..) = (self.errors.last(), self.more) {
            let message = format!("and {} more errors; mend these first", self.more);
            self.errors.push(Diagnostic { message, hint: None, ..last.clone() });
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// `did you mean …?`, if `near` is there.
pub(crate) fn did_you_mean(near: Option<&str>) -> Option<String> {
    near.map(|near| format!("did you mean `{near}`?"))
}
