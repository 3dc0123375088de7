//! The types of single values.

use lake::schema::Kind;
use serde_json::{Map, Number, Value};

/// Digits of a decimal whose schema names no precision.
pub(super) const DECIMAL_PRECISION: u8 = 38;

/// Scale of a Singer decimal whose schema names none.
const DECIMAL_SCALE: i8 = 9;

/// Digits of the largest integer of 64 bits without a sign.
const UNSIGNED_DIGITS: u32 = 20;

/// Digits before the point and behind it, as a schema declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) whole: u32,
    pub(super) scale: u32,
}

impl Declared {
    /// Whether no decimal has so many.
    pub(super) fn is_too_long(self) -> bool {
        self.whole.saturating_add(self.scale) > u32::from(DECIMAL_PRECISION)
    }
}

/// A limit that a schema sets to its numbers.
#[derive(Debug, Clone, Copy)]
struct Bound<'a> {
    number: &'a Number,
    is_exclusive: bool,
}

impl<'a> Bound<'a> {
    /// The limit at one end, where there is one.
    fn of(schema: &'a Map<String, Value>, inclusive: &str, exclusive: &str) -> Option<Self> {
        let number = |key: &str| schema.get(key).and_then(Value::as_number);
        // The fourth draft of JSON Schema had a flag in its place.
        let is_flagged = schema.get(exclusive) == Some(&Value::Bool(true));
        match (number(inclusive), number(exclusive)) {
            (Some(number), _) => Some(Self { number, is_exclusive: is_flagged }),
            (None, Some(number)) => Some(Self { number, is_exclusive: true }),
            (None, None) => None,
        }
    }

    fn value(self) -> f64 {
        self.number.as_f64().unwrap_or(f64::INFINITY)
    }

    /// Whether it is one of 64 bits. A double at their very end is one that was meant to be.
    fn fits_bigint(self) -> bool {
        const END: u64 = 1 << 63;
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let end = END as f64;
        match self.number.as_u64() {
            Some(number) => number < END || (number == END && self.is_exclusive),
            None => self.number.is_i64() || self.value().abs() <= end,
        }
    }

    /// Digits before the point of the largest number that it allows.
    fn digits(self) -> u32 {
        let exponent = self.value().abs().max(1.0).log10();
        let digits =
            if self.is_exclusive { exponent.ceil().max(1.0) } else { exponent.floor() + 1.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "doubles have at most 309"
        )]
        let digits = digits.min(1e6) as u32;
        digits
    }
}

fn bounds(schema: &Map<String, Value>) -> [Option<Bound<'_>>; 2] {
    [
        Bound::of(schema, "minimum", "exclusiveMinimum"),
        Bound::of(schema, "maximum", "exclusiveMaximum"),
    ]
}

/// The most digits before the point that the limits of a schema allow, if it has any.
fn whole_digits(schema: &Map<String, Value>) -> Option<u32> {
    bounds(schema).into_iter().flatten().map(Bound::digits).max()
}

/// `int` when both bounds fit 32 bits, a decimal when one of them does not fit 64, else `bigint`.
pub(super) fn integer(schema: &Map<String, Value>) -> Kind {
    let bounds = bounds(schema);
    let fits =
        |bound: &Bound<'_>| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&bound.value());
    if let [Some(low), Some(high)] = &bounds
        && fits(low)
        && fits(high)
    {
        return Kind::Int;
    }
    if bounds.iter().flatten().all(|bound| bound.fits_bigint()) {
        return Kind::Bigint;
    }
    let digits = whole_digits(schema).unwrap_or(UNSIGNED_DIGITS).max(UNSIGNED_DIGITS);
    Kind::Decimal(
        u8::try_from(digits).map_or(DECIMAL_PRECISION, |digits| digits.min(DECIMAL_PRECISION)),
        0,
    )
}

/// The digits that a schema of numbers declares, where it declares any.
pub(super) fn declared(schema: &Map<String, Value>) -> Option<Declared> {
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    if is_decimal_string(schema) {
        let scale = number("scale").unwrap_or(DECIMAL_SCALE as u64);
        let precision = number("precision").unwrap_or(u64::from(DECIMAL_PRECISION));
        let digits = |digits: u64| u32::try_from(digits).unwrap_or(u32::MAX);
        return Some(Declared {
            whole: digits(precision.saturating_sub(scale)),
            scale: digits(scale),
        });
    }
    let scale = decimal_number(schema).map_or(0, |kind| match kind {
        Kind::Decimal(_, scale) => u32::from(scale.unsigned_abs()),
        _ => 0,
    });
    Some(Declared { whole: whole_digits(schema)?, scale })
}

/// A number whose `multipleOf` is a decimal fraction: as many decimals as that has.
pub(super) fn decimal_number(schema: &Map<String, Value>) -> Option<Kind> {
    let step = schema.get("multipleOf")?.as_f64().filter(|step| *step > 0.0)?;
    let text = format!("{step:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = i64::try_from(digits).ok()? - exponent.parse::<i64>().ok()?;
    let scale = i8::try_from(scale.max(0)).ok()?;
    (scale <= 37).then_some(Kind::Decimal(DECIMAL_PRECISION, scale))
}

/// The decimal formats of singer-python and of the Meltano SDK.
pub(super) fn decimal_string(schema: &Map<String, Value>) -> Option<Kind> {
    if !is_decimal_string(schema) {
        return None;
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    let precision = number("precision").unwrap_or(u64::from(DECIMAL_PRECISION)).clamp(1, 38);
    let scale = number("scale").unwrap_or(DECIMAL_SCALE as u64).min(precision);
    Some(Kind::Decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
}

fn is_decimal_string(schema: &Map<String, Value>) -> bool {
    let format = schema.get("format").and_then(Value::as_str);
    matches!(format, Some("singer.decimal" | "x-singer.decimal"))
}

pub(super) fn kind_of_value(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_f64() => Kind::Double,
        Value::Number(number) if number.is_i64() => Kind::Bigint,
        Value::Number(_) => Kind::Decimal(20, 0),
        Value::String(_) => Kind::String,
        Value::Array(_) | Value::Object(_) => Kind::Json,
    })
}
