//! Each rule type by the examples of AWS Glue's documentation, and by the cases on which it is silent.

use std::collections::BTreeMap;

use crate::column::{Column, Type, Value};
use crate::quality::history::History;
use crate::quality::listing::{DATA, File, HashAlgorithm, Listings};
use crate::quality::reference::{Reference, References, aliases};
use crate::quality::sql::Answer;
use crate::quality::{
    Context, Evaluation, FilteredRow, Method, Metrics, Outcome, RULE_TYPES, Report, RowAction,
    RowVerdicts, Status, parse,
};
use crate::timestamp;

/// 2026-03-01T00:30:00Z in milliseconds.
const NOW: i64 = 1_772_325_000_000;

/// A data set: its columns and their values.
#[derive(Clone)]
struct Data(Vec<(String, Type)>, Vec<Column>, usize);

impl Data {
    fn new(columns: &[(&str, Column)]) -> Self {
        let named = columns.iter().map(|(name, c)| ((*name).to_owned(), c.kind())).collect();
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        Data(named, columns.iter().map(|(_, column)| column.clone()).collect(), rows)
    }
}

fn doubles(values: &[Option<f64>]) -> Column {
    Column::doubles(values.iter().copied())
}

fn longs(values: &[i64]) -> Column {
    Column::longs(values.iter().map(|x| Some(*x)))
}

fn texts(values: &[Option<&str>]) -> Column {
    Column::strings(values.iter().copied())
}

fn times(values: &[&str]) -> Column {
    let mut column = Column::new(Type::Timestamp);
    for text in values {
        column.push(timestamp::parse(text).map_or(Value::Null, Value::Timestamp));
    }
    column
}

/// Six people; some values are missing.
fn people() -> Data {
    Data::new(&[
        ("id", longs(&[1, 2, 3, 4, 5, 5])),
        ("age", doubles(&[Some(20.0), Some(30.0), None, Some(40.0), Some(20.0), Some(50.0)])),
        ("name", texts(&[Some("Al"), Some("Bo"), Some(""), Some("Bo"), None, Some("Chris")])),
        ("city", texts(&[Some("HK"), Some("NY"), Some("HK"), None, Some("HK"), Some("XX")])),
        (
            "seen",
            times(&[
                "2026-02-28T23:30:00Z",
                "2026-02-28T00:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-02-27T12:00:00Z",
                "2026-02-28T12:00:00Z",
                "2026-02-28T23:59:00Z",
            ]),
        ),
        (
            "code",
            texts(&[Some("1"), Some(" 2 "), Some("3.5"), Some("x"), None, Some("2147483648")]),
        ),
    ])
}

fn cities() -> Data {
    Data::new(&[
        ("state_code", texts(&[Some("HK"), Some("NY"), Some("LA"), None])),
        ("size", doubles(&[Some(10.0), Some(20.0), Some(30.0), Some(40.0)])),
    ])
}

struct Case<'a> {
    data: Data,
    references: Vec<(&'a str, Data)>,
    files: Listings,
    history: Vec<(&'a str, Vec<f64>)>,
    method: Method,
}

impl Case<'_> {
    fn of(data: Data) -> Self {
        Case {
            data,
            references: Vec::new(),
            files: Listings::new(),
            history: Vec::new(),
            method: Method::Column,
        }
    }

    fn evaluate(&self, sections: &str) -> (Report, Vec<RowVerdicts>) {
        let ruleset = parse("q", sections).unwrap();
        let Data(columns, values, rows) = &self.data;
        let mut references = References::new();
        for (alias, Data(theirs, values, rows)) in &self.references {
            let mut reference = Reference::new(&ruleset, alias, theirs, columns);
            reference.update(values, *rows);
            references.insert((*alias).to_owned(), reference);
        }
        let runs = self.history.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
        let history = History::new((0..runs).map(|run| {
            let value = |(name, values): &(&str, Vec<f64>)| {
                values.get(run).map(|value| ((*name).to_owned(), *value))
            };
            self.history.iter().filter_map(value).collect::<BTreeMap<_, _>>()
        }));
        let context = Context {
            references: &references,
            files: &self.files,
            history: Some(&history),
            ..Context::new(Some(NOW), self.method)
        };
        let evaluation = Evaluation::within(&ruleset, columns, &context)
            .unwrap_or_else(|errors| panic!("{sections}: {errors:?}"));
        let mut metrics = evaluation.start();
        evaluation.update(&mut metrics, values, *rows);
        let verdicts = evaluation.judge(&metrics, values, *rows, FilteredRow::Skipped).unwrap();
        (evaluation.report(&metrics).unwrap(), verdicts)
    }

    fn outcome(&self, rule: &str) -> Outcome {
        self.evaluate(&format!("Rules = [ {rule} ]")).0.outcomes.remove(0)
    }

    /// `rule` passes, and measures `metrics`.
    #[track_caller]
    fn passes(&self, rule: &str, metrics: &[(&str, f64)]) {
        let outcome = self.outcome(rule);
        assert_eq!(outcome.outcome, Status::Passed, "{rule}: {outcome:?}");
        self.measures(&outcome, metrics);
    }

    /// `rule` fails for a reason that contains `why`, and measures `metrics`.
    #[track_caller]
    fn fails(&self, rule: &str, why: &str, metrics: &[(&str, f64)]) {
        let outcome = self.outcome(rule);
        assert_eq!(outcome.outcome, Status::Failed, "{rule}: {outcome:?}");
        let reason = outcome.reason.as_deref().unwrap_or_default();
        assert!(reason.contains(why), "{rule}: {reason}");
        self.measures(&outcome, metrics);
    }

    #[track_caller]
    fn measures(&self, outcome: &Outcome, metrics: &[(&str, f64)]) {
        let found: Vec<_> = outcome.metrics.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(found, metrics, "{}", outcome.rule);
    }

    /// What `rule` says of each row: `+` passed, `-` failed, `s` skipped, ` ` nothing.
    #[track_caller]
    fn rows(&self, rule: &str, expected: &str) {
        let (_, verdicts) = self.evaluate(&format!("Rules = [ {rule} ]"));
        let of = |verdict: &RowVerdicts| {
            let said = [(&verdict.passed, '+'), (&verdict.failed, '-'), (&verdict.skipped, 's')];
            said.iter().find(|(rules, _)| rules.contains(&0)).map_or(' ', |(_, sign)| *sign)
        };
        assert_eq!(verdicts.iter().map(of).collect::<String>(), expected, "{rule}");
    }
}

