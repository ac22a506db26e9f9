use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cause, Level, Status};

/// What a check saw: a cause, the evidence for it and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Unique within a report; given by the engine, `<integration>/<check>#<n>`.
    #[serde(default)]
    pub id: String,
    /// `<plugin>/<kebab-case>`; never changes meaning.
    pub code: String,
    /// Why it is broken.
    pub cause: Cause,
    /// How sure the cause is.
    #[serde(default)]
    pub confidence: Confidence,
    /// How bad it is; left out by a plugin, it follows from cause and level ([`Severity::of`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// One sentence that stands alone on a narrow terminal: what is wrong.
    pub message: String,
    /// More, for those who want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The thing it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What to do, most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
    /// The provider's own pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub docs: Vec<Doc>,
    /// Other causes that the same evidence allows, most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_possible: Vec<Alternative>,
    /// Ids of the findings that this one follows from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caused_by: Vec<String>,
    /// The same for the same finding on the same integration in every run.
    #[serde(default)]
    pub fingerprint: String,
    /// Set when the configuration suppresses the finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppressed>,
}

impl Finding {
    /// A finding with a code, a cause and a one-sentence message, and nothing else.
    pub fn new(code: impl Into<String>, cause: Cause, message: impl Into<String>) -> Finding {
        Finding {
            id: String::new(),
            code: code.into(),
            cause,
            confidence: Confidence::Confirmed,
            severity: None,
            message: message.into(),
            detail: None,
            subject: None,
            evidence: Vec::new(),
            remedies: Vec::new(),
            docs: Vec::new(),
            also_possible: Vec::new(),
            caused_by: Vec::new(),
            fingerprint: String::new(),
            suppressed: None,
        }
    }

    /// The status that this finding alone gives a check.
    pub fn status(&self) -> Status {
        if self.cause.is_ours() { Status::Error } else { self.severity.unwrap_or(Severity::Fail).into() }
    }

    /// Sets how sure the cause is.
    pub fn confidence(mut self, confidence: Confidence) -> Finding {
        self.confidence = confidence;
        self
    }

    /// Overrides the severity that would follow from cause and level.
    pub fn severity(mut self, severity: Severity) -> Finding {
        self.severity = Some(severity);
        self
    }

    /// Adds detail below the message.
    pub fn detail(mut self, detail: impl Into<String>) -> Finding {
        self.detail = Some(detail.into());
        self
    }

    /// Names the thing that the finding is about.
    pub fn subject(mut self, kind: impl Into<String>, name: impl Into<String>) -> Finding {
        let pointer = self.subject.take().and_then(|subject| subject.pointer);
        self.subject = Some(Subject { kind: kind.into(), name: name.into(), pointer });
        self
    }

    /// Points to the setting that the finding is about, as a JSON pointer into the integration:
    /// `/settings/region`.
    pub fn pointer(mut self, pointer: impl Into<String>) -> Finding {
        let pointer = pointer.into();
        match &mut self.subject {
            Some(subject) => subject.pointer = Some(pointer),
            None => {
                let name = pointer.rsplit('/').next().unwrap_or_default().to_owned();
                self.subject = Some(Subject { kind: "setting".into(), name, pointer: Some(pointer) });
            }
        }
        self
    }

    /// Adds something that was seen.
    pub fn evidence(mut self, evidence: Evidence) -> Finding {
        self.evidence.push(evidence);
        self
    }

    /// Adds a remedy in words.
    pub fn remedy(mut self, text: impl Into<String>) -> Finding {
        self.remedies.push(Remedy::new(text));
        self
    }

    /// Adds a remedy with a command to run.
    pub fn command<I: Into<String>>(mut self, text: impl Into<String>, argv: impl IntoIterator<Item = I>) -> Finding {
        self.remedies.push(Remedy { argv: argv.into_iter().map(Into::into).collect(), ..Remedy::new(text) });
        self
    }

    /// Adds a page of the provider's documentation.
    pub fn doc(mut self, title: impl Into<String>, url: impl Into<String>) -> Finding {
        self.docs.push(Doc { title: title.into(), url: url.into() });
        self
    }

    /// Adds another cause that the evidence allows.
    pub fn or_else(mut self, cause: Cause, confidence: Confidence) -> Finding {
        self.also_possible.push(Alternative { cause, confidence });
        self
    }

