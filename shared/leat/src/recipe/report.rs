//! Errors of a recipe are gathered, so that all of them are said at once.

use super::Place;
use crate::diagnostic::Diagnostic;

/// The errors found so far.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    errors: Vec<Diagnostic>,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Report { file: file.to_owned(), errors: Vec::new() }
    }

    pub fn error(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        let Place { line, column } = place;
        self.errors.push(Diagnostic {
            file: self.file.clone(),
            line,
            column,
            message: message.into(),
            hint,
        });
    }

    /// How many errors there are so far.
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    pub fn extend(&mut self, errors: Vec<Diagnostic>) {
        self.errors.extend(errors);
    }

    /// The errors by place, each once; none is good.
    pub fn finish(mut self) -> Result<(), Vec<Diagnostic>> {
        self.errors.sort_by_key(|error| (error.line, error.column));
        self.errors.dedup();
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// `did you mean …?`, if `near` is there.
pub(super) fn did_you_mean(near: Option<&str>) -> Option<String> {
    near.map(|near| format!("did you mean `{near}`?"))
}
