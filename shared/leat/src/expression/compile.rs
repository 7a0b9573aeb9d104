//! SQL's tree → typed tree.

use std::collections::BTreeMap;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, UnaryOperator, Value,
};

use super::functions::{self, Builtin, FUNCTIONS};
use super::spark;
use super::sql::{self, ALLOWED};
use super::{
    Arithmetic, Compare, ExpressionError, MAX_DEPTH, MAX_PREDICATE_DEPTH, Node, Op, Program,
};
use crate::calendar::Unit;
use crate::column::Type;
use crate::diagnostic::nearest;
use crate::number;
use crate::pattern::Pattern;

/// Compiles `text` over `columns`, whose index is their slot. The names of columns are exact.
pub fn compile(text: &str, columns: &[(String, Type)]) -> Result<Program, ExpressionError> {
    let tree = sql::parse(text)?;
    let mut compiler = Compiler::new(text, columns, false);
    match compiler.node(&tree)? {
        Some(root) => Ok(compiler.program(root)),
        None => Err(error(
            0,
            "the expression is missing for every row",
            Some("give it a type, as cast(null as double), or leave it out".into()),
        )),
    }
}

/// Compiles a condition as `where` of a rule has it, which is Spark's SQL without ANSI mode. It departs from an
/// expression in this: types go together where one can be read as the other, and what cannot is null; names of columns
/// are without regard to case where only one is meant; text may stand in double quotes; `<=>` is an equality to which
/// null is like null; `cast` knows Spark's types; a column's doubles that are not finite are values.
pub fn compile_predicate(
    text: &str,
    columns: &[(String, Type)],
) -> Result<Program, ExpressionError> {
    let tree = sql::parse_predicate(text)?;
    let mut compiler = Compiler::new(text, columns, true);
    match compiler.node(&tree)?.unwrap_or(truth(Op::Null)) {
        root if root.kind == Type::Bool => Ok(compiler.program(root)),
        _ => Err(error(
            0,
            "it is a value and no condition",
            Some("compare it, as in `x > 0`".into()),
        )),
    }
}

/// `null` alone has no type until its place gives it one; it and what is made of it alone is `None`.
type Typed = Option<Node>;
type Compiled<T> = Result<T, ExpressionError>;

struct Compiler<'a> {
    text: &'a str,
    columns: &'a [(String, Type)],
    /// Slot → where it is first read.
    reads: BTreeMap<usize, usize>,
    depth: usize,
    /// See [`compile_predicate`].
    predicate: bool,
}

impl<'a> Compiler<'a> {
    fn new(text: &'a str, columns: &'a [(String, Type)], predicate: bool) -> Self {
        Compiler { text, columns, reads: BTreeMap::new(), depth: 0, predicate }
    }

    fn program(self, root: Node) -> Program {
        let (reads, places) = self.reads.into_iter().unzip();
        Program { root, reads, places }
    }
}

