//! The types of single values.

use lake::schema::Kind;
use serde_json::{Map, Value};

/// Digits of a decimal whose schema names no precision.
pub(super) const DECIMAL_PRECISION: u8 = 38;

/// Scale of a Singer decimal whose schema names none.
const DECIMAL_SCALE: i8 = 9;

/// `int` when both bounds fit 32 bits, else `bigint`.
pub(super) fn integer(schema: &Map<String, Value>) -> Kind {
    let bound = |inclusive: &str, exclusive: &str| {
        [inclusive, exclusive].iter().find_map(|key| schema.get(*key)?.as_f64())
    };
    let fits = |bound: f64| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&bound);
    match (bound("minimum", "exclusiveMinimum"), bound("maximum", "exclusiveMaximum")) {
        (Some(low), Some(high)) if fits(low) && fits(high) => Kind::Int,
        _ => Kind::Bigint,
    }
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
    let format = schema.get("format")?.as_str()?;
    if format != "singer.decimal" && format != "x-singer.decimal" {
        return None;
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    let precision = number("precision").unwrap_or(u64::from(DECIMAL_PRECISION)).clamp(1, 38);
    let scale = number("scale").unwrap_or(DECIMAL_SCALE as u64).min(precision);
    Some(Kind::Decimal(u8::try_from(precision).ok()?, i8::try_from(scale).ok()?))
}

pub(super) fn kind_of_value(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_f64() => Kind::Double,
        Value::Number(_) => Kind::Bigint,
        Value::String(_) => Kind::String,
        Value::Array(_) | Value::Object(_) => Kind::Json,
    })
}
