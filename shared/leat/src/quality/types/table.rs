//! The table of rule types. A new rule type is an entry here and a file of its own beside this folder.

use super::{ConditionKind, Form, LooksAt, ParameterKind, RuleType, Section};
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

const fn rule(
    name: &'static str,
    forms: &'static [Form],
    section: Section,
    looks_at: LooksAt,
    manual: &'static str,
) -> RuleType {
    RuleType { name, forms, filter: false, threshold: false, section, looks_at, manual }
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

const COLUMN_NUMBER: &[Form] = &[form(&[Column], &[Number])];

/// The rule types, in the order of the manual.
pub static RULE_TYPES: &[RuleType] = &[
    rule(
        "RowCount",
        &[form(&[], &[Number])],
        Section::Both,
        Dataset,
        "The number of rows meets the condition. An empty input has 0.",
    )
    .filtered(),
    rule(
        "ColumnCount",
        &[form(&[], &[Number])],
        Section::Both,
        Dataset,
        "The number of columns meets the condition.",
    ),
    rule(
        "ColumnExists",
        &[form(&[Column], &[None])],
        Section::Rules,
        Row,
        "There is a column of this name; case counts.",
    ),
    rule(
        "ColumnNamesMatchPattern",
        &[form(&[Pattern], &[None])],
        Section::Rules,
        Dataset,
        "Each column's name contains a match of the regular expression.",
    ),
    rule(
        "SchemaMatch",
        &[form(&[Alias], &[Number])],
        Section::Both,
        Dataset,
        "The share of columns that the other data set has by the same name and type meets the condition.",
    ),
    rule(
        "RowCountMatch",
        &[form(&[Alias], &[Number])],
        Section::Both,
        Dataset,
        "Rows by the other data set's rows meets the condition.",
    ),
    rule(
        "AggregateMatch",
        &[form(&[Aggregate, Aggregate], &[Number])],
        Section::Both,
        Dataset,
        "The first aggregate by the second meets the condition.",
    ),
    rule(
        "DatasetMatch",
        &[form(&[Alias, Columns], &[Number]), form(&[Alias, Columns, Columns], &[Number])],
        Section::Both,
        Dataset,
        "The share of rows that the other data set has, equal, under the same key meets the condition.",
    ),
    rule(
        "ReferentialIntegrity",
        &[form(&[Columns, Columns], &[Number])],
        Section::Both,
        Dataset,
        "The share of rows whose key the other data set has meets the condition.",
    ),
    rule(
        "IsComplete",
        &[form(&[Column], &[None])],
        Section::Rules,
        Row,
        "No value is null. An empty text is a value.",
    )
    .filtered(),
    rule(
        "IsUnique",
        &[repeated(&[Column], &[None])],
        Section::Rules,
        Dataset,
        "No value, or no combination of values, stands twice; null is left out.",
    )
    .filtered(),
    rule(
        "IsPrimaryKey",
        &[repeated(&[Column], &[None])],
        Section::Rules,
        Dataset,
        "No value is null, and none stands twice.",
    )
    .filtered(),
    rule(
        "Completeness",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The share of values that are not null meets the condition.",
    )
    .filtered(),
    rule(
        "Uniqueness",
        &[repeated(&[Column], &[Number])],
        Section::Both,
        Dataset,
        "Values that stand once, by rows that are not null, meets the condition.",
    )
    .filtered(),
    rule(
        "UniqueValueRatio",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "Values that stand once, by distinct values, meets the condition.",
    )
    .filtered(),
    rule(
        "DistinctValuesCount",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The number of distinct values, null counted as one, meets the condition.",
    )
    .filtered(),
    rule(
        "Entropy",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The entropy of the values (natural logarithm) meets the condition.",
    )
    .filtered(),
    rule("Mean", COLUMN_NUMBER, Section::Both, Dataset, "The mean meets the condition.").filtered(),
    rule("Sum", COLUMN_NUMBER, Section::Both, Dataset, "The sum meets the condition.").filtered(),
    rule(
        "StandardDeviation",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The standard deviation of the population meets the condition.",
    )
    .filtered(),
    rule(
        "Variance",
        COLUMN_NUMBER,
        Section::Both,
        Dataset,
        "The variance of the population meets the condition.",
    )
    .filtered(),
    rule(
        "ColumnCorrelation",
        &[form(&[Column, Column], &[Number])],
        Section::Both,
        Dataset,
        "Pearson's correlation of two columns meets the condition.",
    )
    .filtered(),
    rule(
        "ColumnLength",
        COLUMN_NUMBER,
        Section::Both,
        Row,
        "Each value's length in characters meets the condition; null has length 0.",
    )
    .filtered(),
    rule(
        "ColumnValues",
        &[form(&[Column], &[Number, Text, Date])],
        Section::Both,
        Row,
        "Each value meets the condition. Null fails, but for `!= x`, `not in [x]`, `= NULL`, `in [NULL]`; it \
         fails `!= NULL`, `!= EMPTY`, `!= WHITESPACES_ONLY` and their `not in`.",
    )
    .filtered()
    .with_threshold(),
    rule(
        "ColumnDataType",
        &[form(&[Column], &[Text])],
        Section::Both,
        Row,
        "Each value can be read as the type.",
    )
    .filtered()
    .with_threshold(),
    rule(
        "DataFreshness",
        &[form(&[Column], &[Duration])],
        Section::Both,
        Row,
        "Each value's age meets the condition.",
    )
    .filtered(),
    rule(
        "CustomSql",
        &[form(&[Sql], &[Number, None])],
        Section::Both,
        Dataset,
        "The query's single value meets the condition; without one, the query answers every row of `primary`.",
    )
    .with_threshold(),
    rule(
        "DetectAnomalies",
        &[repeated(&[Metric], &[None])],
        Section::Rules,
        Dataset,
        "The metric is not far from what it was in earlier runs.",
    ),
    rule(
        "AllStatistics",
        &[form(&[Column], &[None])],
        Section::Analyzers,
        Dataset,
        "All statistics of a column are gathered.",
    ),
    rule(
        "FileFreshness",
        &[form(&[], &[Date]), form(&[Path], &[Date])],
        Section::Both,
        Dataset,
        "Each file's time meets the condition.",
    )
    .with_threshold(),
    rule(
        "FileSize",
        &[form(&[], &[Size]), form(&[Path], &[Size])],
        Section::Both,
        Dataset,
        "Each file's size meets the condition.",
    )
    .with_threshold(),
    rule(
        "FileMatch",
        &[form(&[], &[Text]), form(&[Path], &[Text]), form(&[Path, Path], &[None])],
        Section::Both,
        Dataset,
        "The files' hashes are in the list, or those of two folders are the same.",
    ),
    rule(
        "FileUniqueness",
        &[form(&[], &[Number]), form(&[Path], &[Number])],
        Section::Both,
        Dataset,
        "The share of files that no other equals meets the condition.",
    ),
];
