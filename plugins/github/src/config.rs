//! `github/config`: what can be known of the credential and the settings without asking anybody.

use lineman_sdk::prelude::*;
use lineman_sdk::{Flaw, RsaKey, Url};

use crate::requirement::Wish;
use crate::token::{self, Kind};
use crate::{GitHub, Secrets, Settings, app};

const TOKEN: &str = "/secrets/token";

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    let settings = cx.settings();
    let single = [credential(settings, cx.secrets()), api_url(settings), organization(settings)];
    single.into_iter().flatten().chain(repositories(settings)).for_each(|fault| cx.report(fault));
    for (index, requirement) in cx.requires().iter().enumerate() {
        if let Err(what) = Wish::read(&requirement.words, settings) {
            let message = format!("The requirement `{}` {what}.", requirement.id);
            cx.report(
                fault("requirement-wrong", Cause::ConfigInvalid, &format!("/requires/{index}"), message)
                    .remedy(requirement.words.example()),
            );
        }
    }
    Ok(())
}

fn fault(code: &str, cause: Cause, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("github/{code}"), cause, message).pointer(pointer)
}

fn credential(settings: &Settings, secrets: &Secrets) -> Option<Finding> {
    match (&secrets.token, &secrets.app_private_key) {
        (None, None) => Some(fault(
            "token-missing",
            Cause::CredentialMissing,
            TOKEN,
            "The integration has neither a token nor an app's key.",
        )),
        (Some(_), Some(_)) => {
            Some(fault("credential-unclear", Cause::ConfigInvalid, TOKEN, "Both a token and an app's key are given."))
        }
        (Some(token), None) => judge(token.expose()),
        (None, Some(key)) => app_key(settings, key),
    }
}

fn app_key(settings: &Settings, pem: &Secret) -> Option<Finding> {
    if let Err(wrong) = RsaKey::read(pem) {
        return Some(app::malformed(wrong));
    }
    let Some(id) = &settings.app_id else {
        let message = "An app's key is given, and not the app's id.";
        return Some(fault("app-id-missing", Cause::ConfigInvalid, "/settings/app_id", message));
    };
    let id = id.to_string();
    let shaped = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let message = format!("`{id}` is neither the id of an app nor a client id.");
    (!shaped).then(|| fault("app-id-wrong", Cause::ConfigInvalid, "/settings/app_id", message))
}

/// What is wrong with a token, as far as its text tells.
fn judge(token: &str) -> Option<Finding> {
    let malformed = |code: &str, message: &str| fault(code, Cause::CredentialMalformed, TOKEN, message);
    if let Some(flaw) = Flaw::of(token) {
        let (told, remedy) = flaw.told();
        let code = match flaw {
            Flaw::Empty => {
                return Some(
                    fault("token-missing", Cause::CredentialMissing, TOKEN, "The token is empty.").remedy(remedy),
                );
            }
            Flaw::Placeholder => "token-placeholder",
            Flaw::Whitespace => "token-whitespace",
        };
        return Some(malformed(code, &format!("The token {told}.")));
    }
    let Some(kind) = Kind::of(token) else {
        let message = format!("The token has not the shape of one of GitHub's ({}).", shape(token));
        return Some(malformed("token-shape", &message));
    };
    if kind == Kind::Refresh {
        return Some(malformed("token-refresh", "The token is a refresh token (ghr_…), which no API takes."));
    }
    if !kind.has_length(token) {
        let message =
            format!("The token is {} that was cut: {} characters are left.", kind.name(), token.chars().count());
        return Some(malformed("token-cut", &message));
    }
    // GitHub alone says that a token is bad; that it cannot be one of GitHub's is worth a warning.
    (token::checksum(token) == Some(false)).then(|| {
        malformed("token-checksum", "The token's own checksum says that it was mistyped.")
            .confidence(Confidence::Likely)
            .severity(Severity::Warn)
    })
}

/// What may be said of a value that must not be shown.
fn shape(token: &str) -> String {
    let kind = match token {
        token if token.starts_with("-----BEGIN") => "it is a key in PEM, which belongs in `app_private_key`",
        token if token.starts_with("eyJ") => "it is a JSON Web Token, which is good for minutes",
        token if token.starts_with("glpat-") => "it is a token of GitLab",
        token if token.starts_with("Bearer") || token.starts_with("token") => "the name of the scheme is part of it",
        _ => "an unknown beginning",
    };
    format!("{} characters, {kind}", token.chars().count())
}

