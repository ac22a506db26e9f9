//! `gitlab/config`: what can be known of the token and the settings without asking anybody.

use lineman_sdk::prelude::*;
use lineman_sdk::{Flaw, Url};

use crate::requirement::Wish;
use crate::token::{Kind, is_cut};
use crate::{GitLab, Secrets, Settings};

const TOKEN: &str = "/secrets/token";

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    let settings = cx.settings();
    let faults = [token(cx.secrets()), url(settings)].into_iter().flatten().chain(projects(settings));
    faults.for_each(|fault| cx.report(fault));
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
    Finding::new(format!("gitlab/{code}"), cause, message).pointer(pointer)
}

fn token(secrets: &Secrets) -> Option<Finding> {
    let missing = |message: &str| Some(fault("token-missing", Cause::CredentialMissing, TOKEN, message));
    let Some(token) = &secrets.token else { return missing("The integration has no token.") };
    let token = token.expose();
    let malformed = |code: &str, message: &str| fault(code, Cause::CredentialMalformed, TOKEN, message);
    if let Some(flaw) = Flaw::of(token) {
        let (told, _) = flaw.told();
        let code = match flaw {
            Flaw::Empty => return missing("The token is empty."),
            Flaw::Placeholder => "token-placeholder",
            Flaw::Whitespace => "token-whitespace",
        };
        return Some(malformed(code, &format!("The token {told}.")));
    }
    if let Kind::Other(what) = Kind::of(token) {
        return Some(malformed("token-kind", &format!("What is stored is {what}.")));
    }
    if ["ghp_", "github_pat_", "gho_", "ghs_"].iter().any(|prefix| token.starts_with(prefix)) {
        let foreign = malformed("token-kind", "What is stored is a token of GitHub.");
        return Some(foreign.remedy("Store a token of this GitLab."));
    }
    if is_cut(token) {
        let message = format!("The token was cut: {} characters are left.", token.chars().count());
        return Some(malformed("token-cut", &message));
    }
    None
}

fn url(settings: &Settings) -> Option<Finding> {
    let text = &settings.url;
    let wrong = |cause: Cause, message: String, remedy: String| {
        Some(fault("url-wrong", cause, "/settings/url", message).remedy(remedy))
    };
    let url = match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => url,
        _ => {
            let message = format!("`{text}` is not the address of a GitLab.");
            return wrong(Cause::ConfigInvalid, message, "Set an address such as `https://gitlab.com`.".to_owned());
        }
    };
    let path = url.path().trim_end_matches('/');
    let host = url.host_str().unwrap_or_default();
    if let Some((before, _)) = path.split_once("/api/v4") {
        let set = format!("{}://{}{before}", url.scheme(), authority(&url));
        let message = format!("`{text}` is the address of the API, which is found by itself.");
        return wrong(Cause::ConfigEndpointWrong, message, format!("Set `url = \"{set}\"`."));
    }
    if host == "www.gitlab.com" || host == "about.gitlab.com" || (host == "gitlab.com" && !path.is_empty()) {
        let message = format!("`{text}` is not the address of GitLab.com.");
        return wrong(Cause::ConfigEndpointWrong, message, "Set `url = \"https://gitlab.com\"`.".to_owned());
    }
    None
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn projects(settings: &Settings) -> impl Iterator<Item = Finding> {
    let wrong = settings.projects.iter().enumerate().filter(|(_, name)| !is_project(name));
    wrong.map(|(index, name)| {
        let message = format!("`{name}` is neither the full path of a project nor its number.");
        let path = Url::parse(name).map_or_else(
            |_| name.rsplit_once(':').map_or(name.as_str(), |(_, path)| path).to_owned(),
            |url| url.path().to_owned(),
        );
        let path = path.trim_matches('/').trim_end_matches(".git").split("/-/").next().unwrap_or_default();
        let remedy = match is_project(path) {
            true => format!("Write `{path}`."),
            false => "Write `group/project`, with all groups above it.".to_owned(),
        };
        fault("project-name", Cause::ConfigInvalid, &format!("/settings/projects/{index}"), message).remedy(remedy)
    })
}

/// Whether a text is the full path of a project, or its number.
pub(crate) fn is_project(text: &str) -> bool {
    let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let parts: Vec<&str> = text.split('/').collect();
    number
        || (parts.len() >= 2
            && !text.ends_with(".git")
            && parts.iter().all(|part| !part.is_empty() && *part != "-" && part.bytes().all(allowed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_settings_are_judged_by_their_text() {
        let check = |token_text: &str, json: &str, expect: &[&str]| {
            let settings: Settings = serde_json::from_str(json).unwrap();
            let secrets = Secrets { token: Some(Secret::new(token_text)) };
            let found = [token(&secrets), url(&settings)].into_iter().flatten().chain(projects(&settings));
            let found: Vec<String> = found
                .map(|finding| match finding.remedies.first() {
                    Some(remedy) => format!("{} {}", finding.code, remedy.text),
                    None => finding.code,
                })
                .collect();
            assert_eq!(found, expect, "{token_text} {json}");
        };
        let good = "glpat-abcdefghij0123456789";
        check(good, r#"{"projects": ["acme/app", "acme/sub.group/app_1", "42"]}"#, &[]);
        check(good, r#"{"url": "https://git.acme.example/gitlab/"}"#, &[]);
        check("abcdefghij0123456789", "{}", &[]);
        check("gldt-abcdefghij0123456789", "{}", &["gitlab/token-kind"]);
        check("glrt-abcdefghij0123456789", "{}", &["gitlab/token-kind"]);
        check("ghp_abc", "{}", &["gitlab/token-kind Store a token of this GitLab."]);
        check("glpat-abc", "{}", &["gitlab/token-cut"]);
        let set = |url: &str| format!("gitlab/url-wrong Set `url = \"{url}\"`.");
        check(
            good,
            r#"{"url": "https://git.acme.example:8443/gitlab/api/v4"}"#,
            &[&set("https://git.acme.example:8443/gitlab")],
        );
        check(good, r#"{"url": "https://gitlab.com/acme"}"#, &[&set("https://gitlab.com")]);
        check(good, r#"{"url": "gitlab.com"}"#, &["gitlab/url-wrong Set an address such as `https://gitlab.com`."]);
        for name in [
            "https://gitlab.com/acme/sub/app.git",
            "git@gitlab.com:acme/sub/app.git",
            "https://gitlab.com/acme/sub/app/-/issues",
        ] {
            check(good, &format!(r#"{{"projects": ["{name}"]}}"#), &["gitlab/project-name Write `acme/sub/app`."]);
        }
    }
}
