//! What serves, as a sandbox sees it: read at most every 30 s by the wall clock, whole or not at all.

use std::time::{Duration, SystemTime};

use leat::features::FittedState;
use leat_aws::{Aws, Failure, Vars};
use leat_lake::Lake;
use leat_stream::serving::Serving;

use super::world::{RECIPE, engine_of};
use crate::config::Config;
use crate::model::Models;

/// Seconds of the wall clock.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
}

/// A lake with recipes and states, and the file that says what serves.
struct Place {
    lake: Lake,
    aws: Aws,
    folder: std::path::PathBuf,
}

impl Place {
    /// `deployed` is what a deploy put there.
    async fn new(name: &str, deployed: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("leat-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let _ = std::fs::remove_file(folder.join("serving.json"));
        let place = Place { lake: Lake::new(&Vars::new()), aws: Aws::default(), folder };
        place.lake.write("memory:r/world/recipe.yaml", deployed.to_owned()).await.unwrap();
        place
    }

    async fn models(&self) -> Result<Models<'_>, Failure> {
        let serving = format!("file:{}", self.folder.join("serving.json").display());
        let vars = [
            ("LEAT_RECIPE", "memory:r/world/recipe.yaml"),
            ("LEAT_STATE", "memory:"),
            ("LEAT_SINKS", "log:"),
            ("LEAT_QUARANTINE", "log:"),
            ("LEAT_SERVING", &serving),
        ];
        let vars = vars.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Models::start(&Config::from_vars(&vars).unwrap(), &self.lake, &self.aws).await
    }

    /// A pair of `recipe`: the recipe where a promotion keeps it, and its state.
    async fn pair(&self, recipe: &str, endpoint: &str) -> Serving {
        let engine = engine_of(recipe);
        let url = format!("memory:r/world/{}/recipe.yaml", engine.hash());
        self.lake.write(&url, recipe.to_owned()).await.unwrap();
        let state =
            FittedState::new(engine.recipe(), engine.plan(), engine.hash(), 0, &[None]).unwrap();
        let url = format!("memory:r/states/{}.json", state.hash);
        self.lake.write(&url, state.to_json()).await.unwrap();
        Serving {
            endpoint: Some(endpoint.into()),
            state: url,
            state_hash: state.hash,
            recipe_hash: engine.hash().into(),
            state_plan: engine.plan().state_plan.clone(),
        }
    }

    fn serves(&self, serving: &Serving) {
        // Written whole, as the table's item is.
        let next = self.folder.join("next");
        std::fs::write(&next, serde_json::to_vec(serving).unwrap()).unwrap();
        std::fs::rename(next, self.folder.join("serving.json")).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The recipe that a promotion brings: other windows.
fn other() -> String {
    RECIPE.replace("over: [1h]", "over: [1h, 24h]")
}

#[tokio::test]
async fn a_sandbox_that_slept_through_the_switch() {
    let place = Place::new("slept", RECIPE).await;
    let models = place.models().await.unwrap();
    // Nothing serves: that is legal.
    let model = models.current(at(0)).await.unwrap();
    assert!(model.fitted.is_none());
    // The first launch.
    let one = place.pair(RECIPE, "one").await;
    place.serves(&one);
    assert!(models.current(at(29)).await.unwrap().fitted.is_none());
    let model = models.current(at(30)).await.unwrap();
    assert_eq!(model.fitted.as_ref().unwrap().endpoint.as_deref(), Some("one"));
    // Nothing changed: it is read and not bound again.
    assert!(std::rc::Rc::ptr_eq(&model, &models.current(at(61)).await.unwrap()));
    // A switch to another recipe, with the sandbox asleep: it wakes an hour later, and whatever its own clock of
    // running time says, it reads before it works.
    let two = place.pair(&other(), "two").await;
    place.serves(&two);
    let model = models.current(at(3661)).await.unwrap();
    let fitted = model.fitted.as_ref().unwrap();
    assert_eq!(fitted.endpoint.as_deref(), Some("two"));
    assert_eq!(model.engine.hash(), two.recipe_hash);
    assert_eq!(model.engine.plan().state_plan, two.state_plan);
    assert!(two.state_hash.starts_with(&fitted.hash));
    // A clock that goes back says nothing of the age.
    place.serves(&one);
    let model = models.current(at(3000)).await.unwrap();
    assert_eq!(model.fitted.as_ref().unwrap().endpoint.as_deref(), Some("one"));
    // Told that an item is closed, it reads at once.
    place.serves(&two);
    models.forget();
    let model = models.current(at(3001)).await.unwrap();
    assert_eq!(model.engine.hash(), two.recipe_hash);
}

#[tokio::test]
async fn a_deploy_changes_nothing_that_serves() {
    let place = Place::new("deploy", RECIPE).await;
    let one = place.pair(RECIPE, "one").await;
    place.serves(&one);
    // A deploy brings another recipe; a new sandbox starts.
    place.lake.write("memory:r/world/recipe.yaml", other()).await.unwrap();
    let models = place.models().await.unwrap();
    let model = models.current(at(0)).await.unwrap();
    assert_eq!(model.engine.hash(), one.recipe_hash);
    assert_eq!(model.engine.plan().state_plan, one.state_plan);
}

#[tokio::test]
async fn a_pair_is_whole_or_is_not_taken() {
    let place = Place::new("whole", RECIPE).await;
    let models = place.models().await.unwrap();
    let (one, two) = (place.pair(RECIPE, "one").await, place.pair(&other(), "two").await);
    let refused = async |serving: Serving, word: &str, part: &str| {
        place.serves(&serving);
        models.forget();
        let why = models.current(at(0)).await.unwrap_err();
        assert_eq!(why.word(), word, "{why}");
        assert!(why.to_string().contains(part), "{part}: {why}");
    };
    // The state of one recipe with the hash of another; a state that is another than it says; a plan that is not the
    // recipe's.
    let mixed = Serving { state: one.state.clone(), ..two.clone() };
    refused(mixed, "Recipe.Invalid", "what serves is not whole").await;
    let mixed = Serving { state_hash: "0".repeat(64), ..one.clone() };
    refused(mixed, "Recipe.Invalid", "has the hash").await;
    let mixed = Serving { state_plan: two.state_plan.clone(), ..one.clone() };
    refused(mixed, "Recipe.Invalid", "state plan").await;
    // A recipe of a hash under which another one lies, or none; and what is no hash.
    let hash = "a".repeat(64);
    let url = format!("memory:r/world/{hash}/recipe.yaml");
    let lost = Serving { recipe_hash: hash.clone(), ..one.clone() };
    refused(lost.clone(), "Config.Invalid", &url).await;
    place.lake.write(&url, RECIPE).await.unwrap();
    refused(lost, "Recipe.Invalid", "its recipe's hash is").await;
    let odd = Serving { recipe_hash: "../x".into(), ..one.clone() };
    refused(odd, "Recipe.Invalid", "which is no hash").await;
    // Whatever was refused, the next whole pair is taken.
    place.serves(&one);
    let model = models.current(at(1)).await.unwrap();
    assert_eq!(model.fitted.as_ref().unwrap().endpoint.as_deref(), Some("one"));
}
