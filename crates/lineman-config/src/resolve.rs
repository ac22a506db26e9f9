use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use lineman_model::{Cause, Evidence, Finding, Integration, Redactor, Secret, SecretMap, Severity, clean, clip};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::command::{self, Failed, LIMIT, Printed, STDERR_LIMIT};
use crate::config::{Configured, Environment, SecretRef, SecretSource};
use crate::connection::proxy_for_all;
use crate::source::reason;

/// The longest secret, in bytes: every output is searched for each of them, in many forms. The
/// document that a JSON pointer leads into may be longer.
const VALUE_LIMIT: usize = 32 * 1024;
/// How much of a program's complaint is shown, in bytes.
const LOG_LIMIT: usize = 2000;
/// The longest text of a finding, in bytes.
const TEXT_LIMIT: usize = 4000;

/// Nobody waits longer, and the clock cannot count every duration there is.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// An integration whose secrets are at hand.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The integration; its connection holds the proxy even when that is a secret.
    pub integration: Integration,
    /// The secrets that have a reference.
    pub secrets: SecretMap,
}

/// Follows the secret references of the selected integrations, by name.
///
/// What cannot be found is a finding on that integration and stops no other: code
/// `lineman/secret-missing` when the secret is absent or empty, `lineman/secret-source-failed`
/// when the place that should hold it could not be asked. A program that several references name
/// with the same arguments runs once. A program may take thirty seconds, and all of them together
/// `limit`; one that takes longer is ended together with what it started.
///
/// A value is taken byte for byte, except that one final line end is dropped from a value of one
/// line. It must be UTF-8 and at most 32 KiB.
pub async fn resolve(
    selected: &[&Configured],
    env: &dyn Environment,
    limit: Duration,
) -> BTreeMap<String, Result<Resolved, Vec<Finding>>> {
    let commands: BTreeSet<Vec<String>> = selected
        .iter()
        .flat_map(|configured| configured.secrets.values().chain(&configured.proxy))
        .filter_map(|reference| match &reference.source {
            SecretSource::Command(argv) => Some(argv.clone()),
            _ => None,
        })
        .collect();
    let printed = command::run_all(commands, Instant::now() + limit.min(LONGEST)).await;
    let mut all = BTreeMap::new();
    for configured in selected {
        let resolved = resolve_one(configured, env, &printed).await;
        all.insert(configured.integration.name.clone(), resolved);
    }
    all
}

/// Follows one secret reference that belongs to no integration, under the same rules.
///
/// # Errors
/// Why the secret is not at hand, as the end of a sentence that repeats nothing of it.
pub async fn resolve_reference(
    reference: &SecretRef,
    env: &dyn Environment,
    limit: Duration,
) -> Result<Secret, String> {
    let command = match &reference.source {
        SecretSource::Command(argv) => Some(argv.clone()),
        _ => None,
    };
    let printed = command::run_all(command.into_iter().collect(), Instant::now() + limit.min(LONGEST)).await;
    follow(reference, env, &printed).await.map_err(|why| why.seen)
}

async fn resolve_one(
    configured: &Configured,
    env: &dyn Environment,
    printed: &BTreeMap<Vec<String>, Printed>,
) -> Result<Resolved, Vec<Finding>> {
    let mut secrets = BTreeMap::new();
    let mut integration = configured.integration.clone();
    let mut unresolved = Vec::new();
    for (name, reference) in &configured.secrets {
        match follow(reference, env, printed).await {
            Ok(secret) => _ = secrets.insert(name.clone(), secret),
            Err(why) => unresolved.push((Subject::secret(name), why)),
        }
    }
    for name in configured.required_secrets.iter().filter(|name| !configured.secrets.contains_key(*name)) {
        unresolved.push((Subject::secret(name), Unresolved::no_reference(configured)));
    }
    if let Some(reference) = &configured.proxy {
        let proxy = follow(reference, env, printed).await;
        match proxy.and_then(|url| if is_proxy(&url) { Ok(url) } else { Err(Unresolved::not_a_proxy()) }) {
            Ok(url) => integration.connection.proxies = vec![proxy_for_all(url)],
            Err(why) => unresolved.push((Subject::proxy(), why)),
        }
    }
    if unresolved.is_empty() {
        return Ok(Resolved { integration, secrets: SecretMap(secrets) });
    }
    // A program may complain about one secret and print another.
    let redactor = Redactor::new();
    secrets.iter().for_each(|(name, secret)| redactor.add(name, secret));
    Err(unresolved.into_iter().map(|(subject, why)| why.finding(&subject, configured, &redactor)).collect())
}

