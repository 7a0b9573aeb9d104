//! A second data set that rules compare with, read once and kept as what the rules ask of it: its columns, its number
//! of rows, sums, and hashes of keys and records. It takes 16 bytes for each distinct key, whatever the rows hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::counter::Keys;
use super::frequencies::{Hashed, ValueHasher};
use super::tree::{Rule, Ruleset, Single};
use crate::column::{Column, Type};
use crate::number::Moments;

/// The data is named so where a rule names data sets.
pub const PRIMARY: &str = "primary";
/// The most keys of a reference data set; with more a rule says that it cannot be evaluated.
pub const MOST_KEYS: usize = 1 << 25;

/// Reference data sets by alias.
pub type References = BTreeMap<String, Reference>;

/// What rules ask of a reference data set.
#[derive(Debug)]
pub struct Reference {
    columns: Vec<(String, Type)>,
    rows: u64,
    keys: Vec<(Vec<usize>, Arc<Keys>)>,
    records: Vec<(Vec<usize>, Vec<usize>, Arc<Keyed>)>,
    sums: Vec<(usize, Moments)>,
}

/// Hashes of records by the hash of their key.
#[derive(Clone, Debug, Default)]
pub struct Keyed {
    records: HashMap<u128, u128, BuildHasherDefault<Hashed>>,
    /// Whether a key stands twice.
    pub repeats: bool,
}

impl Keyed {
    /// Whether there is this record under this key.
    pub fn has(&self, key: u128, record: u128) -> bool {
        self.records.get(&key) == Some(&record)
    }
}

/// The columns of a key here and there, in the same order.
#[derive(Debug, Default, PartialEq)]
pub struct Mapping {
    /// Names in the data.
    pub here: Vec<String>,
    /// Names in the reference.
    pub there: Vec<String>,
}

/// Reads `a->b,c`: column `a` here is `b` there, `c` is `c`.
pub fn mapping(text: &str) -> Mapping {
    let mut mapping = Mapping::default();
    for pair in text.split(',') {
        let (here, there) = pair.split_once("->").unwrap_or((pair, pair));
        mapping.here.push(here.trim().to_owned());
        mapping.there.push(there.trim().to_owned());
    }
    mapping
}

/// Reads `alias.column` or `alias.{a,b}`; none without an alias.
pub fn columns_of_alias(text: &str) -> Option<(&str, Vec<String>)> {
    let (alias, columns) = text.split_once('.')?;
    let columns = columns.trim();
    let inside = columns.strip_prefix('{').and_then(|inside| inside.strip_suffix('}'));
    Some((alias.trim(), columns_of(inside.unwrap_or(columns))))
}

/// Reads `a,b`, each perhaps with `primary.` before it.
pub fn columns_of(text: &str) -> Vec<String> {
    let text = text.trim();
    let text = text.strip_prefix("primary.").unwrap_or(text);
    let text = text.strip_prefix('{').and_then(|inside| inside.strip_suffix('}')).unwrap_or(text);
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

/// `sum(column)` or `avg(alias.column)`.
#[derive(Debug, PartialEq)]
pub struct Aggregate {
    /// True for `avg`, false for `sum`.
    pub mean: bool,
    /// The alias; none for the data itself.
    pub alias: Option<String>,
    /// The column.
    pub column: String,
}

/// Reads an aggregate. A name with a dot that is a column's in `primary` is that column.
pub fn aggregate(text: &str, primary: &[(String, Type)]) -> Result<Aggregate, String> {
    let refused = || {
        format!("`{text}` is no aggregate: write `sum(column)`, `avg(column)`, `sum(alias.column)`")
    };
    let (function, rest) = text.trim().split_once('(').ok_or_else(refused)?;
    let column = rest.strip_suffix(')').ok_or_else(refused)?.trim();
    let mean = match function.trim().to_ascii_lowercase().as_str() {
        "sum" => false,
        "avg" => true,
        _ => return Err(refused()),
    };
    let own = primary.iter().any(|(name, _)| name == column);
    let (alias, column) = match column.split_once('.') {
        Some((alias, column)) if !own => {
            ((alias != PRIMARY).then(|| alias.to_owned()), column.to_owned())
        }
        _ => (None, column.to_owned()),
    };
    Ok(Aggregate { mean, alias, column })
}

/// All rules of one type, those within composites too, and all analyzers.
pub fn singles(ruleset: &Ruleset) -> Vec<&Single> {
    fn walk<'r>(rule: &'r Rule, out: &mut Vec<&'r Single>) {
        match rule {
            Rule::Single(single) => out.push(single),
            Rule::Composite(composite) => composite.parts.iter().for_each(|part| walk(part, out)),
        }
    }
    let mut out = Vec::new();
    ruleset.rules.iter().for_each(|rule| walk(rule, &mut out));
    out.extend(&ruleset.analyzers);
    out
}

