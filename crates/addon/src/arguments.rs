//! Checks of arguments. N-API converts numbers by wrapping (-1 becomes 4294967295, 1.5 becomes 1),
//! so every number crosses as a double and is checked here, by name.

use std::collections::BTreeSet;

use crate::{
    errors::{Result, invalid},
    limits::{ID_MAX, INTEGER_MAX, NODE_MAX},
};

/// A whole number from 0 to `max`.
pub fn integer(name: &str, value: f64, max: u64) -> Result<u64> {
    let fits = value.fract() == 0.0 && value >= 0.0 && value <= max as f64;
    if fits {
        return Ok(value as u64);
    }
    Err(invalid(format!(
        "{name} must be a whole number from 0 to {max}, not {value}"
    )))
}

/// A whole number from `min` to `max`.
pub fn integer_between(name: &str, value: f64, min: u64, max: u64) -> Result<u64> {
    match integer(name, value, max) {
        Ok(number) if number >= min => Ok(number),
        _ => Err(invalid(format!(
            "{name} must be a whole number from {min} to {max}, not {value}"
        ))),
    }
}

/// A group id or keyspace number.
pub fn id(name: &str, value: f64) -> Result<u32> {
    // 31 bits fit into 32.
    integer(name, value, ID_MAX).map(|number| number as u32)
}

/// A term, index, snapshot or request number.
pub fn number(name: &str, value: f64) -> Result<u64> {
    integer(name, value, INTEGER_MAX)
}

/// A node id.
pub fn node(name: &str, value: f64) -> Result<u64> {
    integer_between(name, value, 1, NODE_MAX)
}

/// Node ids.
pub fn nodes(name: &str, values: &[f64]) -> Result<BTreeSet<u64>> {
    values.iter().map(|value| node(name, *value)).collect()
}
