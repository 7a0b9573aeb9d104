//! From a recipe's place to an engine.

use clap::Args;
use leat::engine::{self, Engine, Source};
use leat::protect::{self, Keys};
use leat::recipe::{Method, Recipe};

use crate::answer::Refusal;
use crate::places::{self, Places};

/// A secret that everybody knows: with it a recipe that tokenizes can be tried out.
const PUBLIC: &[u8] = b"leat: this secret is public; its tokens hide nothing";

/// Which secret the recipe's tokens are made with.
#[derive(Clone, Debug, Default, Args)]
pub struct KeysArgument {
    /// The file with the secret (at least 32 bytes) that tokens are made with: `file:path`. Cleansed rows need none.
    /// Without it `fit`, `transform`, `seed` and `validate` try a recipe out with a secret that is public.
    #[arg(long, value_name = "file:PATH")]
    keys: Option<String>,
}

impl KeysArgument {
    /// True if a secret was given.
    pub fn given(&self) -> bool {
        self.keys.is_some()
    }

    fn keys(&self, recipe: &Recipe) -> Result<Option<Keys>, Refusal> {
        match self.secret()? {
            None if protect::needs_keys(recipe) => public(recipe).map(Some),
            keys => Ok(keys),
        }
    }

    /// The keys of the secret that was given.
    pub fn secret(&self) -> Result<Option<Keys>, Refusal> {
        let Some(place) = &self.keys else { return Ok(None) };
        if place.starts_with("secretsmanager:") || places::is_url(place) {
            return Err(Refusal::new(format!("--keys: {place} is not a file")).hint(
                "take the secret from where it is kept (aws secretsmanager get-secret-value) into a file, without a \
                 line end after it, and give --keys file:PATH",
            ));
        }
        let secret = std::fs::read(places::path(place)).map_err(|why| {
            Refusal::new(format!("cannot read the keys {place}: {}", places::why_of(&why)))
        })?;
        let keys = Keys::from_secret(&secret);
        keys.map(Some).map_err(|why| Refusal::new(format!("the keys {place}: {why}")))
    }
}

fn public(recipe: &Recipe) -> Result<Keys, Refusal> {
    let fields: Vec<&str> = recipe
        .protect
        .iter()
        .filter(|protect| protect.method == Method::Tokenize)
        .map(|protect| &*protect.field)
        .collect();
    eprintln!(
        "note: no --keys: the tokens of {} are made with a public secret, good for trying out only",
        fields.join(", ")
    );
    Keys::from_secret(PUBLIC).map_err(|why| Refusal::new(why.to_string()))
}

/// Reads and checks the recipe at `place`, with its ruleset, to look at it: no data will be read.
pub fn check(places: &Places, place: &str) -> Result<Engine, Refusal> {
    read(places, place, |_| Ok(None))
}

/// Reads and checks the recipe at `place`, with its ruleset, to run it.
pub fn load(places: &Places, place: &str, keys: &KeysArgument) -> Result<Engine, Refusal> {
    read(places, place, |recipe| keys.keys(recipe))
}

fn read(
    places: &Places,
    place: &str,
    keys: impl FnOnce(&Recipe) -> Result<Option<Keys>, Refusal>,
) -> Result<Engine, Refusal> {
    let text = places.read_text("recipe", place)?;
    let recipe = engine::read(Source { file: place, text: &text });
    let mut sources = vec![(place.to_owned(), text)];
    let recipe = recipe.map_err(|errors| Refusal::of(errors, sources.clone()))?;
    let rules = match &recipe.quality {
        Some(name) => {
            let file = places::beside(place, name);
            let text = places.read_text("ruleset", &file).map_err(|why| {
                why.hint(format!("{place} names it as its `quality`, relative to itself"))
            })?;
            sources.push((file, text));
            sources.last().map(|(file, text)| Source { file, text })
        }
        None => None,
    };
    let keys = keys(&recipe)?;
    Engine::new(recipe, rules, keys).map_err(|errors| Refusal::of(errors, sources.clone()))
}