impl Compiler<'_> {
    fn node(&mut self, tree: &Expr) -> Compiled<Typed> {
        let most = if self.predicate { MAX_PREDICATE_DEPTH } else { MAX_DEPTH };
        if self.depth >= most {
            return Err(error(
                self.at(tree),
                format!("the expression is nested deeper than {most}"),
                Some("use in (…) for many values, or split it into several derived columns".into()),
            ));
        }
        self.depth += 1;
        let node = self.node_within(tree);
        self.depth -= 1;
        node
    }

    fn node_within(&mut self, tree: &Expr) -> Compiled<Typed> {
        match tree {
            Expr::Identifier(name) => self.column(name).map(Some),
            Expr::Value(value) => self.literal(&value.value, tree),
            Expr::Nested(inner) => self.node(inner),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, tree),
            Expr::IsNull(inner) => Ok(Some(self.is_null(inner)?)),
            Expr::IsNotNull(inner) => Ok(Some(not(self.is_null(inner)?))),
            Expr::InList { expr, list, negated } => {
                let value = self.node(expr)?;
                let list = list.iter().map(|e| self.node(e)).collect::<Compiled<Vec<_>>>()?;
                let kind = self.common(tree, "in", std::iter::once(&value).chain(&list))?;
                let op = Op::In(
                    boxed(self.settle(value, kind)),
                    list.into_iter().map(|e| self.settle(e, kind)).collect(),
                );
                Ok(Some(negate_if(*negated, truth(op))))
            }
            Expr::Between { expr, negated, low, high } => {
                let parts = [self.node(expr)?, self.node(low)?, self.node(high)?];
                let kind = self.common(tree, "between", &parts)?;
                self.ordered(tree, "between", kind)?;
                let [value, low, high] = parts.map(|part| boxed(self.settle(part, kind)));
                Ok(Some(negate_if(*negated, truth(Op::Between(value, low, high)))))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.matches(tree, "like", *negated, expr, pattern, Pattern::like)
            }
            Expr::RLike { negated, expr, pattern, .. } => {
                self.matches(tree, "rlike", *negated, expr, pattern, Pattern::find)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let arms: Vec<_> = conditions.iter().map(|c| (&c.condition, &c.result)).collect();
                self.case(tree, operand.as_deref(), &arms, else_result.as_deref())
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
                self.cast(expr, data_type).map(Some)
            }
            Expr::Function(call) => self.call(tree, call),
            _ => {
                Err(error(self.at(tree), "this is not part of an expression", Some(ALLOWED.into())))
            }
        }
    }

    fn column(&mut self, name: &Ident) -> Compiled<Node> {
        let exact = self.columns.iter().position(|(column, _)| *column == name.value);
        let Some(slot) = exact.or_else(|| self.folded(&name.value)) else {
            let names = self.columns.iter().map(|(name, _)| name.as_str());
            let near = nearest(&name.value, names).map(|near| format!("did you mean `{near}`?"));
            let quoted = name.quote_style == Some('"');
            let hint = if quoted {
                Some(format!("text stands in single quotes: '{}'", name.value))
            } else {
                near
            };
            let message = format!("there is no column `{}` here", name.value);
            return Err(error(sql::start_of(self.text, name.span), message, hint));
        };
        self.reads.entry(slot).or_insert(sql::start_of(self.text, name.span));
        let op = if self.predicate { Op::Raw(slot) } else { Op::Column(slot) };
        Ok(Node { kind: self.columns[slot].1, op })
    }

    /// In a predicate: the only column that differs from `name` by case alone.
    fn folded(&self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let like = |at: &usize| self.columns[*at].0.to_lowercase() == lower;
        let mut found = (0..self.columns.len()).filter(|_| self.predicate).filter(like);
        found.next().filter(|_| found.next().is_none())
    }

    fn literal(&self, value: &Value, tree: &Expr) -> Compiled<Typed> {
        Ok(Some(match value {
            Value::Null => return Ok(None),
            Value::Boolean(bool) => truth(Op::Bool(*bool)),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                Node { kind: Type::String, op: Op::String(text.clone()) }
            }
            Value::Number(digits, _) => self.number(digits, tree)?,
            _ => {
                let hint = "literals are numbers, 'text', true, false and null";
                return Err(error(
                    self.at(tree),
                    "this literal is not supported",
                    Some(hint.into()),
                ));
            }
        }))
    }

    /// Whole digits that a long holds are a long; all else is a double.
    fn number(&self, digits: &str, tree: &Expr) -> Compiled<Node> {
        if let Ok(long) = digits.parse() {
            return Ok(Node { kind: Type::Long, op: Op::Long(long) });
        }
        match number::parse(digits).filter(|x| x.is_finite()) {
            Some(double) => Ok(Node { kind: Type::Double, op: Op::Double(double) }),
            None => Err(error(self.at(tree), format!("`{digits}` is not a finite number"), None)),
        }
    }

    fn unary(&mut self, op: UnaryOperator, inner: &Expr) -> Compiled<Typed> {
        if let (UnaryOperator::Minus, Expr::Value(value)) = (op, inner)
            && let Value::Number(digits, _) = &value.value
        {
            return self.number(&format!("-{digits}"), inner).map(Some);
        }
        let node = self.node(inner)?;
        match op {
            UnaryOperator::Not => {
                self.expect_bool(inner, "not", &node)?;
                Ok(Some(not(self.settle(node, Type::Bool))))
            }
            UnaryOperator::Minus | UnaryOperator::Plus => {
                let word = if op == UnaryOperator::Plus { "+" } else { "-" };
                let node = self.number_of(inner, word, node)?;
                Ok(node.map(|node| match op {
                    UnaryOperator::Plus => node,
                    _ => Node { kind: node.kind, op: Op::Negate(boxed(node)) },
                }))
            }
            _ => {
                Err(error(self.at(inner), format!("`{op}` is not supported"), Some(ALLOWED.into())))
            }
        }
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        tree: &Expr,
    ) -> Compiled<Typed> {
        use BinaryOperator as B;
        let (a, b) = (self.node(left)?, self.node(right)?);
        let word = op.to_string().to_lowercase();
        if matches!(op, B::And | B::Or) {
            self.expect_bool(left, &word, &a)?;
            self.expect_bool(right, &word, &b)?;
            let (a, b) = (boxed(self.settle(a, Type::Bool)), boxed(self.settle(b, Type::Bool)));
            return Ok(Some(truth(if *op == B::And { Op::And(a, b) } else { Op::Or(a, b) })));
        }
        if let Some(compare) = comparison(op) {
            let parts = [a, b];
            let kind = self.common(tree, &word, &parts)?;
            if !matches!(compare, Compare::Equal | Compare::NotEqual) {
                self.ordered(tree, &word, kind)?;
            }
            let [a, b] = parts.map(|part| boxed(self.settle(part, kind)));
            return Ok(Some(truth(Op::Compare(compare, a, b))));
        }
        if *op == B::Spaceship {
            let parts = [a, b];
            let kind = self.common(tree, &word, &parts)?;
            let [a, b] = parts.map(|part| boxed(self.settle(part, kind)));
            let nulls = [a.clone(), b.clone()].map(|part| boxed(truth(Op::IsNull(part))));
            let [none, neither] = nulls;
            let equal = truth(Op::Compare(Compare::Equal, a, b));
            let both = truth(Op::And(none, neither));
            return Ok(Some(truth(Op::Coalesce(vec![equal, both]))));
        }
        let Some(arithmetic) = arithmetic(op) else {
            return Err(error(
                self.at(tree),
                format!("`{word}` is not supported"),
                Some(ALLOWED.into()),
            ));
        };
        let parts = [self.number_of(left, &word, a)?, self.number_of(right, &word, b)?];
        if parts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let kind = match arithmetic {
            Arithmetic::Divide => Type::Double,
            _ => self.common(tree, &word, &parts)?,
        };
        let [a, b] = parts.map(|part| boxed(self.settle(part, kind)));
        Ok(Some(Node { kind, op: Op::Arithmetic(arithmetic, a, b) }))
    }

    fn is_null(&mut self, inner: &Expr) -> Compiled<Node> {
        let node = self.node(inner)?;
        let null = Node { kind: Type::Bool, op: Op::Null };
        Ok(truth(Op::IsNull(boxed(node.unwrap_or(null)))))
    }

    /// `like` and `rlike`: a text against a pattern that is written out.
    fn matches(
        &mut self,
        tree: &Expr,
        word: &'static str,
        negated: bool,
        value: &Expr,
        pattern: &Expr,
        read: fn(&str) -> Result<Pattern, String>,
    ) -> Compiled<Typed> {
        let node = self.node(value)?;
        self.expect_kind(value, word, &node, Type::String)?;
        let text = literal_text(pattern).ok_or_else(|| {
            let message = format!("the pattern of `{word}` is no literal text");
            error(self.at(tree), message, Some("write it in single quotes".into()))
        })?;
        let pattern = read(text).map_err(|why| error(self.at(pattern), why, None))?;
        let op = Op::Matches(pattern, boxed(self.settle(node, Type::String)));
        Ok(Some(negate_if(negated, truth(op))))
    }

    fn case(
        &mut self,
        tree: &Expr,
        operand: Option<&Expr>,
        arms: &[(&Expr, &Expr)],
        otherwise: Option<&Expr>,
    ) -> Compiled<Typed> {
        let value = operand.map(|e| self.node(e)).transpose()?;
        let mut conditions = Vec::with_capacity(arms.len());
        for (condition, _) in arms {
            let node = self.node(condition)?;
            if value.is_none() {
                self.expect_bool(condition, "when", &node)?;
            }
            conditions.push(node);
        }
        let mut results = Vec::with_capacity(arms.len() + 1);
        for (_, result) in arms {
            results.push(self.node(result)?);
        }
        results.push(otherwise.map(|e| self.node(e)).transpose()?.flatten());
        if results.iter().all(Option::is_none) {
            return Ok(None);
        }
        let kind = self.result(tree, "case", &results)?;
        let compared = match &value {
            Some(value) => self.common(tree, "case", std::iter::once(value).chain(&conditions))?,
            None => Type::Bool,
        };
        let otherwise = boxed(self.settle(results.pop().flatten(), kind));
        let arms = conditions
            .into_iter()
            .map(|node| self.settle(node, compared))
            .zip(results.into_iter().map(|node| self.settle(node, kind)))
            .collect();
        let operand = value.map(|value| boxed(self.settle(value, compared)));
        Ok(Some(Node { kind, op: Op::Case { operand, arms, otherwise } }))
    }

    fn cast(&mut self, inner: &Expr, target: &DataType) -> Compiled<Node> {
        let word = target.to_string().to_lowercase();
        let word = word.split('(').next().unwrap_or_default();
        if self.predicate && word == "date" {
            return Ok(spark::date(self.node(inner)?));
        }
        let mut kind = Type::ALL.into_iter().find(|kind| kind.word() == word);
        if self.predicate {
            let target = spark::TARGETS.iter().find(|(name, _)| *name == word);
            kind = target.map(|(_, kind)| *kind);
        }
        let Some(kind) = kind else {
            let near = nearest(word, Type::ALL.map(Type::word));
            let near = near.or(match word {
                "float" | "real" | "decimal" | "numeric" => Some("double"),
                "int" | "integer" | "bigint" | "smallint" => Some("long"),
                "varchar" | "char" | "text" => Some("string"),
                _ => None,
            });
            let hint = near.map_or_else(
                || format!("the types are {}", Type::ALL.map(Type::word).join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("there is no type `{word}`");
            return Err(error(self.at(inner), message, Some(hint)));
        };
        let Some(node) = self.node(inner)? else { return Ok(Node { kind, op: Op::Null }) };
        let refused = match (node.kind, kind) {
            _ if self.predicate => None,
            (Type::Double, Type::Timestamp) => {
                Some("cast it to long first: seconds, or ms, µs, ns by magnitude")
            }
            (Type::Bool, Type::Timestamp) | (Type::Timestamp, Type::Bool) => {
                Some("compare it instead")
            }
            _ => None,
        };
        match refused {
            Some(hint) => Err(error(
                self.at(inner),
                format!("a {} cannot be cast to {kind}", node.kind),
                Some(hint.into()),
            )),
            None => Ok(self.settle(Some(node), kind)),
        }
    }

    fn call(&mut self, tree: &Expr, call: &Call) -> Compiled<Typed> {
        let name = plain_name(&call.name);
        let Some(function) = functions::find(&name) else {
            let hint = nearest(&name, FUNCTIONS.iter().map(|f| f.name))
                .map(|near| format!("did you mean `{near}`?"))
                .or_else(|| Some(ALLOWED.into()));
            return Err(error(self.at(tree), format!("there is no function `{name}`"), hint));
        };
        let arguments = self.arguments(tree, call, function.signature)?;
        if !(function.min..=function.max).contains(&arguments.len()) {
            let message =
                format!("`{}` does not take {} arguments", function.name, arguments.len());
            return Err(error(self.at(tree), message, Some(function.signature.into())));
        }
        let mut nodes = Vec::with_capacity(arguments.len());
        for argument in &arguments {
            nodes.push(self.node(argument)?);
        }
        if let (Builtin::IsNull, [node]) = (function.builtin, nodes.as_mut_slice()) {
            let null = node.take().unwrap_or(truth(Op::Null));
            return Ok(Some(truth(Op::IsNull(boxed(null)))));
        }
        if nodes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let name = function.name;
        match (function.builtin, nodes.as_mut_slice()) {
            (Builtin::Number(of), [node]) => {
                let node = self.number_of(tree, name, node.take())?;
                let op = Op::Number(of, boxed(self.settle(node, Type::Double)));
                Ok(Some(Node { kind: Type::Double, op }))
            }
            (Builtin::Numbers(of), [a, b]) => {
                let a = self.number_of(tree, name, a.take())?;
                let b = self.number_of(tree, name, b.take())?;
                let [a, b] = [a, b].map(|node| boxed(self.settle(node, Type::Double)));
                Ok(Some(Node { kind: Type::Double, op: Op::Numbers(of, a, b) }))
            }
            (Builtin::Whole(of), [node]) => {
                let node = self.number_of(tree, name, node.take())?;
                Ok(node.map(|node| match node.kind {
                    Type::Double => Node { kind: node.kind, op: Op::Number(of, boxed(node)) },
                    _ => node,
                }))
            }
            (Builtin::Extreme(order), _) => {
                let kind = self.common(tree, name, &nodes)?;
                self.ordered(tree, name, kind)?;
                let nodes = nodes.into_iter().map(|node| self.settle(node, kind)).collect();
                Ok(Some(Node { kind, op: Op::Extreme(order, nodes) }))
            }
            (Builtin::OfTime(of), [node]) => {
                self.expect_kind(tree, name, node, Type::Timestamp)?;
                let op = Op::OfTime(of, boxed(self.settle(node.take(), Type::Timestamp)));
                Ok(Some(Node { kind: Type::Long, op }))
            }
            (Builtin::Truncate, [_, node]) => {
                self.expect_kind(tree, name, node, Type::Timestamp)?;
                let word = arguments.first().and_then(|unit| literal_text(unit));
                let unit = word.and_then(|word| Unit::ALL.into_iter().find(|(w, _)| *w == word));
                let Some((_, unit)) = unit else {
                    let words = Unit::ALL.map(|(word, _)| format!("'{word}'")).join(", ");
                    let message = format!("the first argument of `{name}` is none of {words}");
                    return Err(error(self.at(tree), message, Some(function.signature.into())));
                };
                let op = Op::Truncate(unit, boxed(self.settle(node.take(), Type::Timestamp)));
                Ok(Some(Node { kind: Type::Timestamp, op }))
            }
            (Builtin::SecondsBetween, [from, to]) => {
                self.expect_kind(tree, name, from, Type::Timestamp)?;
                self.expect_kind(tree, name, to, Type::Timestamp)?;
                let [from, to] = [from, to].map(|n| boxed(self.settle(n.take(), Type::Timestamp)));
                Ok(Some(Node { kind: Type::Double, op: Op::SecondsBetween(from, to) }))
            }
            (Builtin::OfText(of), [node]) => {
                self.expect_kind(tree, name, node, Type::String)?;
                let op = Op::OfText(of, boxed(self.settle(node.take(), Type::String)));
                Ok(Some(Node { kind: Type::String, op }))
            }
            (Builtin::Concat, nodes) => {
                let mut parts = Vec::with_capacity(nodes.len());
                for node in nodes {
                    self.expect_kind(tree, name, node, Type::String)?;
                    parts.push(self.settle(node.take(), Type::String));
                }
                Ok(Some(Node { kind: Type::String, op: Op::Concat(parts) }))
            }
            (Builtin::Substring, [text, places @ ..]) => {
                self.expect_kind(tree, name, text, Type::String)?;
                let text = boxed(self.settle(text.take(), Type::String));
                let mut longs = Vec::with_capacity(2);
                for place in places {
                    self.expect_kind(tree, name, place, Type::Long)?;
                    longs.push(boxed(self.settle(place.take(), Type::Long)));
                }
                let mut longs = longs.into_iter();
                let from = longs.next().unwrap_or_else(|| boxed(self.settle(None, Type::Long)));
                let op = Op::Substring(text, from, longs.next());
                Ok(Some(Node { kind: Type::String, op }))
            }
            (Builtin::ToDate, [node]) => {
                self.expect_kind(tree, name, node, Type::Timestamp)?;
                Ok(Some(spark::date(node.take())))
            }
            (Builtin::Length, [node]) => {
                self.expect_kind(tree, name, node, Type::String)?;
                let op = Op::Length(boxed(self.settle(node.take(), Type::String)));
                Ok(Some(Node { kind: Type::Long, op }))
            }
            (Builtin::Abs, [node]) => {
                let node = self.number_of(tree, name, node.take())?;
                Ok(node.map(|node| Node { kind: node.kind, op: Op::Abs(boxed(node)) }))
            }
            (Builtin::NullIf, [a, b]) => {
                let compared = self.common(tree, function.name, [&*a, &*b])?;
                let Some(a) = a.take() else { return Ok(None) };
                let b = self.settle(b.take(), compared);
                Ok(Some(Node { kind: a.kind, op: Op::NullIf(boxed(a), boxed(b)) }))
            }
            _ => {
                let kind = self.result(tree, name, &nodes)?;
                let nodes = nodes.into_iter().map(|node| self.settle(node, kind)).collect();
                Ok(Some(Node { kind, op: Op::Coalesce(nodes) }))
            }
        }
    }

    /// The arguments of a call that is nothing but a name and plain arguments.
    fn arguments<'e>(
        &self,
        tree: &Expr,
        call: &'e Call,
        signature: &str,
    ) -> Compiled<Vec<&'e Expr>> {
        let refused = || error(self.at(tree), "this call is not supported", Some(signature.into()));
        let FunctionArguments::List(list) = &call.args else { return Err(refused()) };
        let plain = list.duplicate_treatment.is_none()
            && list.clauses.is_empty()
            && matches!(call.parameters, FunctionArguments::None)
            && call.within_group.is_empty()
            && call.filter.is_none()
            && call.over.is_none()
            && call.null_treatment.is_none();
        if !plain {
            return Err(refused());
        }
        list.args
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
                _ => Err(refused()),
            })
            .collect()
    }

    /// The type to which all of `nodes` go; nulls go to any.
    fn common<'n>(
        &self,
        tree: &Expr,
        what: &str,
        nodes: impl IntoIterator<Item = &'n Typed>,
    ) -> Compiled<Type> {
        let kinds = nodes.into_iter().flatten().map(|node| node.kind);
        if self.predicate {
            return Ok(spark::compared(kinds));
        }
        let mut common: Option<Type> = None;
        for kind in kinds {
            common = Some(match common {
                None => kind,
                Some(other) if other == kind => kind,
                Some(other) if other.is_numeric() && kind.is_numeric() => Type::Double,
                Some(other) => {
                    return Err(error(
                        self.at(tree),
                        format!("`{what}` has a {other} and a {kind}, which have no common type"),
                        Some(format!("cast one of them, as cast(x as {other})")),
                    ));
                }
            });
        }
        Ok(common.unwrap_or(Type::Bool))
    }

    /// The type of what is one of `nodes`.
    fn result(&self, tree: &Expr, what: &str, nodes: &[Typed]) -> Compiled<Type> {
        if self.predicate {
            return Ok(spark::widest(nodes.iter().flatten().map(|node| node.kind)));
        }
        self.common(tree, what, nodes)
    }

    /// Refuses `<`, `>` and `between` on bools, most often a chain `a < b < c`.
    fn ordered(&self, tree: &Expr, what: &str, kind: Type) -> Compiled<()> {
        match kind {
            Type::Bool if !self.predicate => Err(error(
                self.at(tree),
                format!("`{what}` has no order of bools"),
                Some("for a range write x between a and b, or a < x and x < b".into()),
            )),
            _ => Ok(()),
        }
    }

    fn expect_bool(&self, tree: &Expr, what: &str, node: &Typed) -> Compiled<()> {
        match node {
            Some(node) if node.kind != Type::Bool && !self.predicate => Err(error(
                self.at(tree),
                format!("`{what}` takes a bool; this is a {}", node.kind),
                Some("compare it, as in x <> 0".into()),
            )),
            _ => Ok(()),
        }
    }

    /// A number as it is; all else is refused, or read as a double in a predicate.
    fn number_of(&self, tree: &Expr, what: &str, node: Typed) -> Compiled<Typed> {
        match node {
            Some(node) if node.kind.is_numeric() => Ok(Some(node)),
            Some(node) if self.predicate => Ok(Some(spark::convert(Some(node), Type::Double))),
            Some(node) => Err(error(
                self.at(tree),
                format!("`{what}` takes numbers; this is a {}", node.kind),
                Some("cast it, as in cast(x as double)".into()),
            )),
            None => Ok(None),
        }
    }

    fn expect_kind(&self, tree: &Expr, what: &str, node: &Typed, kind: Type) -> Compiled<()> {
        match node {
            Some(node) if node.kind != kind && !self.predicate => Err(error(
                self.at(tree),
                format!("`{what}` takes a {kind}; this is a {}", node.kind),
                Some(format!("cast it, as in cast(x as {kind})")),
            )),
            _ => Ok(()),
        }
    }

    /// `node` as a `kind`; a null becomes a null of that type.
    fn settle(&self, node: Typed, kind: Type) -> Node {
        match node {
            node if self.predicate => spark::convert(node, kind),
            None => Node { kind, op: Op::Null },
            Some(node) if node.kind == kind => node,
            Some(node) => Node { kind, op: Op::Cast(boxed(node)) },
        }
    }

    fn at(&self, tree: &Expr) -> usize {
        sql::offset(self.text, tree)
    }
}

