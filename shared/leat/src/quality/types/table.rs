//! The table of rule types. A new rule type is an entry here and a file of its own beside this folder.

use super::super::rules::{
    Prepare, aggregate_match, column_correlation, completeness, custom_sql, dataset_match,
    detect_anomalies, files, referential_integrity, row_count, row_share, schema, statistics,
    uniqueness,
};
use super::{ConditionKind, Form, LooksAt, ParameterKind, RuleType, Section};
use crate::features::manual::manual;
use ConditionKind::{Date, Duration, None, Number, Size, Text};
use LooksAt::{Dataset, Row};
use ParameterKind::{Aggregate, Alias, Column, Columns, Metric, Path, Pattern, Sql};

const fn form(parameters: &'static [ParameterKind], conditions: &'static [ConditionKind]) -> Form {
    Form { parameters, repeats: false, conditions }
}

const fn repeated(
    parameters: &'static [ParameterKind],
    conditions: &'static [ConditionKind],
) -> Form {
    Form { parameters, repeats: true, conditions }
}

/// How a family's rules are readied, and its manual.
struct Family(Prepare, &'static str);

const fn rule(
    name: &'static str,
    forms: &'static [Form],
    section: Section,
    looks_at: LooksAt,
    summary: &'static str,
    family: Family,
) -> RuleType {
    let Family(prepare, manual) = family;
    RuleType {
        name,
        forms,
        filter: false,
        threshold: false,
        section,
        looks_at,
        summary,
        manual,
        prepare,
    }
}

impl RuleType {
    const fn filtered(mut self) -> Self {
        self.filter = true;
        self
    }

    const fn with_threshold(mut self) -> Self {
        self.threshold = true;
        self
    }
}

const ROW_COUNT: &str = manual!("../rules/row_count.rs");
const SCHEMA: &str = manual!("../rules/schema.rs");
const ROW_SHARE: &str = manual!("../rules/row_share.rs");
const COLUMN_LENGTH: &str = manual!("../column_length.rs");
const COLUMN_VALUES: &str = manual!("../column_values.rs");
const COLUMN_DATA_TYPE: &str = manual!("../column_data_type.rs");
const DATA_FRESHNESS: &str = manual!("../data_freshness.rs");
const AGGREGATE_MATCH: &str = manual!("../rules/aggregate_match.rs");
const DATASET_MATCH: &str = manual!("../rules/dataset_match.rs");
const REFERENTIAL_INTEGRITY: &str = manual!("../rules/referential_integrity.rs");
const UNIQUENESS: &str = manual!("../rules/uniqueness.rs");
const COMPLETENESS: &str = manual!("../rules/completeness.rs");
const STATISTICS: &str = manual!("../rules/statistics.rs");
const COLUMN_CORRELATION: &str = manual!("../rules/column_correlation.rs");
const CUSTOM_SQL: &str = manual!("../rules/custom_sql.rs");
const DETECT_ANOMALIES: &str = manual!("../rules/detect_anomalies.rs");
const FILES: &str = manual!("../rules/files.rs");

const COLUMN_NUMBER: &[Form] = &[form(&[Column], &[Number])];

/// The rule types, in the order of the manual.
pub static RULE_TYPES: &[RuleType] = &[
    rule(
        "RowCount",
        &[form(&[], &[Number])],
        Section::Both,
        Dataset,
        "The number of rows meets the condition. An empty input has 0.",
        Family(row_count::row_count, ROW_COUNT),
    )
    .filtered(),
    rule(
        "ColumnCount",
        &[form(&[], &[Number])],
        Section::Both,
        Dataset,
        "The number of columns meets the condition.",
        Family(schema::column_count, SCHEMA),
    ),
    rule(
        "ColumnExists",
        &[form(&[Column], &[None])],
        Section::Rules,
        Row,
        "There is a column of this name; case counts.",
        Family(row_share::column_exists, ROW_SHARE),
    ),
    rule(
        "ColumnNamesMatchPattern",
        &[form(&[Pattern], &[None])],
        Section::Rules,
        Dataset,
        "Each column's name contains a match of the regular expression.",
        Family(schema::column_names_match_pattern, SCHEMA),
    ),
    rule(
        "SchemaMatch",
        &[form(&[Alias], &[Number])],
        Section::Both,
        Dataset,
        "The share of columns that the other data set has by the same name and type meets the condition.",
        Family(schema::schema_match, SCHEMA),
    ),
    rule(
        "RowCountMatch",
        &[form(&[Alias], &[Number])],
        Section::Both,
        Dataset,
        "Rows by the other data set's rows meets the condition.",
        Family(row_count::row_count_match, ROW_COUNT),
    ),
    rule(
        "AggregateMatch",
        &[form(&[Aggregate, Aggregate], &[Number])],
        Section::Both,
        Dataset,
        "The first aggregate by the second meets the condition.",
        Family(aggregate_match::aggregate_match, AGGREGATE_MATCH),
    ),
    rule(
        "DatasetMatch",
        &[form(&[Alias, Columns], &[Number]), form(&[Alias, Columns, Columns], &[Number])],
        Section::Both,
        Dataset,
        "The share of rows that the other data set has, equal, under the same key meets the condition.",
        Family(dataset_match::dataset_match, DATASET_MATCH),
    ),
    rule(
        "ReferentialIntegrity",
        &[form(&[Columns, Columns], &[Number])],
        Section::Both,
        Dataset,
        "The share of rows whose key the other data set has meets the condition.",
        Family(referential_integrity::referential_integrity, REFERENTIAL_INTEGRITY),
    ),
    rule(
        "IsComplete",
        &[form(&[Column], &[None])],
        Section::Rules,
        Row,
        "No value is null. An empty text is a value.",
        Family(row_share::rows, ROW_SHARE),
    )
    .filtered(),
    rule(
        "IsUnique",
        &[repeated(&[Column], &[None])],
        Section::Rules,
        Dataset,
        "No value, or no combination of values, stands twice; null is left out.",
        Family(uniqueness::is_unique, UNIQUENESS),
    )
    .filtered(),
    rule(
        "IsPrimaryKey",
        &[repeated(&[Column], &[None])],
        Section::Rules,
        Dataset,
        "No value is null, and none stands twice.",
        Family(uniqueness::is_primary_key, UNIQUENESS),
    )
    .filtered(),
    rule(
        "Completeness",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The share of values that are not null meets the condition.",
        Family(completeness::completeness, COMPLETENESS),
    )
    .filtered(),
    rule(
        "Uniqueness",
        &[repeated(&[Column], &[Number])],
        Section::Both,
        Dataset,
        "Values that stand once, by rows that are not null, meets the condition.",
        Family(uniqueness::ratio, UNIQUENESS),
    )
    .filtered(),
    rule(
        "UniqueValueRatio",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "Values that stand once, by distinct values, meets the condition.",
        Family(uniqueness::ratio, UNIQUENESS),
    )
    .filtered(),
    rule(
        "DistinctValuesCount",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The number of distinct values, null counted as one, meets the condition.",
        Family(uniqueness::ratio, UNIQUENESS),
    )
    .filtered(),
    rule(
        "Entropy",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The entropy of the values (natural logarithm) meets the condition.",
        Family(uniqueness::ratio, UNIQUENESS),
    )
    .filtered(),
    rule(
        "Mean",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The mean meets the condition.",
        Family(statistics::statistic, STATISTICS),
    ).filtered(),
    rule(
        "Sum",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The sum meets the condition.",
        Family(statistics::statistic, STATISTICS),
    ).filtered(),
    rule(
        "StandardDeviation",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The standard deviation of the population meets the condition.",
        Family(statistics::statistic, STATISTICS),
    )
    .filtered(),
    rule(
        "Variance",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The variance of the population meets the condition.",
        Family(statistics::statistic, STATISTICS),
    )
    .filtered(),
    rule(
        "ColumnCorrelation",
        &[form(&[Column, Column], &[Number])],
        Section::Both,
        Dataset,
        "Pearson's correlation of two columns meets the condition.",
        Family(column_correlation::column_correlation, COLUMN_CORRELATION),
    )
    .filtered(),
    rule(
        "ColumnLength",
        COLUMN_NUMBER,
        Section::Both,
        Row,
        "Each value's length in characters meets the condition; null has length 0.",
        Family(row_share::rows, COLUMN_LENGTH),
    )
    .filtered(),
    rule(
        "ColumnValues",
        &[form(&[Column], &[Number, Text, Date])],
        Section::Both,
        Row,
        "Each value meets the condition. Null fails, but for `!= x`, `not in [x]`, `= NULL`, `in [NULL]`; it \
         fails `!= NULL`, `!= EMPTY`, `!= WHITESPACES_ONLY` and their `not in`.",
        Family(row_share::rows, COLUMN_VALUES),
    )
    .filtered()
    .with_threshold(),
    rule(
        "ColumnDataType",
        &[form(&[Column], &[Text])],
        Section::Both,
        Row,
        "Each value can be read as the type.",
        Family(row_share::rows, COLUMN_DATA_TYPE),
    )
    .filtered()
    .with_threshold(),
    rule(
        "DataFreshness",
        &[form(&[Column], &[Duration])],
        Section::Both,
        Row,
        "Each value's age meets the condition.",
        Family(row_share::rows, DATA_FRESHNESS),
    )
    .filtered(),
    rule(
        "CustomSql",
        &[form(&[Sql], &[Number, None])],
        Section::Both,
        Dataset,
        "The query's single value meets the condition; without one, the query answers every row of `primary`.",
        Family(custom_sql::custom_sql, CUSTOM_SQL),
    )
    .with_threshold(),
    rule(
        "DetectAnomalies",
        &[repeated(&[Metric], &[None])],
        Section::Rules,
        Dataset,
        "The metric is not far from what it was in earlier runs.",
        Family(detect_anomalies::detect_anomalies, DETECT_ANOMALIES),
    ),
    rule(
        "AllStatistics",
        &[form(&[Column], &[None])],
        Section::Analyzers,
        Dataset,
        "All statistics of a column are gathered.",
        Family(statistics::all_statistics, STATISTICS),
    ),
    rule(
        "FileFreshness",
        &[form(&[], &[Date]), form(&[Path], &[Date])],
        Section::Both,
        Dataset,
        "Each file's time meets the condition.",
        Family(files::file_freshness, FILES),
    )
    .with_threshold(),
    rule(
        "FileSize",
        &[form(&[], &[Size]), form(&[Path], &[Size])],
        Section::Both,
        Dataset,
        "Each file's size meets the condition.",
        Family(files::file_size, FILES),
    )
    .with_threshold(),
    rule(
        "FileMatch",
        &[form(&[], &[Text]), form(&[Path], &[Text]), form(&[Path, Path], &[None])],
        Section::Both,
        Dataset,
        "The files' hashes are in the list, or those of two folders are the same.",
        Family(files::file_match, FILES),
    ),
    rule(
        "FileUniqueness",
        &[form(&[], &[Number]), form(&[Path], &[Number])],
        Section::Both,
        Dataset,
        "The share of files that no other equals meets the condition.",
        Family(files::file_uniqueness, FILES),
    ),
];
