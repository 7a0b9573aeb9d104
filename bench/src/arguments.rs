//! The few options that the programs have.

/// The words after the program's name.
#[derive(Clone, Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Self {
        Arguments(std::env::args().skip(1).collect())
    }

    /// The word after `name`.
    pub fn after(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The same, which has to be there.
    pub fn wanted(&self, name: &str) -> Result<&str, String> {
        self.after(name).ok_or_else(|| format!("{name} is missing"))
    }

    /// The whole number after `name`, or `default`.
    pub fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        let Some(text) = self.after(name) else { return Ok(default) };
        text.parse().map_err(|_| format!("{name}: `{text}` is no whole number"))
    }

    /// The first word that is neither an option nor an option's value.
    pub fn input(&self) -> Result<&str, String> {
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                words.next();
            } else {
                return Ok(word);
            }
        }
        Err("the input is missing".to_owned())
    }
}