/// What a finding is about.
struct Subject {
    name: String,
    pointer: String,
}

impl Subject {
    fn secret(name: &str) -> Subject {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Subject { name: name.to_owned(), pointer: format!("/secrets/{escaped}") }
    }

    fn proxy() -> Subject {
        Subject { name: "proxy".to_owned(), pointer: "/connection/proxy".to_owned() }
    }
}

/// Why a secret is not at hand.
struct Unresolved<'a> {
    kind: Kind,
    /// What was seen, as the end of a sentence.
    seen: String,
    remedy: String,
    place: Held<'a>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// There is no secret where the reference says.
    Missing,
    /// The place could not be asked.
    SourceFailed,
    /// The value is not what it must be.
    Invalid,
}

/// What should have held the secret.
enum Held<'a> {
    Nowhere,
    Env,
    File(&'a Path),
    Command { program: &'a str, failed: Option<&'a Failed> },
}

impl<'a> Unresolved<'a> {
    fn no_reference(configured: &Configured) -> Unresolved<'a> {
        let remedy = format!(
            "Say where it is under [integration.{}.secrets] in {}: {{ env = \"NAME\" }}, {{ file = \"PATH\" }} or {{ command = [\"PROGRAM\", …] }}",
            configured.integration.name,
            configured.place.file.display(),
        );
        Unresolved {
            kind: Kind::Missing,
            seen: "the configuration does not say where it is".into(),
            remedy,
            place: Held::Nowhere,
        }
    }

    fn not_a_proxy() -> Unresolved<'a> {
        let remedy = "Correct the value, for example http://user:password@proxy.internal:3128".to_owned();
        let seen = "its value is not the address of an HTTP or SOCKS5 proxy".to_owned();
        Unresolved { kind: Kind::Invalid, seen, remedy, place: Held::Nowhere }
    }

    fn finding(&self, subject: &Subject, configured: &Configured, redactor: &Redactor) -> Finding {
        let (code, cause, severity) = match self.kind {
            Kind::Missing => ("lineman/secret-missing", Cause::CredentialMissing, None),
            Kind::SourceFailed => ("lineman/secret-source-failed", Cause::CredentialMissing, Some(Severity::Unknown)),
            Kind::Invalid => ("lineman/proxy-invalid", Cause::ConfigInvalid, None),
        };
        let what = match self.kind {
            Kind::Missing => "is missing",
            Kind::SourceFailed => "cannot be had",
            Kind::Invalid => "is wrong",
        };
        let place = &configured.place;
        let mut finding = Finding::new(code, cause, format!("Secret `{}` {what}: {}", subject.name, self.seen))
            .detail(format!("The integration is at {}:{}:{}.", place.file.display(), place.line, place.column))
            .subject("secret", &subject.name)
            .pointer(&subject.pointer)
            .remedy(&self.remedy);
        finding.severity = severity;
        let evidence = match &self.place {
            Held::Nowhere | Held::Env => Evidence::config(&subject.pointer, &self.seen),
            Held::File(path) => Evidence::File { path: path.display().to_string(), seen: self.seen.clone() },
            Held::Command { program, failed } => {
                let stderr = failed.and_then(|failed| complaint(failed, subject, redactor));
                match stderr {
                    Some(text) if !text.trim().is_empty() => Evidence::log(*program, &text),
                    _ => Evidence::config(&subject.pointer, &self.seen),
                }
            }
        };
        finding = finding.evidence(evidence);
        finding.for_each_text(&mut |text| *text = clean(text, TEXT_LIMIT));
        finding
    }
}

/// What a program complained about, without the secrets that it repeats; nothing when it printed
/// so much that these cannot be looked for.
fn complaint(failed: &Failed, subject: &Subject, redactor: &Redactor) -> Option<String> {
    if failed.stdout.len() > VALUE_LIMIT {
        return None;
    }
    redactor.add(&subject.name, &Secret::new(String::from_utf8_lossy(&failed.stdout)));
    let text = redactor.scrub(&String::from_utf8_lossy(&failed.stderr));
    // The end may be the beginning of a secret, which is not known by half.
    let cut = if failed.stderr.len() < STDERR_LIMIT { 0 } else { redactor.longest() };
    Some(clip(&text, LOG_LIMIT.min(text.len().saturating_sub(cut))))
}

