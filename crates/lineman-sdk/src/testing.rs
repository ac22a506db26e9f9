//! Runs one check of a plugin in a test, without a host, a worker or a dynamic library.
//!
//! ```
//! # use lineman_sdk::prelude::*;
//! use lineman_sdk::testing::{Harness, Response, Server, json};
//!
//! # async fn example<Acme: Provider>() {
//! let server = Server::start(|request| match request.bearer() {
//!     Some("t0ken") => Response::json(200, &json!({ "name": "ci" })),
//!     _ => Response::new(401),
//! });
//! let seen = Harness::<Acme>::new()
//!     .settings(json!({ "team": "payments" }))
//!     .secret("token", "t0ken")
//!     .endpoint(server.url())
//!     .check("identity")
//!     .await;
//! assert_eq!(seen.status, Status::Pass);
//! # }
//! ```
//!
//! [`Server`] answers as one function says. A local emulator of the provider does as well.

mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lineman_model::protocol::{CheckOutcome, CheckRequest, Failure, Progress};
use lineman_model::{Cause, Description, Finding, Integration, Redactor, Requirement, Secret, SecretMap, Status};
use serde_json::{Map, Value};

pub use serde_json::json;
pub use server::{Request, Response, Server};

use crate::Provider;
use crate::cx::Sink;
use crate::plugin::Plugin;
use crate::shim::lock;

/// An integration of a plugin under test.
pub struct Harness<P: Provider> {
    plugin: Arc<Plugin<P>>,
    integration: Integration,
    secrets: SecretMap,
    programs: BTreeMap<String, String>,
    directory: PathBuf,
    deadline: Duration,
    /// Knows the secrets that were given, and those that checks obtained.
    redactor: Redactor,
}

/// What a check came to in a test.
#[derive(Debug)]
pub struct Seen {
    /// Its status.
    pub status: Status,
    /// What it found.
    pub findings: Vec<Finding>,
    /// Everything else that it recorded.
    pub outcome: CheckOutcome,
    /// What it said that it was doing.
    pub progress: Vec<String>,
}

impl Seen {
    /// The cause of the first finding.
    pub fn cause(&self) -> Option<&Cause> {
        self.findings.first().map(|finding| &finding.cause)
    }

    /// The code of the first finding.
    pub fn code(&self) -> Option<&str> {
        self.findings.first().map(|finding| finding.code.as_str())
    }

    /// `pass`, the reason of a skip, or status, code and cause of the first finding.
    pub fn summary(&self) -> String {
        match (&self.outcome.skip, self.findings.first()) {
            (Some(skip), _) => format!("skip {}", skip.reason),
            (None, Some(finding)) => format!("{} {} {}", self.status, finding.code, finding.cause),
            (None, None) => self.status.to_string(),
        }
    }
}

impl<P: Provider> Default for Harness<P> {
    fn default() -> Harness<P> {
        Harness::new()
    }
}

impl<P: Provider> Harness<P> {
    /// An integration without settings and secrets.
    pub fn new() -> Harness<P> {
        let integration =
            Integration { name: "test".to_owned(), provider: P::about().id.to_owned(), ..Integration::default() };
        Harness {
            plugin: Arc::new(Plugin::new()),
            integration,
            secrets: SecretMap::default(),
            programs: BTreeMap::new(),
            directory: std::env::temp_dir(),
            deadline: Duration::from_secs(30),
            redactor: Redactor::new(),
        }
    }

    /// What the plugin says of itself.
    pub fn description(&self) -> &Description {
        self.plugin.description()
    }

    /// Gives the settings, as a JSON object.
    pub fn settings(mut self, settings: Value) -> Harness<P> {
        self.integration.settings = match settings {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        self
    }

    /// What is wrong with the plugin's catalog, held to its own examples and near misses; empty
    /// when nothing is.
    pub fn catalog_problems(&self) -> Vec<String> {
        self.plugin.catalog().verify().iter().map(ToString::to_string).collect()
    }

    /// Gives a secret.
    pub fn secret(mut self, name: &str, value: &str) -> Harness<P> {
        let secret = Secret::new(value);
        self.redactor.add(name, &secret);
        self.secrets.0.insert(name.to_owned(), secret);
        self
    }

    /// Points the plugin at a server.
    pub fn endpoint(mut self, url: &str) -> Harness<P> {
        self.integration.connection.endpoint_url = Some(url.to_owned());
        self
    }

    /// Adds a requirement, as a JSON object of the plugin's own words.
    pub fn requires(mut self, id: &str, words: Value) -> Harness<P> {
        if let Value::Object(words) = words {
            self.integration.requires.push(Requirement { id: id.to_owned(), words });
        }
        self
    }

    /// Changes anything else of the integration.
    pub fn with(mut self, change: impl FnOnce(&mut Integration)) -> Harness<P> {
        change(&mut self.integration);
        self
    }

    /// Says where a program is.
    pub fn program(mut self, name: &str, path: &str) -> Harness<P> {
        self.programs.insert(name.to_owned(), path.to_owned());
        self
    }

    /// Gives the integration's private directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Harness<P> {
        self.directory = directory.into();
        self
    }

    /// Sets how long a check may take; 30 s unless set.
    pub fn deadline(mut self, deadline: Duration) -> Harness<P> {
        self.deadline = deadline;
        self
    }

    /// Runs a check by its name, with or without the plugin's id. Checks of one harness share
    /// their session. What a check `needs` is not run.
    ///
    /// # Panics
    ///
    /// When there is no such check.
    pub async fn check(&self, name: &str) -> Seen {
        let id = self.integration.provider.as_str();
        let check = if name.contains('/') { name.to_owned() } else { format!("{id}/{name}") };
        let request = CheckRequest {
            check: check.clone(),
            session: 1,
            deadline_ms: u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX),
            integration: self.integration.clone(),
            secrets: self.secrets.clone(),
            programs: self.programs.clone(),
            directory: self.directory.display().to_string(),
        };
        let record = Arc::new(Record { redactor: self.redactor.clone(), ..Record::default() });
        let Some(call) = self.plugin.prepare(&request, Arc::<Record>::clone(&record)) else {
            panic!("plugin `{id}` has no check `{check}`");
        };
        let ended = self.plugin.run(&call, request).await;
        let mut findings = lock(&record.findings).clone();
        let progress = lock(&record.progress).clone();
        let outcome = ended.unwrap_or_else(|Failure { cause, message }| {
            let code = format!("lineman/{}", cause.as_str().replace('.', "-"));
            findings.push(Finding::new(code, cause, message));
            CheckOutcome::default()
        });
        let status = if outcome.skip.is_some() { Status::Skip } else { Status::of(&findings) };
        Seen { status, findings, outcome, progress }
    }

    /// Whether a text holds a secret, one that was given or one that a check obtained, in any form
    /// in which servers echo them. `format!("{seen:?}")` is all that a host sees of a check.
    pub fn leaks(&self, text: &str) -> bool {
        self.redactor.scrub(text) != text
    }
}

#[derive(Default)]
struct Record {
    findings: Mutex<Vec<Finding>>,
    progress: Mutex<Vec<String>>,
    redactor: Redactor,
}

impl Sink for Record {
    fn finding(&self, finding: &Finding) {
        lock(&self.findings).push(finding.clone());
    }

    fn progress(&self, progress: &Progress) {
        lock(&self.progress).push(progress.text.clone());
    }

    fn secret(&self, name: &str, secret: &Secret) {
        self.redactor.add(name, secret);
    }
}