    /// Every text of the finding, for redaction.
    pub fn for_each_text(&mut self, edit: &mut dyn FnMut(&mut String)) {
        edit(&mut self.message);
        self.detail.iter_mut().for_each(&mut *edit);
        if let Some(subject) = &mut self.subject {
            edit(&mut subject.kind);
            edit(&mut subject.name);
            subject.pointer.iter_mut().for_each(&mut *edit);
        }
        for evidence in &mut self.evidence {
            evidence.for_each_text(edit);
        }
        for remedy in &mut self.remedies {
            edit(&mut remedy.text);
            remedy.argv.iter_mut().for_each(&mut *edit);
            remedy.who.iter_mut().for_each(&mut *edit);
            remedy.effect.iter_mut().for_each(&mut *edit);
        }
        for doc in &mut self.docs {
            edit(&mut doc.title);
            edit(&mut doc.url);
        }
        edit(&mut self.code);
    }
}

/// How sure a cause is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// One of several explanations.
    Possible,
    /// The best explanation.
    Likely,
    /// The evidence allows no other.
    #[default]
    Confirmed,
}

impl Confidence {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Likely => "likely",
            Confidence::Confirmed => "confirmed",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; does not touch the status.
    Info,
    /// Works, needs attention.
    Warn,
    /// Could not be told.
    Unknown,
    /// Proved broken.
    Fail,
}

impl Severity {
    /// How bad a cause is when a check of a level finds it.
    ///
    /// Only the provider's own rejection makes a credential bad. So a network failure, which is
    /// a failure of the `reach` level, leaves every higher level `unknown`, and so do throttling
    /// and outages everywhere.
    pub fn of(cause: &Cause, level: Level) -> Severity {
        match cause {
            Cause::CredentialExpiring | Cause::PermissionExcessive => Severity::Warn,
            Cause::ProviderOutage
            | Cause::ProviderMaintenance
            | Cause::ProviderRateLimited
            | Cause::ProviderCapacity
            | Cause::ProviderPropagation
            | Cause::Undetermined
            | Cause::HostToolMissing => Severity::Unknown,
            Cause::NetworkIpNotAllowed => Severity::Fail,
            cause if cause.is_network() && level > Level::Reach => Severity::Unknown,
            _ => Severity::Fail,
        }
    }
}

/// The thing that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What kind of thing: `setting`, `secret`, `host`, `role`, `bucket`, …
    pub kind: String,
    /// Its name as the provider or the configuration spells it.
    pub name: String,
    /// JSON pointer into the integration's configuration, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

/// Something to do about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// An instruction in the imperative.
    pub text: String,
    /// A command that does it, as separate arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Who can do it, where that is not the reader: `account administrator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// What else it changes: `the old key stops working`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

impl Remedy {
    /// A remedy in words.
    pub fn new(text: impl Into<String>) -> Remedy {
        Remedy { text: text.into(), argv: Vec::new(), who: None, effect: None }
    }
}

/// A page of documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Doc {
    /// What the page is called.
    pub title: String,
    /// Where it is.
    pub url: String,
}

/// Another cause that the evidence allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The other cause.
    pub cause: Cause,
    /// How sure it is.
    #[serde(default)]
    pub confidence: Confidence,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressed {
    /// The last day on which it is suppressed, `YYYY-MM-DD`.
    pub until: String,
    /// The reason that the configuration gives.
    pub reason: String,
}

