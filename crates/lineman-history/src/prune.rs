//! Letting go of what is too old or too much.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use crate::Limits;
use crate::row::text_of;

/// Runs go from the oldest on; the last one stays, however large it is. What is known last of a
/// check goes when it is as old as the runs that go.
pub(crate) fn prune(transaction: &Transaction<'_>, limits: Limits, now: Timestamp) -> rusqlite::Result<()> {
    if let Ok(oldest) = now.checked_sub(limits.keep) {
        let oldest = text_of(oldest);
        transaction.execute("DELETE FROM run WHERE finished_at < ?1", [&oldest])?;
        transaction.execute("DELETE FROM state WHERE at < ?1", [&oldest])?;
        transaction.execute("DELETE FROM expiry WHERE seen_at < ?1", [&oldest])?;
    }
    while used(transaction)? > limits.max_bytes {
        // A tenth at a time: how much a run takes is not known.
        let runs: i64 = transaction.query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
        let some = (runs / 10).max(1).min(runs - 1);
        if some <= 0 {
            break;
        }
        transaction.execute("DELETE FROM run WHERE id IN (SELECT id FROM run ORDER BY id LIMIT ?1)", params![some])?;
    }
    // Each step gives one page back.
    let mut give_back = transaction.prepare("PRAGMA incremental_vacuum")?;
    let mut steps = give_back.query([])?;
    while steps.next()?.is_some() {}
    Ok(())
}

/// Bytes of the file that hold something.
fn used(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    Ok(u64::try_from(pages.saturating_mul(number("page_size")?)).unwrap_or(0))
}
