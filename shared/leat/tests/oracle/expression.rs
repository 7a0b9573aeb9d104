//! Expressions: how one is written, and what it gives for a row.

use std::cmp::Ordering;

use crate::model::Cells;
use crate::random::Random;
use crate::value::{Kind, V};

#[derive(Clone, Debug)]
pub enum E {
    Column(String),
    Literal(V),
    Negate(Box<E>),
    Abs(Box<E>),
    Arithmetic(char, Box<E>, Box<E>),
    Compare(&'static str, Box<E>, Box<E>),
    And(Box<E>, Box<E>),
    Or(Box<E>, Box<E>),
    Not(Box<E>),
    IsNull(Box<E>),
    In(Box<E>, Vec<E>),
    Between(Box<E>, Box<E>, Box<E>),
    Case(Vec<(E, E)>, Box<E>),
    Coalesce(Vec<E>),
    NullIf(Box<E>, Box<E>),
    Cast(Kind, Box<E>),
}

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

impl E {
    /// An expression of `kind` over `columns`.
    pub fn random(r: &mut Random, kind: Kind, columns: &[(String, Kind)], depth: usize) -> E {
        let of = |r: &mut Random, kind| Box::new(E::random(r, kind, columns, depth - 1));
        let any = |r: &mut Random| *r.pick(&[Kind::Long, Kind::Double, Kind::Text, Kind::Bool]);
        let number = |r: &mut Random| *r.pick(&[Kind::Long, Kind::Double]);
        if depth == 0 || r.one_in(4) {
            let fitting: Vec<_> = columns.iter().filter(|(_, k)| *k == kind).collect();
            return match r.one_in(4) || fitting.is_empty() {
                true => E::Literal(literal(r, kind)),
                false => E::Column(r.pick(&fitting).0.clone()),
            };
        }
        match r.below(6) {
            0 => {
                let arms = (0..=r.below(2)).map(|_| (*of(r, Kind::Bool), *of(r, kind))).collect();
                return E::Case(arms, of(r, kind));
            }
            1 => return E::Coalesce((0..=r.below(2)).map(|_| *of(r, kind)).collect()),
            2 => return E::NullIf(of(r, kind), of(r, kind)),
            3 if kind != Kind::Time => {
                let from = match kind {
                    Kind::Bool => number(r),
                    Kind::Text => *r.pick(&[Kind::Long, Kind::Bool, Kind::Double]),
                    _ => any(r),
                };
                return E::Cast(kind, of(r, from));
            }
            _ => {}
        }
        match kind {
            Kind::Long => match r.below(6) {
                0 => E::Negate(of(r, kind)),
                1 => E::Abs(of(r, kind)),
                _ => E::Arithmetic(*r.pick(&['+', '-', '*', '%']), of(r, kind), of(r, kind)),
            },
            Kind::Double => match r.below(6) {
                0 => E::Negate(of(r, kind)),
                1 => E::Abs(of(r, kind)),
                2 => {
                    let (a, b) = (number(r), number(r));
                    E::Arithmetic('/', of(r, a), of(r, b))
                }
                _ => {
                    let other = number(r);
                    E::Arithmetic(*r.pick(&['+', '-', '*', '/', '%']), of(r, kind), of(r, other))
                }
            },
            Kind::Bool => match r.below(8) {
                0 => E::And(of(r, kind), of(r, kind)),
                1 => E::Or(of(r, kind), of(r, kind)),
                2 => E::Not(of(r, kind)),
                3 => {
                    let of_kind = any(r);
                    E::IsNull(of(r, of_kind))
                }
                4 => {
                    let of_kind = any(r);
                    let list = (0..=r.below(3)).map(|_| *of(r, of_kind)).collect();
                    E::In(of(r, of_kind), list)
                }
                5 => {
                    let of_kind = number(r);
                    E::Between(of(r, of_kind), of(r, of_kind), of(r, of_kind))
                }
                6 => {
                    let of_kind = any(r);
                    // Truths have no order.
                    let signs = &COMPARISONS[..if of_kind == Kind::Bool { 2 } else { 6 }];
                    E::Compare(*r.pick(signs), of(r, of_kind), of(r, of_kind))
                }
                _ => {
                    let (a, b) = (number(r), number(r));
                    E::Compare(*r.pick(&COMPARISONS), of(r, a), of(r, b))
                }
            },
            Kind::Text | Kind::Time => E::Coalesce(vec![*of(r, kind), *of(r, kind)]),
        }
    }