fn api_url(settings: &Settings) -> Option<Finding> {
    const POINTER: &str = "/settings/api_url";
    let text = &settings.api_url;
    let wrong = |cause: Cause, message: String, remedy: String| {
        Some(fault("api-url-wrong", cause, POINTER, message).remedy(remedy))
    };
    let set = |url: &str| format!("Set `api_url = \"{url}\"`.");
    let url = match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => url,
        _ => {
            let message = format!("`{text}` is not the address of an API.");
            return wrong(Cause::ConfigInvalid, message, set("https://api.github.com"));
        }
    };
    let host = url.host_str().unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    let website = format!("{host} is the website, not the API.");
    match host {
        "github.com" | "www.github.com" => wrong(Cause::ConfigEndpointWrong, website, set("https://api.github.com")),
        "api.github.com" if path.is_empty() && url.scheme() == "https" => None,
        "api.github.com" => {
            let message = format!("`{text}` is not the address of GitHub.com's API.");
            wrong(Cause::ConfigEndpointWrong, message, set("https://api.github.com"))
        }
        host if host.ends_with(".ghe.com") && !host.starts_with("api.") => {
            wrong(Cause::ConfigEndpointWrong, website, set(&format!("https://api.{host}")))
        }
        host if host.ends_with(".ghe.com") || path.ends_with("/api/v3") => None,
        // A gateway may stand before it and name it otherwise.
        _ => wrong(
            Cause::ConfigEndpointWrong,
            format!("`{text}` does not end in /api/v3, as the API of an Enterprise Server does."),
            set(&format!(
                "{}://{host}{}/api/v3",
                url.scheme(),
                url.port().map(|port| format!(":{port}")).unwrap_or_default()
            )),
        )
        .map(|finding| finding.confidence(Confidence::Likely).severity(Severity::Warn)),
    }
}

fn organization(settings: &Settings) -> Option<Finding> {
    let name = settings.organization.as_ref()?;
    let message = format!("`{name}` is not the name of an organisation.");
    (!is_login(name)).then(|| fault("organization-name", Cause::ConfigInvalid, "/settings/organization", message))
}

fn repositories(settings: &Settings) -> impl Iterator<Item = Finding> {
    let wrong = settings.repositories.iter().enumerate().filter(|(_, name)| !is_repository(name));
    wrong.map(|(index, name)| {
        let pointer = format!("/settings/repositories/{index}");
        let message = format!("`{name}` is not the full name of a repository.");
        let short = name.trim_end_matches('/').trim_end_matches(".git");
        let parts: Vec<&str> = short.rsplit(['/', ':']).take(2).collect();
        let remedy = match parts.as_slice() {
            [name, owner] if is_repository(&format!("{owner}/{name}")) => format!("Write `{owner}/{name}`."),
            _ => "Write `owner/name`.".to_owned(),
        };
        fault("repository-name", Cause::ConfigInvalid, &pointer, message).remedy(remedy)
    })
}

fn is_login(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a text is the full name of a repository.
pub(crate) fn is_repository(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.split_once('/').is_some_and(|(owner, name)| {
        is_login(owner) && (1..=100).contains(&name.len()) && name.bytes().all(allowed) && !name.ends_with(".git")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn tokens_are_judged_by_their_text() {
        let check = |token: &str, expect: Option<&str>| {
            assert_eq!(judge(token).map(|finding| finding.code).as_deref(), expect, "{token}");
        };
        check("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", None);
        check("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", Some("github/token-checksum"));
        check("ghp_zQWBuTSOoRi4A9spHcVY", Some("github/token-cut"));
        check(&format!("github_pat_{}", "1".repeat(82)), None);
        check("0123456789abcdef0123456789abcdef01234567", None);
        check("", Some("github/token-missing"));
        check("****************", Some("github/token-placeholder"));
        check("\"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\"", Some("github/token-whitespace"));
        check("ghr_x", Some("github/token-refresh"));
        check("glpat-0123456789abcdefghij", Some("github/token-shape"));
        check("hunter2", Some("github/token-shape"));
    }

    #[test]
    fn settings_that_cannot_be_meant_are_found() {
        let check = |json: &str, expect: &[&str]| {
            let settings = settings(json);
            let found: Vec<String> = [api_url(&settings), organization(&settings)]
                .into_iter()
                .flatten()
                .chain(repositories(&settings))
                .map(|finding| match finding.remedies.first() {
                    Some(remedy) => format!("{} {}", finding.code, remedy.text),
                    None => finding.code,
                })
                .collect();
            assert_eq!(found, expect, "{json}");
        };
        check(r#"{"repositories": ["acme/app", "a_b-c/x.y_z"], "organization": "acme"}"#, &[]);
        check(r#"{"api_url": "https://git.acme.example/api/v3/"}"#, &[]);
        check(r#"{"api_url": "https://api.acme.ghe.com"}"#, &[]);
        let set = |url: &str| format!("github/api-url-wrong Set `api_url = \"{url}\"`.");
        check(r#"{"api_url": "https://github.com"}"#, &[&set("https://api.github.com")]);
        check(r#"{"api_url": "https://api.github.com/api/v3"}"#, &[&set("https://api.github.com")]);
        check(r#"{"api_url": "https://acme.ghe.com"}"#, &[&set("https://api.acme.ghe.com")]);
        check(r#"{"api_url": "https://git.acme.example:8443"}"#, &[&set("https://git.acme.example:8443/api/v3")]);
        check(r#"{"api_url": "github"}"#, &[&set("https://api.github.com")]);
        check(r#"{"organization": "https://github.com/acme"}"#, &["github/organization-name"]);
        for url in ["https://github.com/acme/app.git", "git@github.com:acme/app.git", "acme/app.git"] {
            check(&format!(r#"{{"repositories": ["{url}"]}}"#), &["github/repository-name Write `acme/app`."]);
        }
        check(r#"{"repositories": ["app"]}"#, &["github/repository-name Write `owner/name`."]);
    }
}
