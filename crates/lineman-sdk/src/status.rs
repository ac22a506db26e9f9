//! What providers say of themselves: open incidents, in the shapes in which their status pages are
//! published, read into one.
//!
//! A feed only ever *explains* a failure. It is asked when our own calls failed, only incidents that
//! are open now and touch what we use count, and a feed that is down says nothing.

mod shapes;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use lineman_model::{Cause, Confidence, Evidence, Finding, Severity};
use tokio::sync::OnceCell;
use url::Url;

use self::shapes::{Effect, Incident, Shape};
use crate::shim::lock;
use crate::{Cx, Outcome, Provider, Stop};

/// A status page that does not answer sooner tells nothing that is worth waiting for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most incidents that are shown.
const SHOWN: usize = 3;

/// A provider's published status, by the shape in which it comes.
#[derive(Clone, Debug)]
pub struct Feed {
    shape: Shape,
    url: String,
    page: String,
}

/// What of a provider an integration uses: an incident elsewhere explains nothing.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Names of components or services, as the feed spells them; a part of a name is enough. With
    /// none, every component counts.
    pub components: Vec<String>,
    /// The region, as the feed spells it. Incidents without a region, or of the region `global`,
    /// count everywhere.
    pub region: Option<String>,
}

impl Scope {
    /// Some components, everywhere.
    pub fn components<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Scope {
        Scope { components: names.into_iter().map(Into::into).collect(), region: None }
    }

    /// The same in one region.
    pub fn region(self, region: impl Into<String>) -> Scope {
        Scope { region: Some(region.into()), ..self }
    }

    fn touches(&self, incident: &Incident) -> bool {
        let same = |known: &str, named: &str| named.to_lowercase().contains(&known.to_lowercase());
        let component = self.components.is_empty()
            || incident.touched.iter().any(|named| self.components.iter().any(|known| same(known, named)));
        let region = self.region.as_deref().is_none_or(|region| {
            incident.regions.is_empty() || incident.regions.iter().any(|named| named == "global" || same(region, named))
        });
        component && region
    }
}

impl Feed {
    /// Atlassian Statuspage, and those that speak its format: the page's address, such as
    /// `https://www.githubstatus.com` (`/api/v2/summary.json`, described at the page's `/api`).
    pub fn statuspage(page: &str) -> Feed {
        Feed::new(Shape::Statuspage, &format!("{page}/api/v2/summary.json"), page)
    }

    /// status.io: the id of the page, and its address (<https://kb.status.io/developers/public-status-api/>).
    pub fn status_io(id: &str, page: &str) -> Feed {
        Feed::new(Shape::StatusIo, &format!("https://api.status.io/1.0/status/{id}"), page)
    }

    /// A document with a list `active_incidents`, each with a `title`, a `type` and its `services`.
    pub fn active_incidents(url: &str, page: &str) -> Feed {
        Feed::new(Shape::ActiveIncidents, url, page)
    }

    /// A list of health events, each with an `arn` that holds the region, a `service` and a `status`
    /// from 0 (over) to 3; in UTF-8 or UTF-16.
    pub fn health_events(url: &str, page: &str) -> Feed {
        Feed::new(Shape::HealthEvents, url, page)
    }

    /// A history of incidents, newest first, each open until it has an `end`, with its
    /// `affected_products` and `currently_affected_locations`; addresses in it are below the page.
    pub fn incident_history(url: &str, page: &str) -> Feed {
        Feed::new(Shape::IncidentHistory, url, page)
    }

    /// RSS 2.0 with an item for each incident that is open; services and regions are in its words.
    pub fn rss(url: &str, page: &str) -> Feed {
        Feed::new(Shape::Rss, url, page)
    }

    fn new(shape: Shape, url: &str, page: &str) -> Feed {
        Feed { shape, url: url.to_owned(), page: page.to_owned() }
    }
}

/// One answer for a whole run: every integration of a provider asks the same page.
type Answers = Mutex<HashMap<String, Arc<OnceCell<Option<Vec<Incident>>>>>>;
static ANSWERS: LazyLock<Answers> = LazyLock::new(Answers::default);

impl<P: Provider> Cx<P> {
    /// Reports the open incidents of a provider that touch what an integration uses. This is all
    /// that a check which [explains](crate::Check::explains) needs to do.
    ///
    /// The feed's address can be replaced by `connection.endpoints.status`. An integration with an
    /// endpoint of its own is not what a public page is about.
    ///
    /// # Errors
    ///
    /// Not applicable where the integration has an endpoint of its own.
    pub async fn incidents(&self, feed: &Feed, scope: &Scope) -> Outcome {
        let connection = self.connection();
        let own = connection.endpoints.get("status");
        if own.is_none() && (connection.endpoint_url.is_some() || !connection.endpoints.is_empty()) {
            return Err(Stop::not_applicable(
                "the status page is about the public endpoint, and another one is configured",
            ));
        }
        let url = own.unwrap_or(&feed.url);
        let answer = Arc::clone(lock(&ANSWERS).entry(url.clone()).or_default());
        let Some(open) = answer.get_or_init(|| Box::pin(self.ask(feed, url))).await else {
            self.not_proved("that the provider has no incident", format!("{} does not answer", feed.page), None);
            return Ok(());
        };
        let touching: Vec<&Incident> = open.iter().filter(|incident| scope.touches(incident)).collect();
        touching.iter().take(SHOWN).for_each(|incident| self.report(self.incident(feed, incident)));
        Ok(())
    }

    async fn ask(&self, feed: &Feed, url: &str) -> Option<Vec<Incident>> {
        let request = async {
            let answer = self.http().ok()?.get(Url::parse(url).ok()?).operation("status page").send().await.ok()?;
            answer.ok().then(|| feed.shape.read(answer.bytes()))?
        };
        tokio::time::timeout(PATIENCE, request).await.ok()?
    }

    fn incident(&self, feed: &Feed, incident: &Incident) -> Finding {
        let (cause, kind) = match incident.effect {
            Effect::Maintenance => (Cause::ProviderMaintenance, "maintenance"),
            _ => (Cause::ProviderOutage, "an incident"),
        };
        let message = format!(
            "The provider reports {kind}: {} ({}).",
            incident.name.trim_end_matches('.'),
            incident.effect.words()
        );
        // Some feeds give addresses that are relative to their page.
        let page = match &incident.url {
            Some(url) if url.contains("://") => url.clone(),
            Some(path) => format!("{}/{}", feed.page, path.trim_start_matches('/')),
            None => feed.page.clone(),
        };
        let mut lines = vec![format!("{}: {}", incident.effect.words(), incident.name)];
        lines.extend(incident.since.map(|since| format!("since {since:.0}")));
        for (what, names) in [("touches", &incident.touched), ("in", &incident.regions)] {
            if !names.is_empty() {
                lines.push(format!("{what} {}", names.join(", ")));
            }
        }
        self.finding("incident", cause, message)
            .confidence(Confidence::Likely)
            .severity(Severity::Warn)
            .evidence(Evidence::Log { source: feed.page.clone(), lines })
            .remedy("Wait until the provider has mended it, and check again; nothing on this side need change.")
            .doc("Status page", page)
    }
}