    /// As SQL.
    pub fn sql(&self) -> String {
        let list = |list: &[E]| list.iter().map(E::sql).collect::<Vec<_>>().join(", ");
        match self {
            E::Column(name) => name.clone(),
            E::Literal(value) => match value {
                V::Bool(x) => x.to_string(),
                V::Long(x) => x.to_string(),
                V::Double(x) => format!("{x:?}"),
                V::Text(x) => format!("'{}'", x.replace('\'', "''")),
                V::Null | V::Time(_) => "null".to_owned(),
            },
            E::Negate(x) => format!("(- ({}))", x.sql()),
            E::Abs(x) => format!("abs({})", x.sql()),
            E::Arithmetic(sign, a, b) => format!("({} {sign} {})", a.sql(), b.sql()),
            E::Compare(sign, a, b) => format!("({} {sign} {})", a.sql(), b.sql()),
            E::And(a, b) => format!("({} and {})", a.sql(), b.sql()),
            E::Or(a, b) => format!("({} or {})", a.sql(), b.sql()),
            E::Not(x) => format!("(not {})", x.sql()),
            E::IsNull(x) => format!("({} is null)", x.sql()),
            E::In(x, of) => format!("({} in ({}))", x.sql(), list(of)),
            E::Between(x, low, high) => {
                format!("({} between {} and {})", x.sql(), low.sql(), high.sql())
            }
            E::Case(arms, otherwise) => {
                let arms: Vec<_> = arms
                    .iter()
                    .map(|(a, b)| format!("when {} then {}", a.sql(), b.sql()))
                    .collect();
                format!("(case {} else {} end)", arms.join(" "), otherwise.sql())
            }
            E::Coalesce(of) => format!("coalesce({})", list(of)),
            E::NullIf(a, b) => format!("nullif({}, {})", a.sql(), b.sql()),
            E::Cast(kind, x) => format!("cast({} as {})", x.sql(), kind.word()),
        }
    }

