//! Labels of rules, and those that all rules have.

use super::{Labels, MAX_LABELS, Parsed, Parser, Place};

impl<'a> Parser<'a> {
    /// `[ "key" = "value", … ]`, not empty.
    pub(super) fn labels(&mut self) -> Parsed<Labels> {
        self.expect_sign("[")?;
        let mut labels = Labels::new();
        loop {
            let (key, place) = self.text("a label's key in quotes")?;
            self.expect_sign("=")?;
            let (value, value_place) = self.text("a label's value in quotes")?;
            if key.is_empty() || key.chars().count() > 128 {
                self.error(place, "a label's key has 1 to 128 characters", None);
            }
            if value.chars().count() > 256 {
                self.error(value_place, "a label's value has at most 256 characters", None);
            }
            self.add_label(&mut labels, key, value, place)?;
            if !self.eat_sign(",") {
                break;
            }
        }
        self.expect_sign("]")?;
        Ok(labels)
    }

    pub(super) fn add_label(
        &mut self,
        labels: &mut Labels,
        key: String,
        value: String,
        place: Place,
    ) -> Parsed<()> {
        if labels.iter().any(|(other, _)| *other == key) {
            self.error(place, format!("the label `{key}` stands twice"), None);
            return Ok(());
        }
        labels.push((key, value));
        let defaults = &self.ruleset.default_labels;
        let others = defaults.iter().filter(|(key, _)| !labels.iter().any(|(own, _)| own == key));
        if labels.len() + others.count() > MAX_LABELS {
            let message =
                format!("a rule has at most {MAX_LABELS} labels, `DefaultLabels` among them");
            return Err(self.error(place, message, None));
        }
        Ok(())
    }
}
