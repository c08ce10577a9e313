//! Which version of the package the binary belongs to.

use napi_derive::napi;

/// The package's version that this binary was compiled for.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
