//! `__filter__`: which records of a stream go on.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value;

use super::path::Path;

/// A condition on the properties of a record. `F` is how a property is found: by its path, or by
/// what a program makes of that.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter<F = Path> {
    /// All hold.
    All(Vec<Self>),
    /// One holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A property and a test of its value.
    Is(F, Test),
}

/// A test of one value. Null passes none but [`Test::Null`].
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is null, or absent.
    Null,
    /// It is neither null, false, zero nor empty.
    Truthy,
    /// It compares with a value this way.
    Compares(Comparison, Literal),
    /// It is text that begins like this.
    StartsWith(String),
    /// It is text that ends like this.
    EndsWith(String),
    /// It is text that has this inside.
    Contains(String),
}

/// A way to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A value that is written in an expression.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Literal {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
}

/// A value of a record, as far as filters look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Null, or absent.
    Null,
    /// Text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// An object or an array, and whether it is empty.
    Nested {
        /// Whether nothing is in it.
        is_empty: bool,
    },
}

impl<F> Filter<F> {
    /// The properties that it looks at.
    pub fn paths(&self) -> Vec<&F> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::paths).collect(),
            Self::Not(part) => part.paths(),
            Self::Is(path, _) => vec![path],
        }
    }

    /// Whether a record passes, whose values `look_up` knows.
    pub fn test<'a>(&'a self, look_up: &impl Fn(&'a F) -> Scalar<'a>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.test(look_up)),
            Self::Any(parts) => parts.iter().any(|part| part.test(look_up)),
            Self::Not(part) => !part.test(look_up),
            Self::Is(property, test) => test.passes(look_up(property)),
        }
    }

    /// The same condition, with each property and test as `bind` makes them.
    pub fn bind<G, E>(
        &self,
        bind: &mut impl FnMut(&F, &Test) -> Result<(G, Test), E>,
    ) -> Result<Filter<G>, E> {
        let mut all = |parts: &[Self]| -> Result<Vec<Filter<G>>, E> {
            parts.iter().map(|part| part.bind(bind)).collect()
        };
        Ok(match self {
            Self::All(parts) => Filter::All(all(parts)?),
            Self::Any(parts) => Filter::Any(all(parts)?),
            Self::Not(part) => Filter::Not(Box::new(part.bind(bind)?)),
            Self::Is(property, test) => {
                let (property, test) = bind(property, test)?;
                Filter::Is(property, test)
            }
        })
    }
}

impl Test {
    /// Whether a value passes.
    pub fn passes(&self, value: Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Null, value) => value == Scalar::Null,
            (_, Scalar::Null) => false,
            (Self::Truthy, Scalar::Boolean(flag)) => flag,
            (Self::Truthy, Scalar::Text(text)) => !text.is_empty(),
            (Self::Truthy, Scalar::Integer(number)) => number != 0,
            (Self::Truthy, Scalar::Number(number)) => number.abs() > 0.0,
            (Self::Truthy, Scalar::Nested { is_empty }) => !is_empty,
            (Self::Compares(how, literal), value) => {
                literal.order(value).is_some_and(|order| how.holds(order))
            }
            (Self::StartsWith(start), Scalar::Text(text)) => text.starts_with(start.as_str()),
            (Self::EndsWith(end), Scalar::Text(text)) => text.ends_with(end.as_str()),
            (Self::Contains(part), Scalar::Text(text)) => text.contains(part.as_str()),
            (Self::StartsWith(_) | Self::EndsWith(_) | Self::Contains(_), _) => false,
        }
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The same comparison with its sides changed.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

impl Literal {
    /// How a value stands to this one; nothing where they do not compare.
    #[expect(clippy::cast_precision_loss, reason = "as Python compares whole numbers with others")]
    fn order(&self, value: Scalar<'_>) -> Option<Ordering> {
        match (value, self) {
            (Scalar::Text(value), Self::Text(own)) => Some(value.cmp(own.as_str())),
            (Scalar::Integer(value), Self::Integer(own)) => Some(value.cmp(own)),
            (Scalar::Integer(value), Self::Number(own)) => (value as f64).partial_cmp(own),
            (Scalar::Number(value), Self::Integer(own)) => value.partial_cmp(&(*own as f64)),
            (Scalar::Number(value), Self::Number(own)) => value.partial_cmp(own),
            (Scalar::Boolean(value), Self::Boolean(own)) => Some(value.cmp(own)),
            _ => None,
        }
    }

    /// The name of its type in JSON Schema.
    pub fn json_type(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "integer",
            Self::Number(_) => "number",
            Self::Boolean(_) => "boolean",
        }
    }
}

impl<'a> From<Option<&'a Value>> for Scalar<'a> {
    fn from(value: Option<&'a Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Null,
            Some(Value::Bool(flag)) => Self::Boolean(*flag),
            Some(Value::String(text)) => Self::Text(text),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(number) => Self::Integer(number),
                None => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(Value::Array(items)) => Self::Nested { is_empty: items.is_empty() },
            Some(Value::Object(members)) => Self::Nested { is_empty: members.is_empty() },
        }
    }
}
