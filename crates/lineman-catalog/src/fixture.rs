//! The catalog of an invented provider.

use crate::Catalog;

pub(crate) const ACME: &str = include_str!("../tests/acme.toml");

pub(crate) fn acme() -> Catalog {
    Catalog::parse("acme", ACME).unwrap_or_else(|error| panic!("{error}"))
}