const UNMET: &str = "does not meet the constraint requirement!";

#[test]
fn row_count() {
    let case = Case::of(people());
    case.passes("RowCount > 5", &[("Dataset.*.RowCount", 6.0)]);
    case.passes("RowCount between 1 and 100", &[("Dataset.*.RowCount", 6.0)]);
    case.fails("RowCount != 6", UNMET, &[("Dataset.*.RowCount", 6.0)]);
    case.passes("RowCount = 3 where \"city = 'HK'\"", &[("Dataset.*.RowCount", 3.0)]);
    // The 0 that `where` leaves is compared.
    case.passes("RowCount = 0 where \"city = 'LA'\"", &[("Dataset.*.RowCount", 0.0)]);
    case.fails("RowCount > 0 where \"city = 'LA'\"", UNMET, &[("Dataset.*.RowCount", 0.0)]);
    case.rows("RowCount > 5", "      ");
}

#[test]
fn columns_and_their_names() {
    let case = Case::of(people());
    case.passes("ColumnCount = 6", &[("Dataset.*.ColumnCount", 6.0)]);
    case.fails("ColumnCount between 6 and 10", UNMET, &[("Dataset.*.ColumnCount", 6.0)]);
    case.passes("ColumnExists \"age\"", &[]);
    case.fails("ColumnExists \"Age\"", "there is no column `Age`", &[]);
    let ratio = "Dataset.*.ColumnNamesPatternMatchRatio";
    case.passes("ColumnNamesMatchPattern \"[a-z]\"", &[(ratio, 1.0)]); // a match anywhere
    case.fails(
        "ColumnNamesMatchPattern \"^.{2,3}$\"",
        "name, city, seen, code",
        &[(ratio, 1.0 - 4.0 / 6.0)],
    );
}

#[test]
fn completeness() {
    let case = Case::of(people());
    let of = [("Column.age.Completeness", 5.0 / 6.0)];
    case.passes("Completeness \"age\" > 0.8", &of);
    case.fails("Completeness \"age\" > 0.95", UNMET, &of);
    case.fails("IsComplete \"age\"", "Value: NULL", &of);
    case.passes("IsComplete \"age\" where \"id != 3\"", &[("Column.age.Completeness", 1.0)]);
    let name = [("Column.name.Completeness", 1.0)];
    case.passes("Completeness \"name\" = 1.0 where \"id <= 4\"", &name); // "" is a value
    case.rows("Completeness \"age\" > 0.8", "++-+++");
    case.rows("IsComplete \"age\" where \"id > 2\"", "ss-+++");
    case.fails("Completeness \"zip\" > 0.8", "there is no column `zip`", &[]);
}

#[test]
fn uniqueness() {
    let case = Case::of(people());
    // 20 twice; 30, 40, 50 once; a null is left out.
    case.passes("Uniqueness \"age\" > 0.5", &[("Column.age.Uniqueness", 3.0 / 5.0)]);
    case.passes("UniqueValueRatio \"age\" = 0.75", &[("Column.age.UniqueValueRatio", 0.75)]);
    case.passes("DistinctValuesCount \"age\" = 5", &[("Column.age.DistinctValuesCount", 5.0)]);
    case.fails(
        "IsUnique \"age\"",
        "2 of 6 rows hold a value that stands twice",
        &[("Column.age.Uniqueness", 0.6)],
    );
    case.rows("IsUnique \"age\"", "-+++-+");
    case.rows("IsUnique \"age\" where \"id < 5\"", "++++ss");
    case.passes("IsUnique \"age\" where \"id < 5\"", &[("Column.age.Uniqueness", 1.0)]);
    case.passes("IsUnique \"id\" \"age\"", &[("Multicolumn.id,age.Uniqueness", 1.0)]);
    case.passes("Uniqueness \"id\" \"name\" = 1.0", &[("Multicolumn.id,name.Uniqueness", 1.0)]);
    case.passes(
        "IsPrimaryKey \"id\" \"age\" where \"id != 3\"",
        &[("Multicolumn.id,age.Uniqueness", 1.0)],
    );
    case.fails("IsPrimaryKey \"id\"", "stands twice", &[("Column.id.Uniqueness", 4.0 / 6.0)]);
    case.fails(
        "IsPrimaryKey \"age\" where \"id < 5\"",
        "1 of 4 rows are null",
        &[("Column.age.Uniqueness", 1.0)],
    );
    case.rows("IsPrimaryKey \"age\"", "-+-+-+");
    case.rows("Uniqueness \"age\" > 0.5", "-+++-+");
    let outcome = case.outcome("IsUnique \"age\"");
    assert_eq!((outcome.passed_rows, outcome.failed_rows), (Some(4), Some(2)));
    // 2 of 5, and thrice 1 of 5.
    let entropy = -(0.4 * libm::log(0.4) + 3.0 * 0.2 * libm::log(0.2));
    let Outcome { outcome, metrics, .. } = case.outcome("Entropy \"age\" > 1");
    assert_eq!(outcome, Status::Passed);
    assert!((metrics["Column.age.Entropy"] - entropy).abs() < 1e-15);
}

