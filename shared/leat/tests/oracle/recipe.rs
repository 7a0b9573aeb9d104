//! A recipe as the oracle understands it, and as it is written for the engine.

use crate::expression::E;
use crate::random::Random;
use crate::steps::Step;
use crate::value::Kind;

/// The fields, in order. `id`, `who` and `at` have roles, `label` too.
pub const FIELDS: [(&str, Kind); 10] = [
    ("id", Kind::Text),
    ("who", Kind::Text),
    ("at", Kind::Time),
    ("x", Kind::Double),
    ("y", Kind::Double),
    ("n", Kind::Long),
    ("s", Kind::Text),
    ("b", Kind::Bool),
    ("t", Kind::Time),
    ("label", Kind::Long),
];
pub const SECOND: i64 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Recipe {
    pub spark: bool,
    pub unknown: &'static str,
    /// Microseconds.
    pub max_ahead: Option<i64>,
    /// Microseconds and ids.
    pub dedupe: Option<(i64, usize)>,
    pub rules: Vec<Rule>,
    pub derives: Vec<(String, E)>,
    pub windows: Vec<Window>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Rule {
    Complete(&'static str),
    /// The column, a comparison, a number; true: null passes too.
    Number(&'static str, &'static str, f64, bool),
    Between(&'static str, f64, f64),
    /// True: null passes too.
    In(&'static str, Vec<&'static str>, bool),
    Matches(&'static str, &'static str),
}

#[derive(Clone, Debug)]
pub enum Window {
    Over {
        /// The function and its column; none is rows.
        aggregates: Vec<(&'static str, Option<String>)>,
        /// Seconds.
        over: Vec<i64>,
        /// So many events at most; none: sawtooth.
        exact: Option<usize>,
        exclude_current: bool,
    },
    Session {
        /// Seconds.
        gap: i64,
        /// Seconds.
        max: Option<i64>,
    },
}

/// Spans in seconds, each in one window only: their columns are named by them.
const SPANS: [i64; 9] = [1, 45, 60, 600, 3_600, 7_200, 43_200, 86_400, 1_209_600];

impl Recipe {
    pub fn random(r: &mut Random) -> Recipe {
        let mut columns: Vec<(String, Kind)> =
            FIELDS[1..9].iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        let mut derives = Vec::new();
        for at in 0..r.below(5) {
            let kind = *r.pick(&[Kind::Double, Kind::Double, Kind::Long, Kind::Bool, Kind::Text]);
            let e = E::random(r, kind, &columns, 3);
            let name = format!("d{at}");
            columns.push((name.clone(), kind));
            derives.push((name, e));
        }
        let numbers: Vec<String> = columns
            .iter()
            .filter(|(_, k)| matches!(k, Kind::Long | Kind::Double))
            .map(|(n, _)| n.clone())
            .collect();
        let any: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let mut spans = SPANS.to_vec();
        let mut windows = Vec::new();
        for _ in 0..r.below(4) {
            let mut aggregates = Vec::new();
            for function in ["sum", "mean", "max", "count"] {
                let column = match function {
                    "count" if r.one_in(2) => None,
                    "count" => Some(r.pick(&any).clone()),
                    _ => Some(r.pick(&numbers).clone()),
                };
                if r.one_in(2) {
                    aggregates.push((function, column));
                }
            }
            if aggregates.is_empty() {
                aggregates.push(("count", None));
            }
            let over = (0..=r.below(2)).map(|_| spans.remove(r.below(spans.len()))).collect();
            let exact = r.one_in(2).then(|| 1 + r.below(6));
            windows.push(Window::Over { aggregates, over, exact, exclude_current: r.one_in(3) });
        }
        if r.one_in(2) {
            let gap = *r.pick(&[1, 60, 1800]);
            windows.push(Window::Session { gap, max: r.one_in(2).then(|| gap * 3) });
        }
        for window in &windows {
            columns.extend(window.columns().into_iter().map(|column| (column.name, column.kind)));
        }
        let spark = r.one_in(3);
        Recipe {
            spark,
            unknown: *r.pick(&["keep", "drop", "quarantine"]),
            max_ahead: r.one_in(2).then_some(300 * SECOND),
            dedupe: r.one_in(2).then(|| (*r.pick(&[SECOND, 3600 * SECOND]), 1 + r.below(4))),
            rules: (0..r.below(4)).map(|_| Rule::random(r)).collect(),
            derives,
            windows,
            steps: Step::some(r, &mut columns),
        }
    }

    pub fn yaml(&self) -> String {
        let mut out = String::from("leat: 1\nname: r\n");
        out += if self.spark { "dialect: spark\n" } else { "dialect: sklearn\n" };
        out += "schema:\n  fields:\n";
        for (name, kind) in FIELDS {
            let role = match name {
                "id" => ", role: id",
                "who" => ", role: entity",
                "at" => ", role: event_time",
                "label" => ", role: label",
                _ => "",
            };
            out += &format!("    - {{name: {name}, type: {}{role}}}\n", kind.word());
        }
        out += &format!("  unknown_fields: {}\n", self.unknown);
        if let Some(micros) = self.max_ahead {
            out += &format!("  max_ahead: {}s\n", micros / SECOND);
        }
        if let Some((within, ids)) = self.dedupe {
            out += &format!("  dedupe: {{within: {}s, max_ids: {ids}}}\n", within / SECOND);
        }
        if !self.rules.is_empty() {
            out += "quality: r.dqdl\n";
        }
        if !self.derives.is_empty() {
            out += "derive:\n";
            for (name, e) in &self.derives {
                out += &format!("  {name}: \"{}\"\n", e.sql());
            }
        }
        if !self.windows.is_empty() {
            out += "windows:\n";
            self.windows.iter().for_each(|window| out += &format!("  - {}\n", window.yaml()));
        }
        if !self.steps.is_empty() {
            out += "features:\n";
            self.steps.iter().for_each(|step| out += &format!("  - {}\n", step.yaml()));
        }
        out
    }

    pub fn dqdl(&self) -> String {
        let rules: Vec<String> = self.rules.iter().map(Rule::dqdl).collect();
        format!("Rules = [ {} ]", rules.join(", "))
    }
}

/// A column that a window makes.
pub struct WindowColumn {
    pub name: String,
    pub kind: Kind,
}

impl Window {
    /// Seconds that it reaches back.
    pub fn spans(&self) -> Vec<i64> {
        match self {
            Window::Over { over, .. } => over.clone(),
            Window::Session { gap, max } => max.iter().copied().chain([*gap]).collect(),
        }
    }

    /// In the order of spans, then of aggregates.
    pub fn columns(&self) -> Vec<WindowColumn> {
        match self {
            Window::Over { aggregates, over, .. } => {
                let mut columns = Vec::new();
                for span in over {
                    for (function, column) in aggregates {
                        let name = match column {
                            Some(column) => format!("{column}_{function}_{span}s"),
                            None => format!("{function}_{span}s"),
                        };
                        let kind = if *function == "count" { Kind::Long } else { Kind::Double };
                        columns.push(WindowColumn { name, kind });
                    }
                }
                columns
            }
            Window::Session { .. } => [
                ("session_id", Kind::Text),
                ("session_count", Kind::Long),
                ("session_duration", Kind::Double),
                ("session_since_previous", Kind::Double),
                ("session_number", Kind::Long),
            ]
            .map(|(name, kind)| WindowColumn { name: name.to_owned(), kind })
            .into(),
        }
    }

    fn yaml(&self) -> String {
        match self {
            Window::Over { aggregates, over, exact, exclude_current } => {
                let mut out = String::from("{");
                for (function, column) in aggregates {
                    out += &format!("{function}: {}, ", column.as_deref().unwrap_or("\"*\""));
                }
                let over: Vec<_> = over.iter().map(|span| format!("{span}s")).collect();
                out += &format!("over: [{}]", over.join(", "));
                if let Some(events) = exact {
                    out += &format!(", exact: true, max_events: {events}");
                }
                if *exclude_current {
                    out += ", exclude_current: true";
                }
                out + "}"
            }
            Window::Session { gap, max } => {
                let max = max.map(|max| format!(", max_duration: {max}s")).unwrap_or_default();
                format!(
                    "{{session: {gap}s{max}, emit: [id, count, duration, since_previous, number]}}"
                )
            }
        }
    }
}

impl Rule {
    fn random(r: &mut Random) -> Rule {
        match r.below(6) {
            0 => Rule::Complete(*r.pick(&["x", "n", "s", "b"])),
            1 => Rule::Between(*r.pick(&["x", "n"]), -10.0, 1e6),
            2 => Rule::In("s", vec!["a", "web", "Ünï", "7"], r.one_in(2)),
            3 => Rule::Matches("s", "[a-z']*"),
            _ => Rule::Number(
                *r.pick(&["x", "y", "n"]),
                *r.pick(&["=", "!=", ">", ">=", "<", "<="]),
                *r.pick(&[0.0, 1.5, 100.0, -3.0]),
                r.one_in(2),
            ),
        }
    }

    fn dqdl(&self) -> String {
        match self {
            Rule::Complete(column) => format!("IsComplete \"{column}\""),
            Rule::Number(column, sign, x, null) => {
                let rule = format!("ColumnValues \"{column}\" {sign} {x}");
                if *null { format!("({rule}) or (ColumnValues \"{column}\" = NULL)") } else { rule }
            }
            Rule::Between(column, low, high) => {
                format!("ColumnValues \"{column}\" between {low} and {high}")
            }
            Rule::In(column, texts, null) => {
                let mut list: Vec<String> =
                    texts.iter().map(|text| format!("\"{text}\"")).collect();
                list.extend(null.then(|| "NULL".to_owned()));
                format!("ColumnValues \"{column}\" in [{}]", list.join(", "))
            }
            Rule::Matches(column, pattern) => {
                format!("ColumnValues \"{column}\" matches \"{pattern}\"")
            }
        }
    }
}
