//! What earlier runs found, kept on this machine, and what has changed since.
//!
//! After a run, its verdicts, findings and dates go into one SQLite file in the user's state
//! directory ([`History::record`]). From it Lineman knows what did not pass last time
//! ([`History::known`]) and so what to test again ([`Known::again`]) and how the outcome differs
//! ([`compare`]); when an integration last passed, when it broke and what changed between
//! ([`History::story`]); and what expires when ([`History::expiring`]). Where no state outlives a
//! run, a saved report knows as much of the last one ([`Known::of_report`]).
//!
//! No secret is in there, nor a hash that somebody could try guesses on. Of each secret and each
//! setting there is a fingerprint: an HMAC under a key that was made on this machine and is readable
//! for its user alone, or that the configuration refers to where several machines must agree
//! ([`FingerprintKey`]).
//!
//! A check's result never depends on any of this. A file that cannot be read as a database is set
//! aside with a warning and a new one begun; whatever else goes wrong is an error that its caller
//! tells and goes on. Runs are written in one transaction each, with SQLite's rollback journal:
//! its write-ahead log would need memory that all processes share, which home directories on
//! network file systems do not have. Processes wait for each other, for a limited time.
//!
//! What is known of a check is what the last run that decided it found: a run that was interrupted
//! or asked for less says nothing of the checks that it left out.
//!
//! This crate knows no provider, runs no check, resolves no reference and renders nothing.

mod error;
mod expiring;
mod file;
mod fingerprint;
mod known;
mod migrations;
mod prune;
mod record;
mod retest;
mod row;
mod story;

pub use error::HistoryError;
pub use expiring::{Due, EXPIRING_SCHEMA, Expiring};
pub use file::{History, Limits};
pub use fingerprint::{FingerprintKey, Given};
pub use known::{Known, State};
pub use retest::{
    Change, Comparison, CredentialNews, Difference, RETEST_SCHEMA, Retest, Retested, Spread, awaits_a_credential,
    compare, merged, passes,
};
pub use story::{Changed, HISTORY_SCHEMA, Stories, Story, Turn};
