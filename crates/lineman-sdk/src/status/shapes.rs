//! The shapes in which providers publish their status, each read into the same incidents.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;

/// The shape of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Statuspage,
    StatusIo,
    ActiveIncidents,
    HealthEvents,
    IncidentHistory,
    Rss,
}

/// An incident that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) name: String,
    pub(super) effect: Effect,
    pub(super) since: Option<Timestamp>,
    pub(super) url: Option<String>,
    /// Components, services or products.
    pub(super) touched: Vec<String>,
    pub(super) regions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Maintenance,
    Degraded,
    Partial,
    Major,
}

impl Effect {
    pub(super) fn words(self) -> &'static str {
        match self {
            Effect::Maintenance => "maintenance",
            Effect::Degraded => "degraded",
            Effect::Partial => "partial outage",
            Effect::Major => "major outage",
        }
    }
}

impl Shape {
    /// The open incidents in what a feed answered; none where it is not understood.
    pub(super) fn read(self, body: &[u8]) -> Option<Vec<Incident>> {
        match self {
            Shape::Statuspage => json(body).map(Statuspage::incidents),
            Shape::StatusIo => json(body).map(StatusIo::incidents),
            Shape::ActiveIncidents => json(body).map(ActiveIncidents::incidents),
            Shape::HealthEvents => Some(
                list::<HealthEvent>(text(body).as_bytes())?.into_iter().filter_map(HealthEvent::incident).collect(),
            ),
            Shape::IncidentHistory => {
                Some(list::<PastOrOpen>(body)?.into_iter().filter_map(PastOrOpen::incident).collect())
            }
            Shape::Rss => quick_xml::de::from_str(&text(body)).ok().map(Rss::incidents),
        }
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// Text in UTF-8, or in UTF-16 with a byte order mark.
fn text(body: &[u8]) -> String {
    let units = |from: fn([u8; 2]) -> u16| -> Vec<u16> {
        body[2..].as_chunks::<2>().0.iter().map(|pair| from(*pair)).collect()
    };
    match body {
        [0xfe, 0xff, ..] => String::from_utf16_lossy(&units(u16::from_be_bytes)),
        [0xff, 0xfe, ..] => String::from_utf16_lossy(&units(u16::from_le_bytes)),
        _ => String::from_utf8_lossy(body).trim_start_matches('\u{feff}').to_owned(),
    }
}

/// The elements of a JSON array, as far as they go: a long history may be cut off, and begins with
/// the newest. An element that is not understood is passed over.
fn list<T: DeserializeOwned>(body: &[u8]) -> Option<Vec<T>> {
    let mut elements = None;
    // What is cut off ends in an error after its last whole element.
    let _cut_off = serde_json::Deserializer::from_slice(body).deserialize_seq(Elements(&mut elements));
    elements
}

struct Elements<'a, T>(&'a mut Option<Vec<T>>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let elements = self.0.insert(Vec::new());
        while let Some(element) = sequence.next_element::<Value>()? {
            elements.extend(serde_json::from_value(element).ok());
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

#[derive(Deserialize)]
struct Statuspage {
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default)]
    incidents: Vec<StatuspageIncident>,
    #[serde(default)]
    scheduled_maintenances: Vec<StatuspageIncident>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    status: String,
    #[serde(default)]
    group: bool,
}

#[derive(Deserialize)]
struct StatuspageIncident {
    name: String,
    status: String,
    #[serde(default)]
    impact: String,
    shortlink: Option<String>,
    started_at: Option<Timestamp>,
    #[serde(default)]
    components: Vec<Component>,
}

impl Statuspage {
    fn incidents(self) -> Vec<Incident> {
        let open = self.incidents.into_iter().filter(|it| !matches!(it.status.as_str(), "resolved" | "postmortem"));
        let running = |it: &StatuspageIncident| matches!(it.status.as_str(), "in_progress" | "verifying");
        let windows = self.scheduled_maintenances.into_iter().filter(running);
        let mut incidents: Vec<Incident> = open.chain(windows).map(StatuspageIncident::incident).collect();
        // A component that is down without an incident yet.
        let told = |name: &str| incidents.iter().any(|incident| incident.touched.iter().any(|it| it == name));
        let down: Vec<Incident> = self
            .components
            .into_iter()
            .filter(|it| !it.group && !told(&it.name))
            .filter_map(|it| {
                let effect = component_effect(&it.status)?;
                Some(Incident {
                    name: it.name.clone(),
                    effect,
                    since: None,
                    url: None,
                    touched: vec![it.name],
                    regions: Vec::new(),
                })
            })
            .collect();
        incidents.extend(down);
        incidents
    }
}

fn component_effect(status: &str) -> Option<Effect> {
    match status {
        "degraded_performance" => Some(Effect::Degraded),
        "partial_outage" => Some(Effect::Partial),
        "major_outage" => Some(Effect::Major),
        "under_maintenance" => Some(Effect::Maintenance),
        _ => None,
    }
}

impl StatuspageIncident {
    fn incident(self) -> Incident {
        let effect = match (self.status.as_str(), self.impact.as_str()) {
            ("in_progress" | "verifying", _) | (_, "maintenance") => Effect::Maintenance,
            (_, "critical") => Effect::Major,
            (_, "major") => Effect::Partial,
            _ => Effect::Degraded,
        };
        Incident {
            name: self.name,
            effect,
            since: self.started_at,
            url: self.shortlink,
            touched: self.components.into_iter().map(|it| it.name).collect(),
            regions: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct StatusIo {
    result: StatusIoResult,
}

#[derive(Deserialize)]
struct StatusIoResult {
    #[serde(default)]
    status: Vec<StatusIoComponent>,
}

#[derive(Deserialize)]
struct StatusIoComponent {
    name: String,
    status_code: u16,
    #[serde(default)]
    status: String,
}

impl StatusIo {
    fn incidents(self) -> Vec<Incident> {
        let incident = |it: StatusIoComponent| {
            let effect = match it.status_code {
                200 => Effect::Maintenance,
                300 => Effect::Degraded,
                400 => Effect::Partial,
                500.. => Effect::Major,
                _ => return None,
            };
            let name = format!("{}: {}", it.name, it.status);
            Some(Incident { name, effect, since: None, url: None, touched: vec![it.name], regions: Vec::new() })
        };
        self.result.status.into_iter().filter_map(incident).collect()
    }
}

#[derive(Deserialize)]
struct ActiveIncidents {
    #[serde(default)]
    active_incidents: Vec<ActiveIncident>,
}

#[derive(Deserialize)]
struct ActiveIncident {
    title: String,
    #[serde(rename = "type", default)]
    kind: String,
    url: Option<String>,
    date_created: Option<Timestamp>,
    #[serde(default)]
    services: Vec<String>,
}

impl ActiveIncidents {
    fn incidents(self) -> Vec<Incident> {
        let incident = |it: ActiveIncident| Incident {
            name: it.title,
            effect: match it.kind.as_str() {
                "maintenance" => Effect::Maintenance,
                "outage" => Effect::Major,
                _ => Effect::Degraded,
            },
            since: it.date_created,
            url: it.url,
            touched: it.services,
            regions: Vec::new(),
        };
        self.active_incidents.into_iter().map(incident).collect()
    }
}

#[derive(Deserialize)]
struct HealthEvent {
    #[serde(default)]
    date: String,
    #[serde(default)]
    arn: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    service_name: String,
    #[serde(default)]
    status: String,
    summary: String,
}

impl HealthEvent {
    fn incident(self) -> Option<Incident> {
        let effect = match self.status.as_str() {
            "3" => Effect::Major,
            "2" => Effect::Partial,
            "1" => Effect::Degraded,
            _ => return None,
        };
        let region = self.arn.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned);
        // Services are named with their region: `ec2-us-east-1`.
        let service = region.as_deref().map_or(self.service.as_str(), |region| {
            self.service.strip_suffix(region).unwrap_or(&self.service).trim_end_matches('-')
        });
        Some(Incident {
            name: self.summary,
            effect,
            since: seconds(&self.date),
            url: None,
            touched: [service.to_owned(), self.service_name].into_iter().filter(|name| !name.is_empty()).collect(),
            regions: region.into_iter().collect(),
        })
    }
}

#[derive(Deserialize)]
struct PastOrOpen {
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
    external_desc: String,
    #[serde(default)]
    status_impact: String,
    uri: Option<String>,
    #[serde(default)]
    affected_products: Vec<Titled>,
    #[serde(default)]
    currently_affected_locations: Vec<Titled>,
}

#[derive(Deserialize)]
struct Titled {
    title: String,
    id: String,
}

impl PastOrOpen {
    fn incident(self) -> Option<Incident> {
        let ended = self.end.is_some_and(|end| end <= Timestamp::now());
        let effect = match self.status_impact.as_str() {
            "SERVICE_OUTAGE" => Effect::Major,
            "SERVICE_DISRUPTION" => Effect::Partial,
            _ => Effect::Degraded,
        };
        (!ended).then(|| Incident {
            name: self.external_desc,
            effect,
            since: self.begin,
            url: self.uri,
            touched: self.affected_products.into_iter().map(|product| product.title).collect(),
            regions: self.currently_affected_locations.into_iter().map(|place| place.id).collect(),
        })
    }
}

#[derive(Deserialize)]
struct Rss {
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(default)]
    item: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    title: String,
    #[serde(default)]
    description: String,
    link: Option<String>,
}

impl Rss {
    fn incidents(self) -> Vec<Incident> {
        // An item stands for as long as its incident is open. Services and regions are in its words.
        let incident = |it: Item| Incident {
            touched: vec![it.title.clone(), it.description.clone()],
            regions: vec![it.title.clone(), it.description],
            name: it.title,
            effect: Effect::Partial,
            since: None,
            url: it.link,
        };
        self.channel.item.into_iter().map(incident).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Scope;

    /// What each incident is, and whether it touches the scope.
    fn check(shape: Shape, body: &[u8], scope: &Scope, expect: &[&str]) {
        let open = shape.read(body).expect("a body that is understood");
        let seen: Vec<String> = open
            .iter()
            .map(|it| {
                format!("{}{} ({})", if scope.touches(it) { "" } else { "elsewhere: " }, it.name, it.effect.words())
            })
            .collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn statuspages_tell_incidents_windows_and_components() {
        let body = br#"{"status":{"indicator":"major"},
            "components":[{"name":"Git Operations","status":"major_outage"},{"name":"Pages","status":"operational"},
                {"name":"Actions","status":"degraded_performance"},{"name":"All","status":"major_outage","group":true}],
            "incidents":[{"name":"Pushes fail","status":"identified","impact":"critical","started_at":"2026-11-20T10:00:00Z",
                "components":[{"name":"Git Operations","status":"major_outage"}]},
                {"name":"Old","status":"resolved","impact":"critical"}],
            "scheduled_maintenances":[{"name":"Tonight","status":"scheduled","impact":"maintenance"},
                {"name":"Now","status":"in_progress","impact":"maintenance","components":[{"name":"API Requests","status":"under_maintenance"}]}]}"#;
        let scope = Scope::components(["Git Operations", "API Requests"]);
        let expect = ["Pushes fail (major outage)", "Now (maintenance)", "elsewhere: Actions (degraded)"];
        check(Shape::Statuspage, body, &scope, &expect);
    }

    #[test]
    fn status_io_tells_components() {
        let body = br#"{"result":{"status_overall":{"status_code":500},"status":[
            {"name":"API","status":"Service Disruption","status_code":500},
            {"name":"Website","status":"Operational","status_code":100},
            {"name":"Git Operations","status":"Planned Maintenance","status_code":200}]}}"#;
        let expect =
            ["API: Service Disruption (major outage)", "elsewhere: Git Operations: Planned Maintenance (maintenance)"];
        check(Shape::StatusIo, body, &Scope::components(["API"]), &expect);
    }

