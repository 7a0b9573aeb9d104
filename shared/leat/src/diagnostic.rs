//! What is wrong with a text that a person wrote: where, what, and what to do.

use serde::Serialize;

/// One error in a recipe or a ruleset. All errors of a document are reported at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file's name, as its reader gave it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, such as the nearest word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// The error with the line it stands on and a caret below its column; `source` is the file's text.
    pub fn render(&self, source: &str) -> String {
        let Diagnostic { file, line, column, message, hint } = self;
        let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent: String = text
            .chars()
            .take(column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let mut out = format!(
            "error: {message}\n{margin}--> {file}:{line}:{column}\n{margin} |\n{number} | {text}\n{margin} | {indent}^\n"
        );
        if let Some(hint) = hint {
            out.push_str(&format!("{margin} = help: {hint}\n"));
        }
        out
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The word of `words` that is nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|w| (strsim::damerau_levenshtein(&word.to_lowercase(), &w.to_lowercase()), w))
        .filter(|(distance, w)| *distance <= 1 + w.chars().count().max(word.chars().count()) / 3)
        .min()
        .map(|(_, w)| w)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_column() {
        let diagnostic = Diagnostic {
            file: "r.yaml".into(),
            line: 2,
            column: 4,
            message: "bad".into(),
            hint: Some("good".into()),
        };
        assert_eq!(
            diagnostic.render("a\n\tbc d\n"),
            "error: bad\n --> r.yaml:2:4\n  |\n2 | \tbc d\n  | \t  ^\n  = help: good\n"
        );
    }

    #[test]
    fn nearest_words() {
        let words = ["standard_scale", "one_hot", "log"];
        assert_eq!(nearest("standart_scale", words), Some("standard_scale"));
        assert_eq!(nearest("onehot", words), Some("one_hot"));
        assert_eq!(nearest("impute", words), None);
    }
}
