//! What was seen, in one line per thing.

use lineman_model::{Certificate, Evidence, clip};

use crate::words::{day, duration};

/// Bytes of a response body that are worth a person's time.
const BODY: usize = 240;
/// Lines of a program and headers that are shown unless everything is.
const LINES: usize = 4;
/// Headers that every answer has; they are kept in the report and seldom tell anything.
const ROUTINE: [&str; 3] = ["content-type", "date", "server"];

/// One text per line to show, the telling one first.
pub(crate) fn lines(evidence: &Evidence, everything: bool) -> Vec<String> {
    let limit = if everything { usize::MAX } else { LINES };
    match evidence {
        Evidence::Http { method, url, status, headers, body, request_id, duration_ms } => {
            let first = match status {
                Some(status) => format!("HTTP {status} from {method} {url}"),
                None => format!("no answer to {method} {url}"),
            };
            let mut lines = vec![with(first, [duration_ms.map(duration)])];
            if let Some(body) = body.as_deref().map(gist).filter(|body| !body.is_empty()) {
                lines.push(if everything { body } else { clip(&body, BODY) });
            }
            let telling = headers.iter().filter(|header| everything || !ROUTINE.contains(&header.name.as_str()));
            lines.extend(telling.take(limit).map(|header| format!("{}: {}", header.name, header.value)));
            let new = request_id.as_ref().filter(|id| !lines.iter().any(|line| line.contains(*id)));
            let new = new.map(|id| format!("request id {id}"));
            lines.extend(new);
            lines
        }
        Evidence::Dns { name, answer, addresses, servers } => {
            let said = if addresses.is_empty() { answer.clone() } else { addresses.join(", ") };
            let asked = (!servers.is_empty()).then(|| format!("asked {}", servers.join(", ")));
            vec![with(format!("DNS {name}: {said}"), [asked])]
        }
        Evidence::Tcp { address, outcome, duration_ms } => {
            vec![with(format!("TCP {address}: {outcome}"), [duration_ms.map(duration)])]
        }
        Evidence::Tls { server_name, outcome, version, chain, trust } => {
            let trust = trust.as_ref().map(|trust| format!("trusting {trust}"));
            let mut lines = vec![with(format!("TLS {server_name}: {outcome}"), [version.clone(), trust])];
            lines.extend(chain.iter().take(if everything { usize::MAX } else { 1 }).map(certificate));
            lines
        }
        Evidence::Ssh { address, lines, exit_status } => {
            let status = exit_status.map(|status| format!("exit status {status}"));
            titled(with(format!("ssh {address}"), [status]), lines, limit)
        }
        Evidence::File { path, seen } => vec![format!("file {path}: {seen}")],
        Evidence::Config { pointer, seen } => vec![format!("{}: {seen}", setting(pointer))],
        Evidence::Log { source, lines } => titled(source.clone(), lines, limit),
        Evidence::Other(fields) => {
            let fields = fields.iter().map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name}: {text}"),
                value => format!("{name}: {value}"),
            });
            vec![fields.collect::<Vec<_>>().join(", ")]
        }
    }
}

/// A JSON pointer as the configuration spells the place: `settings.region`.
pub(crate) fn setting(pointer: &str) -> String {
    let parts = pointer.split('/').filter(|part| !part.is_empty());
    parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(".")
}

fn with<const N: usize>(first: String, notes: [Option<String>; N]) -> String {
    notes.into_iter().flatten().fold(first, |line, note| format!("{line} · {note}"))
}

/// What a source said; a single line stands beside its title.
fn titled(title: String, lines: &[String], limit: usize) -> Vec<String> {
    match lines {
        [] => vec![title],
        [line] => vec![format!("{title}: {line}")],
        lines => {
            let mut shown = vec![format!("{title}:")];
            shown.extend(lines.iter().take(limit).cloned());
            if lines.len() > limit {
                shown.push(format!("… {} more", lines.len() - limit));
            }
            shown
        }
    }
}

fn certificate(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, not_before, not_after, .. } = certificate;
    format!("certificate {subject} issued by {issuer}, valid {} to {}", day(*not_before), day(*not_after))
}

/// A response body as words: markup says nothing to a person.
fn gist(body: &str) -> String {
    if !body.trim_start().starts_with('<') {
        return body.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let mut words = String::new();
    for part in body.split_inclusive(['<', '>']) {
        match part.strip_suffix('>') {
            Some(_) => words.push(' '),
            None => words.push_str(part.trim_end_matches('<')),
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_words() {
        let check = |body: &str, expect: &str| assert_eq!(gist(body), expect);
        check("<Error>\n <Code>Denied</Code><Message>No way</Message></Error>", "Denied No way");
        check("{\"message\":  \"Bad credentials\"}", "{\"message\": \"Bad credentials\"}");
        check("<!doctype html><title>502 Bad Gateway</title><p", "502 Bad Gateway p");
        check("a > b", "a > b");
    }

    #[test]
    fn a_pointer_is_shown_as_the_configuration_spells_it() {
        assert_eq!(setting("/settings/region"), "settings.region");
        assert_eq!(setting("/connection/endpoints/a~1b"), "connection.endpoints.a/b");
    }
}
