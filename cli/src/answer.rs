//! What a command says at its end, for a person or as one JSON document, and the exit status.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use leat::diagnostic::Diagnostic;
use serde_json::{Value, json};

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person.
    #[default]
    Text,
    /// One JSON document on standard output.
    Json,
}

/// What came of a command that could do its work.
#[derive(Debug)]
pub struct Answer {
    /// For a person.
    pub text: String,
    /// For a program.
    pub document: Value,
    /// False if the data failed.
    pub passed: bool,
    /// True if standard output has the data: the answer goes to standard error.
    pub aside: bool,
}

impl Answer {
    /// All went well.
    pub fn good(text: impl Into<String>, document: Value) -> Self {
        Answer { text: text.into(), document, passed: true, aside: false }
    }

    /// The same, of a command that wrote to `output`: where that is standard output, the answer makes way.
    pub fn beside(self, output: &Path) -> Self {
        Answer { aside: output == Path::new("-"), ..self }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Refusal {
    errors: Vec<Diagnostic>,
    /// The texts that the errors stand in, by file name.
    sources: Vec<(String, String)>,
    /// What is wrong beside a text's errors, and what to do.
    message: Option<(String, Option<String>)>,
}

impl Refusal {
    /// Something is wrong that stands in no text.
    pub fn new(message: impl Into<String>) -> Self {
        Refusal { errors: Vec::new(), sources: Vec::new(), message: Some((message.into(), None)) }
    }

    /// The same, with what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some((_, slot)) = &mut self.message {
            *slot = Some(hint.into());
        }
        self
    }

    /// `errors` were found in `sources`: file names and their texts.
    pub fn of(errors: Vec<Diagnostic>, sources: Vec<(String, String)>) -> Self {
        Refusal { errors, sources, message: None }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for error in &self.errors {
            let source = self.sources.iter().find(|(file, _)| *file == error.file);
            text += &error.render(source.map_or("", |(_, text)| text));
            text.push('\n');
        }
        if self.errors.len() > 1 {
            text += &format!("{} errors\n", self.errors.len());
        }
        if let Some((message, hint)) = &self.message {
            text += &format!("error: {message}\n");
            if let Some(hint) = hint {
                text += &format!("  = help: {hint}\n");
            }
        }
        text
    }

    fn document(&self) -> Value {
        let message =
            self.message.iter().map(|(message, hint)| json!({"message": message, "hint": hint}));
        let errors = self.errors.iter().map(|error| json!(error));
        json!({"errors": errors.chain(message).collect::<Vec<_>>()})
    }
}

/// Says what came of the command. Standard output has the document, standard error all that is for people.
pub fn say(result: &Result<Answer, Refusal>, format: Format) -> ExitCode {
    let text = match (result, format) {
        (Ok(answer), Format::Text) => answer.text.clone(),
        (Ok(answer), Format::Json) => format!("{:#}", answer.document),
        (Err(refusal), Format::Text) => refusal.text(),
        (Err(refusal), Format::Json) => format!("{:#}", refusal.document()),
    };
    let aside = match result {
        Ok(answer) => answer.aside,
        Err(_) => format == Format::Text,
    };
    let text = format!("{}\n", text.trim_end());
    // Nobody is told when nobody reads.
    let _ = match aside {
        true => std::io::stderr().write_all(text.as_bytes()),
        false => std::io::stdout().write_all(text.as_bytes()),
    };
    match result {
        Ok(Answer { passed: true, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(_) => ExitCode::from(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let error = Diagnostic {
            file: "r.yaml".into(),
            line: 1,
            column: 3,
            message: "no".into(),
            hint: None,
        };
        let refusal = Refusal::of(vec![error], vec![("r.yaml".into(), "a: b".into())]);
        assert!(refusal.text().contains("1 | a: b\n  |   ^"), "{}", refusal.text());
        assert_eq!(refusal.document()["errors"][0]["line"], 1);
        let refusal = Refusal::new("no such file").hint("look again");
        assert_eq!(refusal.text(), "error: no such file\n  = help: look again\n");
        assert_eq!(refusal.document()["errors"][0]["hint"], "look again");
    }
}
