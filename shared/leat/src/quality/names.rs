//! The names of metrics, as AWS Glue reports them: `Column.<column>.<Metric>`, `Dataset.*.<Metric>`.

use sha2::{Digest, Sha256};

use super::sql::Form;
use super::tree::{Comparison, Condition, Ruleset, Single, Test};

/// The metric that `single` compares; of a rule about rows the one that `last(k)` speaks of.
pub fn metric(ruleset: &Ruleset, single: &Single) -> String {
    let parameters: Vec<&str> = single.parameters.iter().map(|p| ruleset.text(p)).collect();
    let first = parameters.first().copied().unwrap_or_default();
    let kind = single.kind.name;
    match kind {
        "RowCount" | "ColumnCount" => format!("Dataset.*.{kind}"),
        "ColumnNamesMatchPattern" => "Dataset.*.ColumnNamesPatternMatchRatio".into(),
        // Of the two the one that speaks of this query alone.
        "CustomSql" => {
            let [_, own] = custom_sql(first, super::sql::form(ruleset, single));
            own
        }
        "RowCountMatch" | "SchemaMatch" | "DatasetMatch" => format!("Dataset.{first}.{kind}"),
        "IsComplete" => format!("Column.{first}.Completeness"),
        "IsUnique" | "IsPrimaryKey" => of_columns(&parameters, "Uniqueness"),
        "ColumnValues" => format!("Column.{first}.{}", bound(single, "Minimum", "Maximum")),
        "ColumnLength" => {
            format!("Column.{first}.{}", bound(single, "MinimumLength", "MaximumLength"))
        }
        "ColumnDataType" | "DataFreshness" => compliance(first, kind),
        "FileFreshness" | "FileSize" => format!("Dataset.*.{kind}.Compliance"),
        "FileUniqueness" => "Dataset.*.FileUniquenessRatio".into(),
        "FileMatch" => "Dataset.*.FileCount".into(),
        _ => of_columns(&parameters, kind),
    }
}

/// `Column.<column>.<Metric>`, or `Multicolumn.<column>,<column>.<Metric>`.
pub fn of_columns(columns: &[&str], metric: &str) -> String {
    match columns {
        [column] => format!("Column.{column}.{metric}"),
        _ => format!("Multicolumn.{}.{metric}", columns.join(",")),
    }
}

/// The metric of a query, and the same named by the query's hash: two queries do not share values.
pub fn custom_sql(sql: &str, form: Form) -> [String; 2] {
    let metric = match form {
        Form::Value => "CustomSQL",
        Form::Rows => "CustomSQL.Compliance",
    };
    [format!("Dataset.*.{metric}"), format!("Dataset.{}.{metric}", sha256(sql))]
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The share of rows that pass.
pub fn compliance(column: &str, kind: &str) -> String {
    format!("Column.{column}.{kind}.Compliance")
}

/// The name in the history: two rules over different rows do not share values.
pub fn in_history(metric: &str, single: &Single) -> String {
    match &single.filter {
        Some(filter) => format!("{metric} where {filter}"),
        None => metric.to_owned(),
    }
}

/// A lower limit speaks of the least value, all else of the greatest.
fn bound(single: &Single, least: &'static str, greatest: &'static str) -> &'static str {
    match &single.condition {
        Some(Condition::Number(Test::Compare(
            Comparison::Greater | Comparison::GreaterOrEqual,
            _,
        ))) => least,
        _ => greatest,
    }
}
