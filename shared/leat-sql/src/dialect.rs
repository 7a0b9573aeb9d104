//! Spark's SQL for DataFusion: names without regard to case, in backquotes where they need quotes; texts in single or
//! double quotes, with backslashes; `/`, `%`, `div`, `<=>`, `rlike` and `cast` as Spark has them without ANSI mode.

use std::any::TypeId;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, BinaryOperator, CastKind, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::{Dialect, Precedence, SparkSqlDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The most words and signs of a query: plans are as deep as its longest chain of operators.
pub const MAX_TOKENS: usize = 1024;
/// The most parentheses within each other.
const MAX_DEPTH: usize = 64;

/// Reads a query. Names come out in lower case.
pub fn read(sql: &str) -> Result<Statement, String> {
    let refused = |why: ParserError| match why {
        ParserError::TokenizerError(why) | ParserError::ParserError(why) => why,
        ParserError::RecursionLimitExceeded => {
            format!("it is nested more than {MAX_DEPTH} levels deep")
        }
    };
    let dialect = Spark(SparkSqlDialect);
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|why| refused(why.into()))?;
    let count = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
    if count > MAX_TOKENS {
        return Err(format!("it has {count} words and signs; at most {MAX_TOKENS} are allowed"));
    }
    for token in &mut tokens {
        match &mut token.token {
            Token::Word(word) => word.value = word.value.to_lowercase(),
            other => {
                if let Token::DoubleQuotedString(text) = other {
                    *other = Token::SingleQuotedString(std::mem::take(text));
                }
            }
        }
    }
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let mut query = parser.parse_query().map_err(refused)?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(format!("`{next}` is not expected here"));
    }
    // Without ANSI mode a value that cannot be cast is null; DataFusion has `rlike` by another name.
    let _: ControlFlow<()> = visit_expressions_mut(&mut query, |expression| {
        match expression {
            ast::Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
            ast::Expr::RLike { negated, expr, pattern, .. } => {
                let op = match negated {
                    true => BinaryOperator::PGRegexNotMatch,
                    false => BinaryOperator::PGRegexMatch,
                };
                let (left, right) = (expr.clone(), pattern.clone());
                *expression = ast::Expr::BinaryOp { left, op, right };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    Ok(Statement::Statement(Box::new(ast::Statement::Query(query))))
}

/// The operators that mean something else to DataFusion: `/` gives a double, `/`, `%` and `div` by zero give null,
/// `<=>` is equality of which null takes part.
#[derive(Debug)]
pub struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let by = |operator: Operator, kind: Option<DataType>, left: Expr, right: Expr| {
            let typed = |e: Expr| match &kind {
                Some(kind) => cast(e, kind.clone()),
                None => e,
            };
            let zero = match kind {
                Some(DataType::Float64) => lit(0.0),
                _ => lit(0_i64),
            };
            binary_expr(typed(left), operator, nullif(typed(right), zero))
        };
        Ok(PlannerResult::Planned(match op {
            BinaryOperator::Divide => by(Operator::Divide, Some(DataType::Float64), left, right),
            BinaryOperator::MyIntegerDivide => {
                by(Operator::Divide, Some(DataType::Int64), left, right)
            }
            BinaryOperator::Modulo => by(Operator::Modulo, None, left, right),
            BinaryOperator::Spaceship => binary_expr(left, Operator::IsNotDistinctFrom, right),
            op => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        }))
    }
}

/// Spark's dialect, with backslashes in texts.
#[derive(Debug)]
struct Spark(SparkSqlDialect);

/// The methods that are the dialect's own.
macro_rules! as_spark {
    ($($name:ident),*) => {
        $(fn $name(&self) -> bool {
            self.0.$name()
        })*
    };
}

impl Dialect for Spark {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    as_spark!(
        supports_filter_during_aggregation,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_nested_comments,
        supports_long_type_as_bigint,
        supports_values_as_table_factor,
        supports_bang_not_operator,
        supports_cte_without_as
    );

    // Binds as `/` does; the dialect's own takes all that follows.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &ast::Expr,
        precedence: u8,
    ) -> Option<Result<ast::Expr, ParserError>> {
        if !parser.parse_keyword(Keyword::DIV) {
            return self.0.parse_infix(parser, expr, precedence);
        }
        let right = parser.parse_subexpr(self.prec_value(Precedence::MulDivModOp));
        Some(right.map(|right| ast::Expr::BinaryOp {
            left: Box::new(expr.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        }))
    }
}
