use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::api::{Answer, Response};

static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        fault: Vec<Fault>,
    }
    let file: File = toml::from_str(include_str!("../faults.toml")).expect("faults.toml is tested");
    file.fault
});

/// Every documented fault that the lab can play, in the order of `faults.toml`.
pub fn faults() -> &'static [Fault] {
    &FAULTS
}

/// An answer that a provider documents for something gone wrong: *simulated*, from `source`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The name by which it is asked for, such as `sts/expired-token`.
    pub id: String,
    /// Who answers so: `sts`, `iam`, `s3`, `git`, `github`, `gitlab`, `gcp` or `azure`.
    pub service: String,
    /// The one operation answered so; `*` for all.
    pub operation: String,
    /// The status code.
    #[serde(default)]
    pub status: u16,
    /// Headers beside those that the service always sends.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The provider's error code, put with `message` into the service's own envelope.
    #[serde(default)]
    pub code: String,
    /// The provider's words.
    #[serde(default)]
    pub message: String,
    /// The body as it is, where there is no envelope.
    #[serde(default)]
    pub body: String,
    /// How the answer ends.
    #[serde(default)]
    pub delivery: Delivery,
    /// Whether the words are the lab's, where the provider is on record with the rest.
    #[serde(default)]
    pub reconstructed: bool,
    /// Where the provider documents it.
    pub source: String,
}

/// How far an answer gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// It arrives.
    #[default]
    Whole,
    /// It stops half way and the connection stays open.
    Stall,
    /// It stops half way and the connection is cut.
    Cut,
    /// Nothing arrives and the connection is closed.
    Close,
    /// Nothing arrives and the connection stays open.
    Silence,
}

impl Fault {
    /// The fault of that id.
    pub fn named(id: &str) -> Result<Fault> {
        FAULTS.iter().find(|fault| fault.id == id).cloned().with_context(|| format!("faults.toml has no {id:?}"))
    }

    fn hits(&self, service: &str, operation: &str) -> bool {
        self.service == service && (self.operation == "*" || self.operation == operation)
    }

    /// What goes out when the service has made its envelope or given the body.
    pub(crate) fn answer(&self, response: Response) -> Answer {
        match self.delivery {
            Delivery::Whole => Answer::Send(response),
            Delivery::Stall => Answer::Stall(response),
            Delivery::Cut => Answer::Cut(response),
            Delivery::Close => Answer::Close,
            Delivery::Silence => Answer::Silence,
        }
    }
}

/// The faults that a server has been told to play. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Injection(Arc<Mutex<Vec<Planned>>>);

/// A fault, and how many more times it is played; `None` is for ever.
#[derive(Clone, Debug)]
struct Planned {
    fault: Fault,
    left: Option<u32>,
}

impl Injection {
    /// Answers with this fault until [`Injection::clear`].
    pub fn always(&self, fault: Fault) {
        self.add(fault, None);
    }

    /// Answers with this fault for the next `times` requests that it fits.
    pub fn next(&self, fault: Fault, times: u32) {
        self.add(fault, Some(times));
    }

    /// Answers as if nothing were wrong again.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, fault: Fault, left: Option<u32>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Planned { fault, left });
    }

    pub(crate) fn take(&self, service: &str, operation: &str) -> Option<Fault> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let planned =
            list.iter_mut().find(|planned| planned.left != Some(0) && planned.fault.hits(service, operation))?;
        if let Some(left) = &mut planned.left {
            *left -= 1;
        }
        Some(planned.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_is_unique_documented_and_an_answer() {
        let mut ids = BTreeSet::new();
        for fault in faults() {
            assert!(ids.insert(&fault.id), "{} twice", fault.id);
            assert!(fault.id.starts_with(&format!("{}/", fault.service)), "{}", fault.id);
            assert!(fault.source.starts_with("https://"), "{}", fault.id);
            assert_eq!(fault.code.is_empty(), fault.message.is_empty(), "{}", fault.id);
            let speaks = !matches!(fault.delivery, Delivery::Close | Delivery::Silence);
            assert_eq!((200..600).contains(&fault.status), speaks, "{}", fault.id);
        }
    }

    #[test]
    fn a_fault_for_the_next_request_is_played_once() {
        let injection = Injection::default();
        injection.next(Fault::named("sts/throttling").unwrap(), 1);
        assert!(injection.take("s3", "HeadBucket").is_none());
        assert!(injection.take("sts", "AssumeRole").is_some());
        assert!(injection.take("sts", "AssumeRole").is_none());
    }
}
