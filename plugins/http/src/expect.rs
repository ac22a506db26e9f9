//! Whether an answer is the one that was expected.

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;
use serde_json::Value;

use crate::{ExpectBody, Http};

/// What is shown of a value that is not the expected one, characters.
const SHOWN: usize = 80;

/// Reports how an answer differs from what the settings expect.
pub(crate) fn judge(cx: &Cx<Http>, answer: &Answer) -> Outcome {
    let expected = &cx.settings().expect_status;
    let right = if expected.is_empty() { answer.ok() } else { expected.contains(&answer.status()) };
    if !right {
        return Err(status(cx, answer, expected).into());
    }
    if is_login_page(answer) {
        return Err(login_page(cx, answer).into());
    }
    match &cx.settings().expect_body {
        Some(expect) => body(cx, answer, expect),
        None => {
            cx.not_proved(
                "that the answer says what it should",
                "no `expect_body` is configured",
                Some("settings.expect_body"),
            );
            Ok(())
        }
    }
}

fn status(cx: &Cx<Http>, answer: &Answer, expected: &[u16]) -> Finding {
    // What is known to be an error says more than that it was not expected.
    if answer.status() >= 300 {
        let finding = answer.finding();
        return if expected.is_empty() {
            finding
        } else {
            finding.detail(format!("Expected was status {}.", listed(expected)))
        };
    }
    let message = format!("The server answers with status {}, expected was {}.", answer.status(), listed(expected));
    cx.finding("other-status", Cause::ConfigEndpointWrong, message)
        .confidence(Confidence::Possible)
        .evidence(answer.evidence())
        .pointer("/settings/expect_status")
}

fn listed(statuses: &[u16]) -> String {
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}

/// Whether this is a page where people sign in, whatever its status.
pub(crate) fn is_login_page(answer: &Answer) -> bool {
    let text = answer.text().to_ascii_lowercase();
    let html = answer.header("content-type").is_some_and(|kind| kind.contains("html")) || text.contains("<html");
    html && (text.contains("type=\"password\"")
        || text.contains("type='password'")
        || ["sign in", "log in", "login", "sign-in", "single sign-on"].iter().any(|words| title(&text).contains(words)))
}

fn title(html: &str) -> &str {
    let rest = html.split_once("<title").map_or("", |(_, rest)| rest);
    rest.split("</title").next().unwrap_or_default()
}

pub(crate) fn login_page(cx: &Cx<Http>, answer: &Answer) -> Finding {
    let message = format!("A page for signing in answers (status {}), not the API.", answer.status());
    cx.finding("login-page", Cause::ConfigEndpointWrong, message)
        .confidence(Confidence::Likely)
        .or_else(Cause::CredentialInvalid, Confidence::Possible)
        .evidence(answer.evidence())
        .pointer("/settings/url")
}

fn body(cx: &Cx<Http>, answer: &Answer, expect: &ExpectBody) -> Outcome {
    let other = |message: String| -> Stop {
        cx.finding("other-body", Cause::ConfigEndpointWrong, message)
            .confidence(Confidence::Possible)
            .evidence(answer.evidence())
            .pointer("/settings/expect_body")
            .into()
    };
    if let Some(text) = &expect.contains
        && !answer.text().contains(text)
    {
        return Err(other(format!("The body does not contain `{text}`.")));
    }
    let Some(pointer) = &expect.pointer else { return Ok(()) };
    let document: Value = answer.json()?;
    match (document.pointer(pointer), &expect.equals) {
        (None | Some(Value::Null), expected) if *expected != Some(Value::Null) => {
            Err(other(format!("The body has nothing at `{pointer}`.")))
        }
        (Some(found), Some(expected)) if found != expected => {
            Err(other(format!("The body has {} at `{pointer}`, expected was {}.", brief(found), brief(expected))))
        }
        _ => Ok(()),
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}
