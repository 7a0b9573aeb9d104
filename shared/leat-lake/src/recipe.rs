//! A recipe by URL, with its ruleset beside it.

use leat::diagnostic::Diagnostic;
use leat::engine::{Engine, Source, read};
use leat::protect::Keys;

use crate::{Lake, LakeError};

/// Why a recipe cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// It, or its ruleset, could not be read.
    #[error("{0}")]
    Lake(#[from] LakeError),
    /// It is wrong: all errors.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Diagnostic>),
}

/// Reads and checks the recipe at `url` and its ruleset, whose name is relative to it.
pub async fn read_recipe(
    lake: &Lake,
    url: &str,
    keys: Option<Keys>,
) -> Result<Engine, RecipeError> {
    let (folder, file) = split(url);
    let text = lake.read_text(url).await?;
    let recipe = read(Source { file, text: &text }).map_err(RecipeError::Wrong)?;
    let rules = match &recipe.quality {
        None => None,
        Some(name) => Some((name.clone(), lake.read_text(&format!("{folder}{name}")).await?)),
    };
    let rules = rules.as_ref().map(|(file, text)| Source { file, text });
    Engine::new(recipe, rules, keys).map_err(RecipeError::Wrong)
}

/// The URL of the recipe of another hash than that at `url`: a promotion keeps it beside, in a folder of its hash. None
/// if `hash` is none.
pub fn recipe_of_hash(url: &str, hash: &str) -> Option<String> {
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let (folder, file) = split(url);
    is_hash.then(|| format!("{folder}{hash}/{file}"))
}

/// Splits a URL behind its last `/` or `:`: the folder and the name.
pub fn split(url: &str) -> (&str, &str) {
    url.split_at(url.rfind(['/', ':']).map_or(0, |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(split("s3://b/recipes/r/recipe.yaml"), ("s3://b/recipes/r/", "recipe.yaml"));
        assert_eq!(split("file:recipe.yaml"), ("file:", "recipe.yaml"));
        let hash = "0a".repeat(32);
        let kept = recipe_of_hash("s3://b/recipes/r/recipe.yaml", &hash).unwrap();
        assert_eq!(kept, format!("s3://b/recipes/r/{hash}/recipe.yaml"));
        assert_eq!(recipe_of_hash("s3://b/recipe.yaml", "../x"), None);
    }

    #[tokio::test]
    async fn the_example() {
        let lake = Lake::new(&Default::default());
        let folder =
            concat!("file:", env!("CARGO_MANIFEST_DIR"), "/../../recipes/card-transactions/");
        let engine = read_recipe(&lake, &format!("{folder}recipe.yaml"), None).await.unwrap();
        assert_eq!(engine.recipe().name, "card-transactions");
        assert!(engine.rules().is_some());
        let missing = read_recipe(&lake, &format!("{folder}none.yaml"), None).await.unwrap_err();
        assert!(missing.to_string().ends_with("none.yaml does not exist"), "{missing}");
        lake.write("memory:r/recipe.yaml", "leat: 1\nname: x\n").await.unwrap();
        let wrong = read_recipe(&lake, "memory:r/recipe.yaml", None).await.unwrap_err();
        assert!(matches!(wrong, RecipeError::Wrong(_)), "{wrong}");
    }
}