/// Follows one reference to its value.
async fn follow<'a>(
    reference: &'a SecretRef,
    env: &dyn Environment,
    printed: &'a BTreeMap<Vec<String>, Printed>,
) -> Result<Secret, Unresolved<'a>> {
    match &reference.source {
        SecretSource::Env(name) => {
            let why = |kind, seen: &str| Unresolved {
                kind,
                seen: format!("environment variable {name} {seen}"),
                remedy: format!("Set {name} in the environment that Lineman runs in, or correct the reference"),
                place: Held::Env,
            };
            let value = env.var(name).ok_or_else(|| why(Kind::Missing, "is not set"))?;
            let bytes = Zeroizing::new(value.into_encoded_bytes());
            value_of(&bytes, reference).map_err(|(kind, seen)| why(kind, seen))
        }
        SecretSource::File(path) => {
            let why = |kind, seen: &str| Unresolved {
                kind,
                seen: format!("file {} {seen}", path.display()),
                remedy: format!("See to {}, or correct the reference", path.display()),
                place: Held::File(path),
            };
            let bytes = read_file(path).await.map_err(|(kind, seen)| why(kind, &seen))?;
            value_of(&bytes, reference).map_err(|(kind, seen)| why(kind, seen))
        }
        SecretSource::Command(argv) => {
            // Arguments may hold what nobody should read; the program's name will do.
            let program = argv.first().map(String::as_str).unwrap_or_default();
            let why = |kind, what, seen: &str, failed| Unresolved {
                kind,
                seen: format!("{what} {program} {seen}"),
                remedy: format!("Run {program} with the same arguments by hand, and mend what it complains about"),
                place: Held::Command { program, failed },
            };
            match printed.get(argv) {
                Some(Ok(bytes)) => {
                    value_of(bytes, reference).map_err(|(kind, seen)| why(kind, "the output of", seen, None))
                }
                Some(Err(failed)) => Err(why(Kind::SourceFailed, "program", &failed.what, Some(failed))),
                None => Err(why(Kind::SourceFailed, "program", "was not run", None)),
            }
        }
    }
}

async fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, (Kind, String)> {
    let why = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => (Kind::Missing, "does not exist".to_owned()),
        _ => (Kind::SourceFailed, format!("cannot be read: {}", reason(&error))),
    };
    // Opening a pipe waits for whoever writes to it, perhaps for ever.
    if !tokio::fs::metadata(path).await.map_err(why)?.is_file() {
        return Err((Kind::SourceFailed, "is not a regular file".to_owned()));
    }
    let file = tokio::fs::File::open(path).await.map_err(why)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LIMIT + 1).read_to_end(&mut bytes).await.map_err(why)?;
    if bytes.len() as u64 > LIMIT {
        return Err((Kind::SourceFailed, format!("is larger than {} KiB", LIMIT / 1024)));
    }
    Ok(bytes)
}

/// The secret in what a place holds; a failure is the end of a sentence about the place.
fn value_of(bytes: &[u8], reference: &SecretRef) -> Result<Secret, (Kind, &'static str)> {
    let text = std::str::from_utf8(bytes).map_err(|_| (Kind::SourceFailed, "holds bytes that are not UTF-8"))?;
    let value = match &reference.json_pointer {
        None => Zeroizing::new(text.to_owned()),
        Some(pointer) => {
            let document: Value =
                serde_json::from_str(text).map_err(|_| (Kind::SourceFailed, "does not hold a JSON document"))?;
            match document.pointer(pointer) {
                None | Some(Value::Null) => return Err((Kind::Missing, "holds nothing at the JSON pointer")),
                Some(Value::String(text)) => Zeroizing::new(text.clone()),
                Some(Value::Number(number)) => Zeroizing::new(number.to_string()),
                Some(_) => return Err((Kind::SourceFailed, "holds no text at the JSON pointer")),
            }
        }
    };
    match without_line_end(&value) {
        "" => Err((Kind::Missing, "is empty")),
        value if value.len() > VALUE_LIMIT => Err((Kind::SourceFailed, "holds more than any secret")),
        value => Ok(Secret::new(value)),
    }
}

/// Drops the final line end of a text of one line; a key of many lines keeps every byte.
fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text);
    if line.contains('\n') { text } else { line }
}

fn is_proxy(url: &Secret) -> bool {
    Url::parse(url.expose())
        .is_ok_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h"))
}