/// Something that was seen, by kind. Texts are redacted, capped and free of control characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Evidence {
    /// One HTTP exchange.
    Http {
        /// Request method.
        method: String,
        /// Request address without its query.
        url: String,
        /// Response status; absent when there was no response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The response headers that matter.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header>,
        /// The beginning of the response body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// The provider's own id of the request, for its support.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// Milliseconds from sending to the end of the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// One name resolution.
    Dns {
        /// The name asked for.
        name: String,
        /// `ok`, `nxdomain`, `servfail`, `timeout`, `empty`, `refused`, or other.
        answer: String,
        /// Addresses, both families.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        addresses: Vec<String>,
        /// Who was asked: `system`, or the name servers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        servers: Vec<String>,
    },
    /// One TCP connection attempt.
    Tcp {
        /// `address:port`.
        address: String,
        /// `connected`, or what the system said.
        outcome: String,
        /// Milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// One TLS handshake.
    Tls {
        /// The name that the certificate had to match.
        server_name: String,
        /// `ok` or what went wrong.
        outcome: String,
        /// Negotiated version, such as `TLSv1.3`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The certificates that the server sent, its own first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        chain: Vec<Certificate>,
        /// Which trust store was used, and who chose it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust: Option<String>,
    },
    /// What an SSH server or client said.
    Ssh {
        /// `host:port`.
        address: String,
        /// The lines that matter.
        lines: Vec<String>,
        /// Exit status of the client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_status: Option<i32>,
    },
    /// A file on this machine.
    File {
        /// Its path.
        path: String,
        /// What was seen of it: `mode 0644`, `12 lines, carriage returns`.
        seen: String,
    },
    /// A setting or secret of the configuration; never a secret's value.
    Config {
        /// JSON pointer into the integration.
        pointer: String,
        /// What was seen of it.
        seen: String,
    },
    /// Lines of a program or a log.
    Log {
        /// The program or file.
        source: String,
        /// The lines that matter.
        lines: Vec<String>,
    },
    /// Anything a newer plugin shows that this version does not know.
    #[serde(untagged)]
    Other(BTreeMap<String, serde_json::Value>),
}

impl Evidence {
    /// Evidence about a setting or secret; `seen` never holds a secret's value.
    pub fn config(pointer: impl Into<String>, seen: impl Into<String>) -> Evidence {
        Evidence::Config { pointer: pointer.into(), seen: seen.into() }
    }

    /// The output of a program, line by line.
    pub fn log(source: impl Into<String>, text: &str) -> Evidence {
        Evidence::Log { source: source.into(), lines: text.lines().map(str::to_owned).collect() }
    }

    fn for_each_text(&mut self, edit: &mut dyn FnMut(&mut String)) {
        match self {
            Evidence::Http { method, url, headers, body, request_id, .. } => {
                edit(method);
                edit(url);
                for header in headers {
                    edit(&mut header.name);
                    edit(&mut header.value);
                }
                body.iter_mut().chain(request_id).for_each(edit);
            }
            Evidence::Dns { name, answer, addresses, servers } => {
                edit(name);
                edit(answer);
                addresses.iter_mut().chain(servers).for_each(edit);
            }
            Evidence::Tcp { address, outcome, .. } => {
                edit(address);
                edit(outcome);
            }
            Evidence::Tls { server_name, outcome, version, chain, trust } => {
                edit(server_name);
                edit(outcome);
                for certificate in chain {
                    edit(&mut certificate.subject);
                    edit(&mut certificate.issuer);
                    certificate.names.iter_mut().for_each(&mut *edit);
                }
                version.iter_mut().chain(trust).for_each(edit);
            }
            Evidence::Ssh { address, lines, .. } => {
                edit(address);
                lines.iter_mut().for_each(edit);
            }
            Evidence::File { path, seen } => {
                edit(path);
                edit(seen);
            }
            Evidence::Config { pointer, seen } => {
                edit(pointer);
                edit(seen);
            }
            Evidence::Log { source, lines } => {
                edit(source);
                lines.iter_mut().for_each(edit);
            }
            Evidence::Other(fields) => {
                let mut other = std::mem::take(fields).into_iter().collect();
                edit_json(&mut other, edit);
                if let serde_json::Value::Object(object) = other {
                    *fields = object.into_iter().collect();
                }
            }
        }
    }
}

fn edit_json(value: &mut serde_json::Value, edit: &mut dyn FnMut(&mut String)) {
    match value {
        serde_json::Value::String(text) => edit(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| edit_json(item, edit)),
        serde_json::Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (mut name, mut item) in old {
                edit(&mut name);
                edit_json(&mut item, edit);
                fields.insert(name, item);
            }
        }
        _ => {}
    }
}

/// One header of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Lower-case name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Distinguished name of the subject.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// Names it is valid for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// First instant of its validity.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// Last instant of its validity.
    #[schemars(with = "String")]
    pub not_after: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_failure_says_nothing_of_the_credential() {
        assert_eq!(Severity::of(&Cause::NetworkTimeout, Level::Reach), Severity::Fail);
        assert_eq!(Severity::of(&Cause::NetworkTimeout, Level::Identity), Severity::Unknown);
        assert_eq!(Severity::of(&Cause::NetworkIpNotAllowed, Level::Identity), Severity::Fail);
        assert_eq!(Severity::of(&Cause::ProviderRateLimited, Level::Reach), Severity::Unknown);
    }

    #[test]
    fn evidence_of_a_newer_plugin_is_kept_and_its_texts_are_edited() {
        let json = r#"{"kind":"quic","nested":{"text":"secret"}}"#;
        let mut finding = Finding::new("x/y", Cause::Undetermined, "m").evidence(serde_json::from_str(json).unwrap());
        finding.for_each_text(&mut |text| *text = text.replace("secret", "***"));
        assert_eq!(serde_json::to_string(&finding.evidence[0]).unwrap(), r#"{"kind":"quic","nested":{"text":"***"}}"#);
    }
}
