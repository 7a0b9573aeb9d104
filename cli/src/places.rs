//! Where things lie: a path, a URL, or standard input.

use std::path::Path;
use std::sync::OnceLock;

use leat_lake::{Folder, Lake, LakeError};
use tokio::runtime::Runtime;

use crate::answer::Refusal;

/// Reads files and URLs. Clients and threads are made when a URL is first asked for.
#[derive(Debug, Default)]
pub struct Places(OnceLock<(Lake, Runtime)>);

/// True if `place` is a URL that the lake opens; `file:` is a path.
pub fn is_url(place: &str) -> bool {
    place.contains("://") && !place.starts_with("file:")
}

/// The path that `place` names.
pub fn path(place: &str) -> &Path {
    let rest = place.strip_prefix("file:").unwrap_or(place);
    Path::new(rest.strip_prefix("//").unwrap_or(rest))
}

/// The place of `name` beside `place`, a recipe's ruleset say.
pub fn beside(place: &str, name: &str) -> String {
    match place.rfind('/') {
        Some(at) => format!("{}/{name}", &place[..at]),
        None => name.to_owned(),
    }
}

impl Places {
    /// The text at `place`; `what` it is, for the error.
    pub fn read_text(&self, what: &str, place: &str) -> Result<String, Refusal> {
        if is_url(place) {
            let (lake, runtime) = self.lake()?;
            return runtime.block_on(lake.read_text(place)).map_err(|why| from_lake(what, &why));
        }
        let bytes = std::fs::read(path(place)).map_err(|why| {
            Refusal::new(format!("cannot read the {what} {place}: {}", why_of(&why)))
        })?;
        String::from_utf8(bytes)
            .map_err(|_| Refusal::new(format!("cannot read the {what} {place}: it is not UTF-8")))
    }

    /// The folder at `url`.
    pub fn folder(&self, url: &str) -> Result<Folder, Refusal> {
        let (lake, _) = self.lake()?;
        lake.folder(url).map_err(|why| from_lake("data", &why))
    }

    /// Waits for what the lake does.
    pub fn wait<T>(&self, work: impl Future<Output = Result<T, LakeError>>) -> Result<T, Refusal> {
        let (_, runtime) = self.lake()?;
        runtime.block_on(work).map_err(|why| from_lake("data", &why))
    }

    /// Waits for `work`, whatever it may err with.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let (_, runtime) = self.lake()?;
        Ok(runtime.block_on(work))
    }

    fn lake(&self) -> Result<&(Lake, Runtime), Refusal> {
        if let Some(lake) = self.0.get() {
            return Ok(lake);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| Refusal::new(format!("cannot start: {why}")))?;
        let lake = Lake::new(&std::env::vars().collect());
        Ok(self.0.get_or_init(|| (lake, runtime)))
    }
}

fn from_lake(what: &str, why: &LakeError) -> Refusal {
    Refusal::new(format!("cannot read the {what}: {why}"))
}

/// An error of the file system in a word or two.
pub fn why_of(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert!(is_url("s3://b/k") && is_url("gs://b") && !is_url("a/b") && !is_url("file:///a"));
        assert_eq!(path("file:///a/b"), Path::new("/a/b"));
        assert_eq!(path("file:a"), Path::new("a"));
        assert_eq!(path("a:b"), Path::new("a:b"));
        assert_eq!(beside("s3://b/r/recipe.yaml", "q.dqdl"), "s3://b/r/q.dqdl");
        assert_eq!(beside("recipe.yaml", "q.dqdl"), "q.dqdl");
    }
}