fn error(offset: usize, message: impl Into<String>, hint: Option<String>) -> ExpressionError {
    ExpressionError { message: message.into(), offset, hint }
}

fn boxed(node: Node) -> Box<Node> {
    Box::new(node)
}

fn truth(op: Op) -> Node {
    Node { kind: Type::Bool, op }
}

fn not(node: Node) -> Node {
    truth(Op::Not(boxed(node)))
}

fn negate_if(negated: bool, node: Node) -> Node {
    if negated { not(node) } else { node }
}

/// The text of a literal.
fn literal_text(tree: &Expr) -> Option<&str> {
    match tree {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn plain_name(name: &ObjectName) -> String {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => name.value.clone(),
        _ => name.to_string(),
    }
}

fn comparison(op: &BinaryOperator) -> Option<Compare> {
    Some(match op {
        BinaryOperator::Eq => Compare::Equal,
        BinaryOperator::NotEq => Compare::NotEqual,
        BinaryOperator::Lt => Compare::Less,
        BinaryOperator::LtEq => Compare::LessOrEqual,
        BinaryOperator::Gt => Compare::Greater,
        BinaryOperator::GtEq => Compare::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(op: &BinaryOperator) -> Option<Arithmetic> {
    Some(match op {
        BinaryOperator::Plus => Arithmetic::Add,
        BinaryOperator::Minus => Arithmetic::Subtract,
        BinaryOperator::Multiply => Arithmetic::Multiply,
        BinaryOperator::Divide => Arithmetic::Divide,
        BinaryOperator::Modulo => Arithmetic::Remainder,
        _ => return None,
    })
}