#[test]
fn statistics() {
    // AWS Glue's example: 0, null, 20, null, 40 has the deviation 16.33.
    let case = Case::of(Data::new(&[
        ("A", doubles(&[Some(0.0), None, Some(20.0), None, Some(40.0)])),
        ("B", longs(&[1, 0, 2, 0, 3])),
        ("C", texts(&[Some("1"); 5])),
        ("D", longs(&[7; 5])),
    ]));
    case.passes(
        "StandardDeviation \"A\" between 16.32 and 16.34",
        &[("Column.A.StandardDeviation", (800.0f64 / 3.0).sqrt())],
    );
    case.passes("Variance \"A\" > 266", &[("Column.A.Variance", 800.0 / 3.0)]);
    case.passes("Mean \"A\" = 20", &[("Column.A.Mean", 20.0)]);
    case.passes("Sum \"A\" = 60", &[("Column.A.Sum", 60.0)]);
    case.passes("Sum \"A\" = 60 where \"A > 0\"", &[("Column.A.Sum", 60.0)]);
    case.passes("Mean \"A\" = 30 where \"A > 0\"", &[("Column.A.Mean", 30.0)]);
    case.fails("Mean \"A\" > 20", UNMET, &[("Column.A.Mean", 20.0)]);
    case.fails("Mean \"C\" > 0", "`C` is a column of string, and `Mean` takes numbers", &[]);
    case.passes("ColumnCorrelation \"A\" \"B\" = 1", &[("Multicolumn.A,B.ColumnCorrelation", 1.0)]);
    case.fails("ColumnCorrelation \"A\" \"D\" > 0", "a column does not vary", &[]);
    case.fails("ColumnCorrelation \"A\" \"C\" > 0", "is a column of string", &[]);
    let big = Case::of(Data::new(&[("A", longs(&[1 << 53, 1, -1]))]));
    big.passes("Sum \"A\" = 9007199254740992", &[("Column.A.Sum", 9_007_199_254_740_992.0)]);
}

#[test]
fn column_length() {
    let case = Case::of(people());
    let of = |share: f64| {
        [
            ("Column.name.ColumnLength.Compliance", share),
            ("Column.name.MaximumLength", 5.0),
            ("Column.name.MinimumLength", 0.0),
        ]
    };
    case.passes("ColumnLength \"name\" <= 5", &of(1.0)); // null has length 0
    case.fails("ColumnLength \"name\" between 1 and 6", "2 of 6 rows", &of(4.0 / 6.0));
    case.fails("ColumnLength \"name\" > 1", "2 of 6 rows", &of(4.0 / 6.0));
    case.rows("ColumnLength \"name\" > 1", "++-+-+");
    case.rows("ColumnLength \"name\" > 1 where \"name is not null\"", "++-+s+");
}

#[test]
fn column_values() {
    let case = Case::of(people());
    let of = |share: f64| {
        [
            ("Column.age.ColumnValues.Compliance", share),
            ("Column.age.Maximum", 50.0),
            ("Column.age.Minimum", 20.0),
        ]
    };
    case.fails("ColumnValues \"age\" between 10 and 100", "Value: NULL", &of(5.0 / 6.0));
    case.passes("ColumnValues \"age\" > 10 with threshold > 0.8", &of(5.0 / 6.0));
    case.passes("ColumnValues \"age\" > 10 where \"age is not null\"", &of(1.0));
    let city = |share| [("Column.city.ColumnValues.Compliance", share)];
    case.passes(
        "ColumnValues \"city\" in [\"HK\", \"NY\"] with threshold >= 0.6",
        &city(4.0 / 6.0),
    );
    case.passes(
        "ColumnValues \"city\" matches \"[A-Z]{2}\" with threshold > 0.8",
        &city(5.0 / 6.0),
    );
    case.fails("ColumnValues \"city\" != NULL", "1 of 6 rows", &city(5.0 / 6.0));
    case.rows("ColumnValues \"city\" in [\"HK\", \"NY\"]", "+++-+-");
    case.rows("ColumnValues \"city\" in [\"HK\", \"NY\"] where \"id < 3\"", "++ssss");
    case.rows("ColumnValues \"seen\" > (now() - 1 days)", "--+---");
}

#[test]
fn column_data_type() {
    let case = Case::of(people());
    let of = |share: f64| [("Column.code.ColumnDataType.Compliance", share)];
    case.fails(
        "ColumnDataType \"code\" = \"Integer\"",
        "Value: NULL does not meet the constraint requirement! (1 of 6 rows)",
        &of(0.5),
    );
    case.passes("ColumnDataType \"code\" = \"Integer\" with threshold >= 0.5", &of(0.5));
    case.passes("ColumnDataType \"code\" = \"Long\" with threshold > 0.6", &of(4.0 / 6.0));
    case.passes("ColumnDataType \"code\" = \"Integer\" where \"id < 4\"", &of(1.0));
    case.rows("ColumnDataType \"code\" = \"Integer\"", "+++---");
    let dates = Case::of(Data::new(&[("d", texts(&[Some("31/12/2024"), Some("2024-12-31")]))]));
    dates.rows("ColumnDataType \"d\" = \"Date\"", "-+");
    dates.rows("ColumnDataType \"d\" = \"Date\" with format = \"dd/MM/yyyy\"", "+-");
}

#[test]
fn data_freshness() {
    let case = Case::of(people());
    let of = |share: f64| [("Column.seen.DataFreshness.Compliance", share)];
    case.passes("DataFreshness \"seen\" <= 2 days", &of(1.0));
    case.fails("DataFreshness \"seen\" <= 24 hours", "2 of 6 rows", &of(4.0 / 6.0));
    case.passes("DataFreshness \"seen\" between 0 hours and 1 days where \"id > 4\"", &of(1.0));
    case.rows("DataFreshness \"seen\" < 61 minutes", "+-+--+");
    case.fails(
        "DataFreshness \"age\" < 1 days",
        "Value is no date",
        &[("Column.age.DataFreshness.Compliance", 0.0)],
    );
}