    /// What it gives for a row.
    pub fn of(&self, row: &Cells) -> V {
        let truth = |e: &E| match e.of(row) {
            V::Bool(x) => Some(x),
            _ => None,
        };
        let bool = |x: Option<bool>| x.map_or(V::Null, V::Bool);
        let equal = |a: &V, b: &V| order(a, b).map(Ordering::is_eq);
        match self {
            E::Column(name) => match row.get(name).cloned().unwrap_or(V::Null) {
                V::Double(x) => V::finite(x),
                other => other,
            },
            E::Literal(value) => value.clone(),
            E::Negate(x) => match x.of(row) {
                V::Long(x) => x.checked_neg().map_or(V::Null, V::Long),
                V::Double(x) => V::finite(-x),
                _ => V::Null,
            },
            E::Abs(x) => match x.of(row) {
                V::Long(x) => x.checked_abs().map_or(V::Null, V::Long),
                V::Double(x) => V::finite(x.abs()),
                _ => V::Null,
            },
            E::Arithmetic(sign, a, b) => arithmetic(*sign, &a.of(row), &b.of(row)),
            E::Compare(sign, a, b) => {
                bool(order(&a.of(row), &b.of(row)).map(|order| match *sign {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            E::And(a, b) => bool(and(truth(a), truth(b))),
            E::Or(a, b) => bool(or(truth(a), truth(b))),
            E::Not(x) => bool(truth(x).map(|x| !x)),
            E::IsNull(x) => V::Bool(x.of(row) == V::Null),
            E::In(x, list) => {
                let x = x.of(row);
                let mut met = Some(false);
                list.iter().for_each(|e| met = or(met, equal(&x, &e.of(row))));
                bool(met)
            }
            E::Between(x, low, high) => {
                let x = x.of(row);
                bool(and(
                    order(&x, &low.of(row)).map(Ordering::is_ge),
                    order(&x, &high.of(row)).map(Ordering::is_le),
                ))
            }
            E::Case(arms, otherwise) => {
                let arm = arms.iter().find(|(when, _)| truth(when) == Some(true));
                arm.map_or(&**otherwise, |(_, then)| then).of(row)
            }
            E::Coalesce(list) => {
                list.iter().map(|e| e.of(row)).find(|v| *v != V::Null).unwrap_or(V::Null)
            }
            E::NullIf(a, b) => {
                let a = a.of(row);
                if equal(&a, &b.of(row)) == Some(true) { V::Null } else { a }
            }
            E::Cast(kind, x) => cast(*kind, x.of(row)),
        }
    }
}

fn literal(r: &mut Random, kind: Kind) -> V {
    match kind {
        Kind::Bool => V::Bool(r.one_in(2)),
        Kind::Long => V::Long(*r.pick(&[0, 1, 2, 7, 60, 1_000_000, i64::MAX])),
        Kind::Double => V::Double(*r.pick(&[0.0, 0.5, 1.0, 2.5, 1e-300, 1e300, 4.9e-324])),
        Kind::Text => V::Text((*r.pick(&["", "a", "web", "don't", "Ünï", "7", " "])).to_owned()),
        Kind::Time => V::Null,
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(_), Some(_)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    and(a.map(|a| !a), b.map(|b| !b)).map(|x| !x)
}

/// Of two values of one type; of two numbers, if one is a double, as doubles.
fn order(a: &V, b: &V) -> Option<Ordering> {
    match (a, b) {
        (V::Long(a), V::Long(b)) | (V::Time(a), V::Time(b)) => Some(a.cmp(b)),
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        (V::Text(a), V::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (a, b) => a.number()?.partial_cmp(&b.number()?),
    }
}

/// Longs stay longs but under `/`; what is not finite, or overflows, is missing.
fn arithmetic(sign: char, a: &V, b: &V) -> V {
    if let (V::Long(a), V::Long(b), '+' | '-' | '*' | '%') = (a, b, sign) {
        // Wide enough for any of them.
        let (a, b) = (i128::from(*a), i128::from(*b));
        let x = match sign {
            '+' => a + b,
            '-' => a - b,
            '*' => a * b,
            _ if b == 0 => return V::Null,
            _ => a % b,
        };
        return i64::try_from(x).map_or(V::Null, V::Long);
    }
    let (Some(a), Some(b)) = (a.number(), b.number()) else { return V::Null };
    V::finite(match sign {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        '/' => a / b,
        _ => a % b,
    })
}

fn cast(kind: Kind, value: V) -> V {
    match (kind, value) {
        (_, V::Null) => V::Null,
        (Kind::Bool, V::Bool(x)) => V::Bool(x),
        (Kind::Bool, V::Long(x)) => V::Bool(x != 0),
        (Kind::Bool, V::Double(x)) => V::Bool(x != 0.0),
        (Kind::Long, V::Long(x)) => V::Long(x),
        (Kind::Long, V::Bool(x)) => V::Long(i64::from(x)),
        (Kind::Long, V::Double(x)) => long(x),
        (Kind::Long, V::Text(x)) => match x.trim_ascii().parse() {
            Ok(x) => V::Long(x),
            Err(_) => leat::number::parse(&x).filter(|x| x.fract() == 0.0).map_or(V::Null, long),
        },
        (Kind::Double, V::Bool(x)) => V::Double(f64::from(u8::from(x))),
        (Kind::Double, V::Long(x)) => V::double(x as f64),
        (Kind::Double, V::Double(x)) => V::finite(x),
        (Kind::Double, V::Text(x)) => leat::number::parse(&x).map_or(V::Null, V::finite),
        (Kind::Text, V::Text(x)) => V::Text(x),
        (Kind::Text, V::Bool(x)) => V::Text(x.to_string()),
        (Kind::Text, V::Long(x)) => V::Text(x.to_string()),
        (Kind::Text, V::Double(x)) => V::Text(leat::number::to_text(x)),
        (kind, value) => panic!("no cast of {value:?} to {kind:?} is ever written"),
    }
}

/// Cut towards zero, if a long holds it.
fn long(x: f64) -> V {
    let x = x.trunc();
    let holds = x >= i64::MIN as f64 && x < -(i64::MIN as f64);
    if holds { V::Long(x as i64) } else { V::Null }
}