/// The aliases of the data sets that the rules compare with.
pub fn aliases(ruleset: &Ruleset, primary: &[(String, Type)]) -> BTreeSet<String> {
    let mut aliases = BTreeSet::new();
    for single in singles(ruleset) {
        let text = |at: usize| single.parameters.get(at).map_or("", |p| ruleset.text(p));
        match single.kind.name {
            "RowCountMatch" | "SchemaMatch" | "DatasetMatch" => {
                aliases.insert(text(0).to_owned());
            }
            "ReferentialIntegrity" => {
                aliases.extend(columns_of_alias(text(1)).map(|(alias, _)| alias.to_owned()));
            }
            "AggregateMatch" => {
                let found = [0, 1].map(|at| aggregate(text(at), primary).ok()?.alias);
                aliases.extend(found.into_iter().flatten());
            }
            _ => {}
        }
    }
    aliases
}

impl Reference {
    /// Readies the data set `alias` with these columns for the rules of `ruleset` over data with the columns `primary`.
    pub fn new(
        ruleset: &Ruleset,
        alias: &str,
        columns: &[(String, Type)],
        primary: &[(String, Type)],
    ) -> Self {
        let mut reference = Reference {
            columns: columns.to_vec(),
            rows: 0,
            keys: Vec::new(),
            records: Vec::new(),
            sums: Vec::new(),
        };
        for single in singles(ruleset) {
            let text = |at: usize| single.parameters.get(at).map_or("", |p| ruleset.text(p));
            match single.kind.name {
                "ReferentialIntegrity" => {
                    let names = columns_of_alias(text(1)).filter(|(other, _)| *other == alias);
                    if let Some(slots) = names.and_then(|(_, names)| reference.slots(&names).ok()) {
                        reference.keys.push((slots, Arc::default()));
                    }
                }
                "DatasetMatch" if text(0) == alias => {
                    let (keys, compared) = match_columns(single, ruleset, primary);
                    let slots = (reference.slots(&keys.there), reference.slots(&compared.there));
                    if let (Ok(keys), Ok(compared)) = slots {
                        reference.records.push((keys, compared, Arc::default()));
                    }
                }
                "AggregateMatch" => {
                    for at in [0, 1] {
                        let Ok(aggregate) = aggregate(text(at), primary) else { continue };
                        if aggregate.alias.as_deref() == Some(alias) {
                            let slots = reference.slots(std::slice::from_ref(&aggregate.column));
                            let slots = slots.unwrap_or_default();
                            reference
                                .sums
                                .extend(slots.into_iter().map(|s| (s, Moments::default())));
                        }
                    }
                }
                _ => {}
            }
        }
        reference
    }

    /// Reads the first `rows` rows of `columns`, which are those of [`Reference::new`].
    pub fn update(&mut self, columns: &[Column], rows: usize) {
        self.rows = self.rows.saturating_add(rows as u64);
        let mut hasher = ValueHasher::default();
        for (slots, keys) in &mut self.keys {
            let keys = Arc::make_mut(keys);
            for row in 0..rows {
                let (key, nulls) = hasher.row(columns, slots, row);
                if nulls == 0 && keys.len() <= MOST_KEYS {
                    keys.insert(key);
                }
            }
        }
        for (keys, compared, keyed) in &mut self.records {
            let keyed = Arc::make_mut(keyed);
            for row in 0..rows {
                let (key, nulls) = hasher.row(columns, keys, row);
                let (record, _) = hasher.row(columns, compared, row);
                if nulls == 0 && keyed.records.len() <= MOST_KEYS {
                    keyed.repeats |= keyed.records.insert(key, record).is_some();
                }
            }
        }
        for (slot, moments) in &mut self.sums {
            if let Some(column) = columns.get(*slot) {
                (0..rows).filter_map(|row| column.number(row)).for_each(|x| moments.add(x));
            }
        }
    }