#[test]
fn reference_data_sets() {
    let mut case = Case::of(people());
    case.references = vec![("ref", cities()), ("same", people())];
    case.passes("RowCountMatch \"ref\" = 1.5", &[("Dataset.ref.RowCountMatch", 1.5)]);
    case.passes("SchemaMatch \"same\" = 1.0", &[("Dataset.same.SchemaMatch", 1.0)]);
    case.fails("SchemaMatch \"ref\" > 0.5", UNMET, &[("Dataset.ref.SchemaMatch", 0.0)]);
    // HK thrice, NY; null and XX are not there.
    let integrity = [("Column.ref.ReferentialIntegrity", 4.0 / 6.0)];
    case.passes("ReferentialIntegrity \"city\" \"ref.state_code\" > 0.6", &integrity);
    case.fails("ReferentialIntegrity \"city\" \"ref.{state_code}\" = 1.0", UNMET, &integrity);
    case.rows("ReferentialIntegrity \"city\" \"ref.state_code\" > 0.6", "+++-+-");
    case.passes(
        "ReferentialIntegrity \"id,age\" \"same.{id,age}\" > 0.8",
        &[("Column.same.ReferentialIntegrity", 5.0 / 6.0)],
    );
    case.fails("ReferentialIntegrity \"city\" \"ref.zip\" = 1.0", "has no column `zip`", &[]);
    case.fails(
        "ReferentialIntegrity \"city\" \"ref.size\" = 1.0",
        "`city` is string here and `size` is double",
        &[],
    );
    case.fails("ReferentialIntegrity \"zip\" \"ref.size\" = 1.0", "there is no column `zip`", &[]);
    // 160 by 100; the mean 32 by 25.
    case.passes(
        "AggregateMatch \"sum(age)\" \"sum(ref.size)\" = 1.6",
        &[("Column.age,size.AggregateMatch", 1.6)],
    );
    case.passes(
        "AggregateMatch \"avg(age)\" \"avg(ref.size)\" = 1.28",
        &[("Column.age,size.AggregateMatch", 1.28)],
    );
    case.passes(
        "AggregateMatch \"sum(age)\" \"sum(same.age)\" = 1.0",
        &[("Column.age.AggregateMatch", 1.0)],
    );
    case.fails("AggregateMatch \"sum(age)\" \"sum(ref.zip)\" = 1.0", "no column `zip`", &[]);
    case.fails("AggregateMatch \"sum(name)\" \"sum(age)\" = 1.0", "takes numbers", &[]);
}

#[test]
fn dataset_match() {
    let ours = Data::new(&[
        ("ID", longs(&[1, 2, 3, 4])),
        ("amount", doubles(&[Some(1.0), None, Some(3.0), Some(4.0)])),
        ("note", texts(&[Some("a"), Some("b"), Some("c"), Some("d")])),
    ]);
    let theirs = Data::new(&[
        ("ID_ref", longs(&[1, 2, 3, 5])),
        ("amount", doubles(&[Some(1.0), None, Some(9.0), Some(4.0)])),
        ("note", texts(&[Some("a"), Some("x"), Some("c"), Some("d")])),
    ]);
    let twice = Data::new(&[("ID", longs(&[1, 1])), ("amount", doubles(&[None, None]))]);
    let mut case = Case::of(ours);
    case.references = vec![("ref", theirs), ("twice", twice)];
    let of = |share: f64| [("Dataset.ref.DatasetMatch", share)];
    case.passes("DatasetMatch \"ref\" \"ID->ID_ref\" = 0.25", &of(0.25));
    case.passes("DatasetMatch \"ref\" \"ID->ID_ref\" \"amount\" = 0.5", &of(0.5)); // null is like null
    case.passes("DatasetMatch \"ref\" \"ID->ID_ref\" \"amount->amount,note\" >= 0.25", &of(0.25));
    case.rows("DatasetMatch \"ref\" \"ID->ID_ref\" \"amount\" = 0.5", "++--");
    case.fails("DatasetMatch \"ref\" \"ID\" = 1.0", "has no column `ID`", &[]);
    case.fails("DatasetMatch \"ref\" \"ID->ID_ref\" \"zip->note\" = 1.0", "no column `zip`", &[]);
    case.fails(
        "DatasetMatch \"twice\" \"ID\" \"amount\" = 1.0",
        "stands twice in the reference",
        &[],
    );
    let ruleset = parse("q", "Rules = [ DatasetMatch \"ref\" \"ID\" = 1.0, (RowCount > 0) AND (AggregateMatch \"sum(a)\" \"sum(x.b)\" = 1.0) ]").unwrap();
    assert_eq!(aliases(&ruleset, &[]).into_iter().collect::<Vec<_>>(), ["ref", "x"]);
}

#[test]
fn where_leaves_nothing() {
    let case = Case::of(people());
    for rule in [
        "IsComplete \"age\"",
        "Completeness \"age\" > 1",
        "IsUnique \"age\"",
        "IsPrimaryKey \"age\"",
        "Uniqueness \"age\" > 1",
        "UniqueValueRatio \"age\" > 1",
        "Entropy \"age\" > 9",
        "Mean \"age\" > 99",
        "Sum \"age\" > 999",
        "StandardDeviation \"age\" > 99",
        "Variance \"age\" > 9999",
        "ColumnCorrelation \"age\" \"id\" > 2",
        "ColumnLength \"age\" > 99",
        "ColumnValues \"age\" > 99",
        "ColumnDataType \"name\" = \"Date\"",
        "DataFreshness \"seen\" > 9 days",
    ] {
        let rule = format!("{rule} where \"city = 'LA'\"");
        let outcome = case.outcome(&rule);
        assert_eq!(outcome.outcome, Status::Passed, "{rule}: {outcome:?}");
        assert_eq!(outcome.reason.as_deref(), Some("No rows matched the filter"), "{rule}");
        assert!(outcome.metrics.is_empty(), "{rule}");
        case.rows(&rule, &row_signs(&case, &rule));
    }
    case.passes(
        "DistinctValuesCount \"age\" = 0 where \"city = 'LA'\"",
        &[("Column.age.DistinctValuesCount", 0.0)],
    );
    case.fails("Mean \"age\" > 1 where \"zip = 1\"", "there is no column `zip`", &[]);
    case.fails("IsComplete \"age\" where \"invalid%%clause\"", "`where` cannot be evaluated", &[]);
}

/// Rules about a column's numbers say nothing of rows; all others skip them.
fn row_signs(case: &Case<'_>, rule: &str) -> String {
    let sets = [
        "UniqueValueRatio",
        "Entropy",
        "Mean",
        "Sum",
        "StandardDeviation",
        "Variance",
        "ColumnCorrelation",
    ];
    let sign = if sets.iter().any(|set| rule.starts_with(set)) { " " } else { "s" };
    sign.repeat(case.data.2)
}

