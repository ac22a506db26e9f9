//! What ends when.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lineman_model::Report;
use rusqlite::params;
use schemars::JsonSchema;
use serde::Serialize;

use crate::row::moment;
use crate::{History, HistoryError};

/// The name and version of the format of `lineman expiring`.
pub const EXPIRING_SCHEMA: &str = "lineman.expiring/1";

/// What ends within some time, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Expiring {
    /// [`EXPIRING_SCHEMA`].
    pub schema: String,
    /// When this was asked.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// The last moment that counts.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// What is due, the nearest first.
    pub due: Vec<Due>,
    /// How many dates are known that are not due.
    pub later: usize,
    /// The oldest of the runs that these dates are from.
    #[serde(skip_serializing_if = "Option::is_none", with = "lineman_model::milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub oldest: Option<Timestamp>,
}

/// A date after which something stops working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Due {
    /// Name of the integration.
    pub integration: String,
    /// What ends.
    pub what: String,
    /// When.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// When the run ended that read it.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub seen_at: Timestamp,
}

impl Due {
    /// The dates of a report.
    pub fn of_report(report: &Report) -> Vec<Due> {
        let seen_at = report.run.finished_at;
        let of = |it: &lineman_model::IntegrationReport| {
            let name = it.name.clone();
            let dates = it.expires.clone();
            dates.into_iter().map(move |date| Due { integration: name.clone(), what: date.what, at: date.at, seen_at })
        };
        report.integrations.iter().flat_map(of).collect()
    }
}

impl Expiring {
    /// Those of some dates that are due.
    pub fn of(mut dates: Vec<Due>, now: Timestamp, within: SignedDuration) -> Expiring {
        let until = now.checked_add(within).unwrap_or(Timestamp::MAX);
        dates.sort_by(|a, b| (a.at, &a.integration, &a.what).cmp(&(b.at, &b.integration, &b.what)));
        let (oldest, all) = (dates.iter().map(|date| date.seen_at).min(), dates.len());
        dates.retain(|date| date.at <= until);
        Expiring { schema: EXPIRING_SCHEMA.to_owned(), now, until, later: all - dates.len(), due: dates, oldest }
    }
}

impl History {
    /// Every date that is known of the integrations of a configuration; nothing where none of its
    /// runs is known.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn expiring(&self, configuration: &Path) -> Result<Option<Vec<Due>>, HistoryError> {
        let configuration = configuration.to_string_lossy();
        let dates = self.read(|transaction| {
            let runs = "SELECT EXISTS (SELECT 1 FROM run WHERE configuration = ?1)";
            if !transaction.query_row(runs, [&configuration], |row| row.get::<_, bool>(0))? {
                return Ok(None);
            }
            let mut dates =
                transaction.prepare("SELECT integration, what, at, seen_at FROM expiry WHERE configuration = ?1")?;
            let dates = dates.query_map(params![configuration], |row| {
                Ok(Due {
                    integration: row.get("integration")?,
                    what: row.get("what")?,
                    at: moment(row, "at")?,
                    seen_at: moment(row, "seen_at")?,
                })
            })?;
            dates.collect::<rusqlite::Result<Vec<Due>>>().map(Some)
        })?;
        Ok(dates.flatten())
    }
}