    #[test]
    fn active_incidents_tell_services() {
        let body = br#"{"status":"active","active_incidents":[
            {"title":"Trouble with apps","type":"incident","status":"active","services":["Apps/Integrations/APIs"]},
            {"title":"Calls","type":"outage","status":"active","services":["Huddles"]}]}"#;
        let expect = ["Trouble with apps (degraded)", "elsewhere: Calls (major outage)"];
        check(Shape::ActiveIncidents, body, &Scope::components(["APIs"]), &expect);
    }

    #[test]
    fn health_events_tell_services_and_regions_in_utf_16() {
        let events = r#"[{"date":"1787025679","arn":"arn:x:health:eu-west-1::event/STS/X/1","service":"sts-eu-west-1","service_name":"STS","status":"2","summary":"Increased error rates"},
            {"date":"1787025679","arn":"arn:x:health:us-east-1::event/STS/X/2","service":"sts-us-east-1","status":"3","summary":"Elsewhere"},
            {"date":"1787025679","arn":"arn:x:health:eu-west-1::event/STS/X/3","service":"sts-eu-west-1","status":"0","summary":"Over"}]"#;
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(events.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(events.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let scope = Scope::components(["sts"]).region("eu-west-1");
        for body in [big.as_slice(), &little, events.as_bytes()] {
            let expect = ["Increased error rates (partial outage)", "elsewhere: Elsewhere (major outage)"];
            check(Shape::HealthEvents, body, &scope, &expect);
        }
    }

    #[test]
    fn histories_tell_products_and_places_and_may_be_cut_off() {
        let body = r#"[{"begin":"2026-11-20T10:00:00+00:00","external_desc":"IAM is slow","status_impact":"SERVICE_DISRUPTION","uri":"incidents/1",
            "affected_products":[{"title":"Identity and Access Management","id":"a"}],"currently_affected_locations":[{"title":"Iowa","id":"us-central1"}]},
            {"unknown":"shape"},
            {"begin":"2026-11-01T10:00:00+00:00","end":"2026-11-02T10:00:00+00:00","external_desc":"Over"},
            {"begin":"2026-11-20T10:00:00+00:00","external_desc":"Everything is down","status_impact":"SERVICE_OUTAGE"},
            {"begin":"2026-10-01T10:00:"#;
        let scope = Scope { components: Vec::new(), region: Some("europe-west1".to_owned()) };
        let expect = ["elsewhere: IAM is slow (partial outage)", "Everything is down (major outage)"];
        check(Shape::IncidentHistory, body.as_bytes(), &scope, &expect);
    }

    #[test]
    fn rss_tells_it_in_words() {
        let body = br#"<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Status</title>
            <item><title>Virtual Machines - West Europe - Investigating</title><description>VMs cannot be started.</description>
            <link>https://status.example.com</link><pubDate>Fri, 20 Nov 2026 10:00:00 GMT</pubDate></item></channel></rss>"#;
        let touched = ["Virtual Machines - West Europe - Investigating (partial outage)"];
        check(Shape::Rss, body, &Scope::components(["Virtual Machines"]).region("West Europe"), &touched);
        let quiet = br#"<rss version="2.0"><channel><title>Status</title></channel></rss>"#;
        check(Shape::Rss, quiet, &Scope::default(), &[]);
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        for shape in [
            Shape::Statuspage,
            Shape::StatusIo,
            Shape::ActiveIncidents,
            Shape::HealthEvents,
            Shape::IncidentHistory,
            Shape::Rss,
        ] {
            assert_eq!(shape.read(b"<html>Sign in</html>"), None, "{shape:?}");
            assert_eq!(shape.read(&[0xfe, 0xff, 0xd8]), None, "{shape:?}");
        }
    }
}