#[test]
fn nothing_has_no_share() {
    let empty = Case::of(Data::new(&[
        ("age", doubles(&[])),
        ("id", longs(&[])),
        ("name", texts(&[])),
        ("seen", times(&[])),
    ]));
    let null = Case::of(Data::new(&[
        ("age", doubles(&[None, None])),
        ("id", doubles(&[None, Some(1.0)])),
    ]));
    for rule in [
        "IsComplete \"age\"",
        "Completeness \"age\" >= 0",
        "IsUnique \"age\"",
        "IsPrimaryKey \"age\"",
        "Uniqueness \"age\" >= 0",
        "UniqueValueRatio \"age\" >= 0",
        "Entropy \"age\" >= 0",
        "Mean \"age\" != 9",
        "Sum \"age\" = 0",
        "StandardDeviation \"age\" >= 0",
        "Variance \"age\" >= 0",
        "ColumnCorrelation \"age\" \"id\" != 9",
        "ColumnLength \"age\" >= 0",
        "ColumnValues \"age\" != 9",
        "ColumnDataType \"name\" = \"Date\"",
        "DataFreshness \"seen\" < 9 days",
        "ColumnValues \"age\" > 0 with threshold >= 0",
    ] {
        empty.fails(rule, "the input is empty", &[]);
    }
    empty.passes("RowCount = 0", &[("Dataset.*.RowCount", 0.0)]);
    empty.passes("DistinctValuesCount \"age\" = 0", &[("Column.age.DistinctValuesCount", 0.0)]);
    empty.passes("ColumnExists \"age\"", &[]);
    for rule in [
        "IsUnique \"age\"",
        "Uniqueness \"age\" >= 0",
        "UniqueValueRatio \"age\" >= 0",
        "Entropy \"age\" >= 0",
        "Mean \"age\" != 9",
        "Sum \"age\" = 0",
        "StandardDeviation \"age\" >= 0",
        "Variance \"age\" >= 0",
        "ColumnCorrelation \"age\" \"id\" != 9",
    ] {
        null.fails(rule, "value", &[]);
    }
    null.fails("IsPrimaryKey \"age\"", "2 of 2 rows are null", &[("Column.age.Uniqueness", 0.0)]);
    null.passes("DistinctValuesCount \"age\" = 1", &[("Column.age.DistinctValuesCount", 1.0)]);
}

#[test]
fn composites_of_rows() {
    let mut case = Case::of(people());
    // Some rows meet one part and some the other.
    case.fails(
        "(ColumnValues \"age\" > 25) OR (ColumnValues \"age\" = NULL)",
        "rows",
        &[
            ("Column.age.ColumnValues.Compliance", 1.0 / 6.0),
            ("Column.age.Maximum", 50.0),
            ("Column.age.Minimum", 20.0),
        ],
    );
    case.rows("(ColumnValues \"age\" > 25) OR (ColumnValues \"age\" = NULL)", "-+++-+");
    case.rows("(IsComplete \"age\") AND (IsUnique \"age\")", "-+-+-+");
    case.rows("(IsComplete \"age\") AND (RowCount > 1)", "      ");
    case.method = Method::Row;
    case.rows("(ColumnValues \"age\" > 25) OR (ColumnValues \"age\" = NULL)", "-+++-+");
    case.passes("(ColumnValues \"age\" >= 20) OR (ColumnValues \"age\" = NULL)", &[]);
}

#[test]
fn earlier_runs() {
    let mut case = Case::of(people());
    case.history = vec![
        ("Dataset.*.RowCount", vec![6.0, 4.0, 5.0]),
        ("Column.age.Completeness", vec![0.8]),
        ("Column.age.Minimum", vec![20.0]),
        ("Column.age.Mean where id > 1", vec![1.0]),
    ];
    let outcome = case.outcome("RowCount > avg(last(3))");
    assert_eq!((outcome.outcome, outcome.reason), (Status::Passed, None));
    assert_eq!(outcome.evaluated, "RowCount > 5.0");
    let outcome = case.outcome("RowCount between 0.9 * avg(last(2)) and (1.1 * max(last(3)))");
    assert_eq!(outcome.outcome, Status::Passed);
    assert_eq!(outcome.evaluated, "RowCount between 0.9 * 5.0 and (1.1 * 6.0)");
    case.passes("RowCount = index(last(3), 0)", &[("Dataset.*.RowCount", 6.0)]);
    case.passes("Completeness \"age\" >= last()", &[("Column.age.Completeness", 5.0 / 6.0)]);
    // `>=` speaks of the least value.
    let outcome = case.outcome("ColumnValues \"age\" >= last() where \"age is not null\"");
    assert_eq!(outcome.evaluated, "ColumnValues \"age\" >= 0.0 where \"age is not null\"");
    let outcome = case.outcome("ColumnValues \"age\" >= last() with threshold > 0.8");
    assert_eq!(outcome.evaluated, "ColumnValues \"age\" >= 20.0 with threshold > 0.8");
    // A metric of other rows is another metric.
    let outcome = case.outcome("Mean \"age\" > last() where \"id > 1\"");
    assert_eq!(outcome.evaluated, "Mean \"age\" > 1.0 where \"id > 1\"");
    let outcome = case.outcome("Mean \"age\" > last()");
    assert_eq!(outcome.evaluated, "Mean \"age\" > 0.0");
    assert!(outcome.reason.unwrap().starts_with("no earlier run has this metric"));
    // No earlier run measured it, so that `last()` is 0.
    let outcome = case.outcome("Mean \"age\" > 10 / last()");
    assert_eq!(outcome.outcome, Status::Error);
    assert_eq!(outcome.reason.as_deref(), Some("`10 / 0.0` has no finite value"));
    let outcome = case.outcome("RowCount = index(last(9), 5)");
    assert_eq!(outcome.outcome, Status::Error);
    assert!(outcome.reason.unwrap().contains("there are 3 values of earlier runs"));
    assert!(
        case.outcome("(RowCount = index(last(9), 5)) OR (RowCount > 0)").outcome == Status::Passed
    );
    assert!(
        case.outcome("(RowCount = index(last(9), 5)) AND (RowCount > 0)").outcome == Status::Error
    );
    assert!(case.outcome("RowCount = index(last(9), 5)").halts());
    let (report, _) = case.evaluate("Rules = [ Mean \"age\" > 99 where \"id > 1\", RowCount > 9 ]");
    let measured: Vec<_> = report.measured.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    // Every run keeps what it measured, whatever the verdict.
    assert_eq!(measured, [("Column.age.Mean where id > 1", 35.0), ("Dataset.*.RowCount", 6.0)]);
}