    /// Its columns.
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The slots of `names`, or the name that is none.
    pub(super) fn slots(&self, names: &[String]) -> Result<Vec<usize>, String> {
        names
            .iter()
            .map(|name| {
                let slot = self.columns.iter().position(|(column, _)| column == name);
                slot.ok_or_else(|| format!("the reference data set has no column `{name}`"))
            })
            .collect()
    }

    /// That a column here and the one it is compared with are not of one kind, so that no values could be equal.
    pub(super) fn unlike(
        &self,
        ours: &[(String, Type)],
        here: &[usize],
        there: &[usize],
    ) -> Option<String> {
        let unlike = |(here, there): &(&usize, &usize)| {
            let (here, there) = (ours[**here].1, self.columns[**there].1);
            here != there && !(here.is_numeric() && there.is_numeric())
        };
        let (here, there) = here.iter().zip(there).find(unlike)?;
        let ((here, ours), (there, theirs)) = (&ours[*here], &self.columns[*there]);
        Some(format!("`{here}` is {ours} here and `{there}` is {theirs} in the reference data set"))
    }

    /// The keys over `slots`; none if there are too many.
    pub(super) fn keys(&self, slots: &[usize]) -> Option<Arc<Keys>> {
        let found = self.keys.iter().find(|(other, _)| other == slots);
        found.map(|(_, keys)| keys.clone()).filter(|keys| keys.len() <= MOST_KEYS)
    }

    /// The records over `keys` and `compared`; as above.
    pub(super) fn records(&self, keys: &[usize], compared: &[usize]) -> Option<Arc<Keyed>> {
        let found = self.records.iter().find(|(k, c, _)| k == keys && c == compared);
        found.map(|(_, _, keyed)| keyed.clone()).filter(|k| k.records.len() <= MOST_KEYS)
    }

    /// The moments of the column in `slot`.
    pub(super) fn moments(&self, slot: usize) -> Option<&Moments> {
        self.sums.iter().find(|(other, _)| *other == slot).map(|(_, moments)| moments)
    }
}

/// The keys of a `DatasetMatch`, and the columns it compares: without a list all of `primary` that are no keys.
pub fn match_columns(
    single: &Single,
    ruleset: &Ruleset,
    primary: &[(String, Type)],
) -> (Mapping, Mapping) {
    let text = |at: usize| single.parameters.get(at).map(|p| ruleset.text(p));
    let keys = mapping(text(1).unwrap_or_default());
    let compared = match text(2) {
        Some(text) => mapping(text),
        None => {
            let rest =
                primary.iter().map(|(name, _)| name).filter(|name| !keys.here.contains(name));
            let rest: Vec<String> = rest.cloned().collect();
            Mapping { here: rest.clone(), there: rest }
        }
    };
    (keys, compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_and_aliases() {
        let mapped = mapping("a->b, c");
        assert_eq!((mapped.here, mapped.there), (names(&["a", "c"]), names(&["b", "c"])));
        assert_eq!(columns_of_alias("ref.{a, b}"), Some(("ref", names(&["a", "b"]))));
        assert_eq!(columns_of_alias("ref.State Name"), Some(("ref", names(&["State Name"]))));
        assert_eq!(columns_of_alias("ref"), None);
        assert_eq!(columns_of("primary.{a,b}"), names(&["a", "b"]));
        let primary = [("x.y".to_owned(), Type::Double)];
        let of = |text| aggregate(text, &primary);
        let sum = |alias: Option<&str>, column: &str| {
            Ok(Aggregate { mean: false, alias: alias.map(str::to_owned), column: column.into() })
        };
        assert_eq!(of("SUM(ref.a)"), sum(Some("ref"), "a"));
        assert_eq!(of("sum(x.y)"), sum(None, "x.y"));
        assert_eq!(of("sum(primary.a)"), sum(None, "a"));
        assert!(of("max(a)").is_err() && of("a").is_err() && of("sum(a").is_err());
    }
}
