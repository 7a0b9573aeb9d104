//! From arguments to files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use leat::recipe::Format;
use leat_lake::{Folder, units};

use crate::answer::Refusal;
use crate::places::{self, Places};

/// A file to read.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, as coordinates and messages have it.
    pub name: String,
    /// Where it lies.
    pub place: Place,
    /// Its bytes, if they are known.
    pub size: Option<u64>,
    /// When it was last written, in milliseconds since 1970 UTC, if that is known.
    pub modified: Option<i64>,
    /// What is in it.
    pub format: Format,
}

/// Where a file lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// Standard input.
    Stdin,
    /// A file here.
    File(PathBuf),
    /// What was read before.
    Memory(Bytes),
    /// An object by its key.
    Object(Folder, String),
}

/// The files of all `arguments`, in their order; within a folder by name.
pub fn all(places: &Places, arguments: &[String], format: Format) -> Result<Vec<Item>, Refusal> {
    let mut items = Vec::new();
    for argument in arguments {
        let before = items.len();
        one(places, argument, format, &mut items)?;
        if items.len() == before {
            return Err(Refusal::new(format!("there is no data in {argument}"))
                .hint("names that begin with `.` or `_` are left out; so are units that are not published"));
        }
    }
    if items.iter().filter(|item| matches!(item.place, Place::Stdin)).count() > 1 {
        return Err(Refusal::new("`-` stands twice: standard input can be read once"));
    }
    Ok(items)
}

/// The files that `argument` names; none is no error, but a path that is not there is.
fn one(
    places: &Places,
    argument: &str,
    format: Format,
    items: &mut Vec<Item>,
) -> Result<(), Refusal> {
    if argument == "-" {
        let (name, place) = ("standard input".to_owned(), Place::Stdin);
        items.push(Item { name, place, size: None, modified: None, format });
        return Ok(());
    }
    if places::is_url(argument) {
        return url(places, argument, format, items);
    }
    let path = places::path(argument);
    let found = fs::metadata(path).map_err(|why| {
        Refusal::new(format!("cannot read the data {argument}: {}", places::why_of(&why)))
    })?;
    if !found.is_dir() {
        items.push(file(path, format, &found));
        Ok(())
    } else if path.join(units::PUBLISHED).is_dir() {
        let url = format!("file:{}", path.display());
        published(places, &places.folder(&url)?, items)
    } else {
        walk(path, format, items)
    }
}

/// The files that a rule names, whatever they hold; none where there are none.
pub fn listing(places: &Places, path: &str) -> Result<Vec<Item>, Refusal> {
    let mut items = Vec::new();
    if places::is_url(path) || places::path(path).exists() {
        one(places, path, Format::Json, &mut items)?;
    }
    Ok(items)
}

fn file(path: &Path, format: Format, found: &fs::Metadata) -> Item {
    let name = path.display().to_string();
    let format = format_of(&name, format);
    let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    Item { name, place: Place::File(path.into()), size: Some(found.len()), modified, format }
}

/// All files below `folder` but hidden ones.
fn walk(folder: &Path, format: Format, items: &mut Vec<Item>) -> Result<(), Refusal> {
    let refuse = |why: std::io::Error| {
        Refusal::new(format!(
            "cannot read the folder {}: {}",
            folder.display(),
            places::why_of(&why)
        ))
    };
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(refuse)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let found = fs::metadata(entry.path()).map_err(refuse)?;
        if found.is_dir() {
            walk(&entry.path(), format, items)?;
        } else {
            items.push(file(&entry.path(), format, &found));
        }
    }
    Ok(())
}

/// The object at `url`, or all that lies below it.
fn url(places: &Places, url: &str, format: Format, items: &mut Vec<Item>) -> Result<(), Refusal> {
    let folder = places.folder(url)?;
    let objects = places.wait(folder.list(""))?;
    if objects.iter().any(|object| object.key.starts_with(&format!("{}/", units::PUBLISHED))) {
        return published(places, &folder, items);
    }
    for object in &objects {
        if !object.key.split('/').any(hidden) {
            let modified = Some(object.modified);
            let found = self::object(&folder, &object.key, format, Some(object.size));
            items.push(Item { modified, ..found });
        }
    }
    let named = url.rsplit_once('/').filter(|(_, key)| objects.is_empty() && !key.is_empty());
    if let Some((parent, key)) = named {
        items.push(object(&places.folder(&format!("{parent}/"))?, key, format, None));
    }
    Ok(())
}

/// The files of a data set's published units.
fn published(places: &Places, folder: &Folder, items: &mut Vec<Item>) -> Result<(), Refusal> {
    for unit in places.wait(units::live(folder))? {
        for file in &unit.files {
            items.push(object(folder, &file.path, Format::Parquet, Some(file.bytes)));
        }
    }
    Ok(())
}

fn object(folder: &Folder, key: &str, format: Format, size: Option<u64>) -> Item {
    let format = format_of(key, format);
    Item {
        name: folder.url(key),
        place: Place::Object(folder.clone(), key.to_owned()),
        size,
        modified: None,
        format,
    }
}

fn hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// What a name tells of a file's content.
fn format_of(name: &str, format: Format) -> Format {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "json" | "jsonl" | "ndjson" => Format::Json,
        "csv" => Format::Csv,
        "parquet" => Format::Parquet,
        _ => format,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_order_without_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}\n").unwrap();
        };
        for name in ["b.jsonl", "a/x.csv.gz", "a/.hidden", "_temporary/c", "z"] {
            write(name);
        }
        let place = folder.path().display().to_string();
        let found = all(&Places::default(), &[place], Format::Json).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|item| (&item.name[folder.path().as_os_str().len() + 1..], item.format))
            .collect();
        assert_eq!(
            names,
            [("a/x.csv.gz", Format::Csv), ("b.jsonl", Format::Json), ("z", Format::Json)]
        );
        let none = all(&Places::default(), &["no/such".into()], Format::Json);
        assert!(none.is_err());
        let twice = all(&Places::default(), &["-".into(), "-".into()], Format::Json);
        assert!(twice.is_err());
    }
}