#[test]
fn anomalies() {
    let mut case = Case::of(people());
    let rows = [("Dataset.*.RowCount", 6.0)];
    let outcome = case.outcome("DetectAnomalies \"RowCount\"");
    assert_eq!(outcome.reason.as_deref(), Some("not enough history: 0 of 7 runs"));
    assert_eq!(outcome.outcome, Status::Passed);
    case.history = vec![
        ("Dataset.*.RowCount", vec![6.0, 5.0, 7.0, 6.0, 5.0, 8.0, 6.0]),
        ("Column.age.Completeness", vec![1.0; 7]),
        ("Multicolumn.age,id.ColumnCorrelation", vec![0.0; 3]),
    ];
    case.passes("DetectAnomalies \"RowCount\"", &rows);
    case.fails(
        "DetectAnomalies \"Completeness\" \"age\"",
        "is an anomaly: expected 1.0 to 1.0",
        &[("Column.age.Completeness", 5.0 / 6.0)],
    );
    let outcome = case.outcome("DetectAnomalies \"ColumnCorrelation\" \"age\" \"id\"");
    assert_eq!(outcome.reason.as_deref(), Some("not enough history: 3 of 7 runs"));
    case.passes(
        "DetectAnomalies \"ColumnValues\" \"age\"",
        &[("Column.age.Maximum", 50.0), ("Column.age.Minimum", 20.0)],
    );
    case.fails("DetectAnomalies \"Mean\" \"zip\"", "there is no column `zip`", &[]);
    for (rule, why) in [
        ("DetectAnomalies \"RowCout\"", "the nearest is `RowCount`"),
        ("DetectAnomalies \"IsUnique\" \"age\"", "is no metric that can be watched"),
        ("DetectAnomalies \"Mean\"", "does not take 0 columns"),
    ] {
        let ruleset = parse("q", &format!("Rules = [ {rule} ]")).unwrap();
        let errors = Evaluation::compile(&ruleset, &case.data.0, None, Method::Column).unwrap_err();
        assert!(errors[0].message.contains(why), "{}", errors[0]);
    }
}

fn listed() -> Listings {
    let file = |path: &str, bytes: u64, modified: &str, hash: &str| File {
        path: path.to_owned(),
        bytes,
        modified: timestamp::parse(modified).map(|micros| micros / 1000),
        hashes: [
            (HashAlgorithm::Sha256, hash.to_owned()),
            (HashAlgorithm::Md5, format!("md5-{hash}")),
        ]
        .into(),
    };
    let a = file("s3://b/x/a.json", 2048, "2026-03-01T00:00:00Z", "aa");
    let b = file("s3://b/x/b.tmp", 10, "2026-02-27T10:00:00Z", "bb");
    let c = file("s3://b/y/c.json", 2048, "2026-02-28T20:00:00Z", "aa");
    Listings::from([
        ("s3://b/x/".to_owned(), vec![a.clone(), b.clone()]),
        ("s3://b/y/".to_owned(), vec![c.clone()]),
        ("s3://b/".to_owned(), vec![a.clone(), b, c]),
        (DATA.to_owned(), vec![a]),
        ("s3://none/".to_owned(), Vec::new()),
        ("s3://old/".to_owned(), vec![File { path: "s3://old/f".into(), ..File::default() }]),
    ])
}

#[test]
fn files() {
    let mut case = Case::of(people());
    case.files = listed();
    let fresh = |share, count| {
        [("Dataset.*.FileCount", count), ("Dataset.*.FileFreshness.Compliance", share)]
    };
    case.passes("FileFreshness \"s3://b/y/\" > (now() - 24 hours)", &fresh(1.0, 1.0));
    case.fails(
        "FileFreshness \"s3://b/x/\" > (now() - 24 hours)",
        "1 of 2 files",
        &fresh(0.5, 2.0),
    );
    case.passes(
        "FileFreshness \"s3://b/x/\" > (now() - 31 minutes) with threshold >= 0.5",
        &fresh(0.5, 2.0),
    );
    case.passes(
        "FileFreshness \"s3://b/\" between \"2026-02-26\" and \"2026-03-02\"",
        &fresh(1.0, 3.0),
    );
    case.passes("FileFreshness \"s3://b/\" > \"2020-01-01\"", &fresh(1.0, 3.0));
    case.passes("FileFreshness = \"2026-03-01\"", &fresh(1.0, 1.0)); // days, not instants
    // It is 19:30 on 28 February in New York, where the file came at 15:00.
    case.passes("FileFreshness \"s3://b/y/\" between \"2:59 PM\" and \"15:01\" with timeZone = \"America/New_York\"", &fresh(1.0, 1.0));
    case.fails("FileFreshness \"s3://b/y/\" > \"9:30 AM\"", "1 of 1 files", &fresh(0.0, 1.0));
    case.passes(
        "FileFreshness \"s3://b/x/\" > (now() - 1 days) with recentFiles = \"1\"",
        &fresh(1.0, 1.0),
    );
    case.passes(
        "FileFreshness \"s3://b/x/\" > (now() - 1 days) with uriRegex = \"json$\"",
        &fresh(1.0, 1.0),
    );
    case.fails("FileFreshness \"s3://none/\" > now()", "there is no file", &[]);
    case.fails("FileFreshness \"s3://old/\" > now()", "it is not known when", &[]);

    let size = |share, least, most| {
        [
            ("Dataset.*.FileCount", 2.0),
            ("Dataset.*.FileSize.Compliance", share),
            ("Dataset.*.MaximumFileSize", most),
            ("Dataset.*.MinimumFileSize", least),
        ]
    };
    case.passes("FileSize \"s3://b/x/\" > 5 B", &size(1.0, 10.0, 2048.0));
    case.fails("FileSize \"s3://b/x/\" > 1 KB", "1 of 2 files", &size(0.5, 10.0, 2048.0));
    case.passes(
        "FileSize \"s3://b/x/\" between 1 KB and 1 TB with threshold > 0.4",
        &size(0.5, 10.0, 2048.0),
    );
    case.fails(
        "FileSize \"s3://b/x/\" between 10 B and 2 KB",
        "2 of 2 files",
        &size(0.0, 10.0, 2048.0),
    );

    let count = |files| [("Dataset.*.FileCount", files)];
    case.passes("FileMatch \"s3://b/y/\" in [\"AA\", \"cc\"]", &count(1.0));
    case.fails("FileMatch \"s3://b/x/\" in [\"aa\"]", "the hashes of 1 of 2 files", &count(2.0));
    case.passes(
        "FileMatch \"s3://b/y/\" in [\"md5-aa\"] with hashAlgorithm = \"MD5\"",
        &count(1.0),
    );
    case.fails(
        "FileMatch \"s3://b/y/\" in [\"aa\"] with hashAlgorithm = \"SHA-1\"",
        "hash is not known",
        &[],
    );
    case.passes("FileMatch in [\"aa\"]", &count(1.0));
    case.passes("FileMatch \"s3://b/y/\" \"s3://b/y/\"", &count(1.0));
    case.fails("FileMatch \"s3://b/x/\" \"s3://b/y/\"", "are not the same", &count(2.0));

    let unique =
        |share, count| [("Dataset.*.FileCount", count), ("Dataset.*.FileUniquenessRatio", share)];
    case.passes("FileUniqueness \"s3://b/x/\" = 1", &unique(1.0, 2.0));
    case.fails("FileUniqueness \"s3://b/\" > 0.5", UNMET, &unique(1.0 / 3.0, 3.0));
    case.passes("FileUniqueness > 0.5", &unique(1.0, 1.0));

    for (rule, why) in [
        (
            "FileMatch \"s3://b/y/\" in [\"a\"] with hashAlgorithm = \"CRC\"",
            "`hashAlgorithm` is one of MD5",
        ),
        ("FileSize \"s3://b/y/\" > 1 B with recentFiles = \"few\"", "`recentFiles` is a number"),
        ("FileSize \"s3://b/y/\" > 1 B with filterOrder = \"name\"", "`filterOrder` is"),
        ("FileSize \"s3://b/y/\" > 1 B with uriRegex = \"(\"", "does not compile"),
        ("FileSize \"s3://b/y/\" > 1 B with failFiles = \"1\"", "is not evaluated by Leat"),
        ("FileSize \"elsewhere/\" > 1 B", "needs a listing of files"),
    ] {
        let ruleset = parse("q", &format!("Rules = [ {rule} ]")).unwrap();
        let context = Context { files: &case.files, ..Context::new(Some(NOW), Method::Column) };
        let errors = Evaluation::within(&ruleset, &case.data.0, &context).unwrap_err();
        assert!(errors[0].message.contains(why), "{}", errors[0]);
    }
}

