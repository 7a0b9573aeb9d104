//! A value of a cell, in its one form.

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub enum V {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Time(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Long,
    Double,
    Text,
    Time,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Long => "long",
            Kind::Double => "double",
            Kind::Text => "string",
            Kind::Time => "timestamp",
        }
    }
}

impl V {
    /// NaN is missing, −0.0 is 0.0.
    pub fn double(x: f64) -> V {
        match x {
            x if x.is_nan() => V::Null,
            0.0 => V::Double(0.0),
            x => V::Double(x),
        }
    }

    /// The same, and what is infinite is missing.
    pub fn finite(x: f64) -> V {
        if x.is_finite() { V::double(x) } else { V::Null }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            V::Long(x) => Some(*x as f64),
            V::Double(x) => Some(*x),
            _ => None,
        }
    }

    /// To the bit.
    pub fn same(&self, other: &V) -> bool {
        match (self, other) {
            (V::Double(a), V::Double(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}