#[test]
fn analyzers() {
    let case = Case::of(people());
    let (report, _) = case.evaluate(
        "Analyzers = [ RowCount, Completeness \"age\", AllStatistics \"name\", AllStatistics \"id\", ColumnValues \"age\", \
         ColumnLength \"city\", Mean \"zip\" ]",
    );
    let found: Vec<_> = report.analyzers.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(
        found,
        [
            ("Column.age.Completeness", 5.0 / 6.0),
            ("Column.age.Maximum", 50.0),
            ("Column.age.Minimum", 20.0),
            ("Column.city.MaximumLength", 2.0),
            ("Column.city.MinimumLength", 0.0),
            ("Column.id.Completeness", 1.0),
            ("Column.id.Maximum", 5.0),
            ("Column.id.Mean", 20.0 / 6.0),
            ("Column.id.Minimum", 1.0),
            ("Column.id.StandardDeviation", (80.0f64 / 36.0).sqrt()),
            ("Column.id.Sum", 20.0),
            ("Column.id.Uniqueness", 4.0 / 6.0),
            ("Column.id.Variance", 80.0 / 36.0),
            ("Column.name.Completeness", 5.0 / 6.0),
            ("Column.name.MaximumLength", 5.0),
            ("Column.name.MinimumLength", 0.0),
            ("Column.name.Uniqueness", 3.0 / 5.0),
            ("Dataset.*.RowCount", 6.0),
        ]
    );
    assert!(report.outcomes.is_empty());
    assert_eq!(report.measured, report.analyzers);
}

/// `rule` where an engine answered its query: none if it passes, else the outcome and why.
#[track_caller]
fn check_answer(rule: &str, answer: Option<Answer>, said: Option<&str>) -> Outcome {
    let ruleset = parse("q", &format!("Rules = [ {rule} ]")).unwrap();
    let context = Context { sql: true, ..Context::new(Some(NOW), Method::Column) };
    let evaluation = Evaluation::within(&ruleset, &[], &context).unwrap();
    // Through JSON, as between workers, and merged with a part that has no answer.
    let mut metrics = evaluation.start();
    if let Some(answer) = answer {
        evaluation.answer(&mut metrics, 0, answer);
    }
    let mut whole: Metrics =
        serde_json::from_str(&serde_json::to_string(&evaluation.start()).unwrap()).unwrap();
    let part = serde_json::from_str(&serde_json::to_string(&metrics).unwrap()).unwrap();
    whole.merge(&part).unwrap();
    let outcome = evaluation.finish(&whole).unwrap().remove(0);
    let told = format!("{:?}: {}", outcome.outcome, outcome.reason.as_deref().unwrap_or_default());
    assert_eq!((outcome.outcome != Status::Passed).then_some(told.as_str()), said, "{rule}");
    outcome
}

#[test]
fn custom_sql() {
    let value = "CustomSql \"select count(*) from primary\" between 10 and 20";
    let outcome = check_answer(value, Some(Answer::number(15.0)), None);
    let names: Vec<_> = outcome.metrics.keys().cloned().collect();
    assert_eq!(outcome.threshold.as_deref(), Some("between 10 and 20"));
    assert_eq!(
        (names.len(), names[0].as_str(), outcome.failed_rows),
        (2, "Dataset.*.CustomSQL", None)
    );
    assert!(
        names[1].starts_with("Dataset.")
            && names[1].ends_with(".CustomSQL")
            && names[1].len() == 82
    );
    let unmet = "Failed: Value: 20.0 does not meet the constraint requirement!";
    check_answer(value, Some(Answer::number(20.0)), Some(unmet));
    for (answer, said) in [
        (None, "Error: its query was not run"),
        (Some(Answer::Error("too large".into())), "Error: the query failed: too large"),
        (Some(Answer::number(f64::NAN)), "Failed: the query's value is not finite"),
        (Some(Answer::Null), "Failed: the query's value is NULL"),
        (Some(Answer::NoNumber), "Failed: the query's value is no number"),
        (Some(Answer::Columns(2)), "Failed: the query has 2 columns where one is wanted"),
        (Some(Answer::Results(0)), "Failed: the query has no row where one is wanted"),
        (Some(Answer::Results(2)), "Failed: the query has several rows where one is wanted"),
    ] {
        assert!(check_answer(value, answer, Some(said)).metrics.is_empty());
    }
    let rows = "CustomSql \"select Name from primary where Age > 18\"";
    let outcome = check_answer(rows, Some(Answer::Rows { passed: 4, rows: 4 }), None);
    assert_eq!(outcome.metrics["Dataset.*.CustomSQL.Compliance"], 1.0);
    assert_eq!((outcome.passed_rows, outcome.failed_rows), (Some(4), Some(0)));
    let unmet = "Failed: Value: 0.5 does not meet the constraint requirement!";
    let outcome = check_answer(rows, Some(Answer::Rows { passed: 2, rows: 4 }), Some(unmet));
    assert_eq!((outcome.failed_rows, outcome.action), (Some(2), RowAction::Halt));
    check_answer(
        &format!("{rows} with threshold > 0.4"),
        Some(Answer::Rows { passed: 2, rows: 4 }),
        None,
    );
    let empty = "Failed: the input is empty: there is no row to check";
    check_answer(rows, Some(Answer::Rows { passed: 0, rows: 0 }), Some(empty));
    let unknown = "Failed: the query's columns must be those of `primary`, which has not `b`, `c`";
    check_answer(rows, Some(Answer::Unknown(vec!["b".into(), "c".into()])), Some(unknown));
}

#[test]
fn queries_of_a_ruleset() {
    let text =
        "Rules = [ CustomSql \"select 1\" > 0, (RowCount > 0) AND (CustomSql \"select 1\" < 2),
        CustomSql \"select 1\", CustomSql \"select 2\" > last() labels = [\"action\" = \"warn\"],
        DetectAnomalies \"CustomSql\" \"select 3\" ]
        Analyzers = [ CustomSql \"select 4\" ]";
    let ruleset = parse("q", text).unwrap();
    let seven = (0..7).map(|_| BTreeMap::from([("Dataset.*.CustomSQL".to_owned(), 1.0)]));
    let history = History::new(seven);
    let context =
        Context { sql: true, history: Some(&history), ..Context::new(Some(NOW), Method::Column) };
    let evaluation = Evaluation::within(&ruleset, &[], &context).unwrap();
    let queries: Vec<_> = evaluation.queries().iter().map(|q| (q.sql.as_str(), q.form)).collect();
    use crate::quality::sql::Form::{Rows, Value};
    assert_eq!(
        queries,
        [
            ("select 1", Value),
            ("select 1", Rows),
            ("select 2", Value),
            ("select 3", Value),
            ("select 4", Value)
        ]
    );
    let mut metrics = evaluation.start();
    for query in 0..5 {
        let answer = match query {
            1 => Answer::Rows { passed: 1, rows: 1 },
            _ => Answer::number(1.0 + query as f64),
        };
        evaluation.answer(&mut metrics, query, answer);
    }
    let report = evaluation.report(&metrics).unwrap();
    let statuses: Vec<_> = report.outcomes.iter().map(|rule| rule.outcome).collect();
    // The value of another query in the history is not that of this one.
    assert_eq!(
        statuses,
        [Status::Passed, Status::Failed, Status::Passed, Status::Passed, Status::Passed]
    );
    let reasons: Vec<_> = report.outcomes[3..].iter().map(|r| r.reason.clone().unwrap()).collect();
    assert!(
        reasons[0].contains("no earlier run") && reasons[1] == "not enough history: 0 of 7 runs",
        "{reasons:?}"
    );
    assert_eq!(report.analyzers["Dataset.*.CustomSQL"], 5.0);
    assert_eq!(report.measured.len(), 8, "{:?}", report.measured);

    let refused = evaluation.queries()[2].refused("no such table");
    let rule = "CustomSql \"select 2\" > last() labels = [\"action\" = \"warn\"]";
    assert_eq!(
        (refused.line, refused.column, refused.message),
        (2, 31, format!("no such table (rule `{rule}`)"))
    );
    for (rule, why) in [
        ("CustomSql \"delete from primary\" > 1", "begins with `select`"),
        ("CustomSql \"select 1\" > 1 with threshold > 0.5", "not both"),
    ] {
        let ruleset = parse("q", &format!("Rules = [ {rule} ]")).unwrap();
        let errors = Evaluation::within(&ruleset, &[], &context).unwrap_err();
        assert!(errors[0].message.contains(why), "{errors:?}");
    }
}

/// A new rule type needs a case here.
#[test]
fn every_type_has_a_case() {
    let cases = include_str!("tests.rs");
    for kind in RULE_TYPES {
        let written = [format!("\"{} ", kind.name), format!(" {} ", kind.name)];
        assert!(written.iter().any(|text| cases.contains(text)), "{}", kind.name);
    }
}

proptest::proptest! {
    /// Rows that are judged one by one say what the data set's outcome counts.
    #[test]
    fn rows_add_up(ages in proptest::collection::vec(proptest::option::of(0i64..5), 1..20)) {
        let case = Case::of(Data::new(&[("a", Column::longs(ages.iter().copied()))]));
        for rule in ["IsUnique \"a\"", "ColumnValues \"a\" > 1", "IsComplete \"a\" where \"a <> 2\"", "ColumnLength \"a\" = 1"] {
            let (report, verdicts) = case.evaluate(&format!("Rules = [ {rule} ]"));
            let outcome = &report.outcomes[0];
            let failed = verdicts.iter().filter(|verdict| !verdict.failed.is_empty()).count() as u64;
            if let Some(rows) = outcome.failed_rows {
                proptest::prop_assert_eq!(rows, failed, "{}", rule);
            }
            proptest::prop_assert_eq!(outcome.outcome == Status::Passed || outcome.failed_rows.is_none(), failed == 0 || outcome.failed_rows.is_none());
        }
    }
}
