//! The token of an outside identity provider, from wherever an external account takes it.
//!
//! The configuration of an external account is foreign text that names files, addresses and
//! programs. An address is asked like any other, so that metadata services stay out of reach unless
//! they were granted; a file or a program is used when a setting names it too.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};
use serde_json::Value;

use crate::credential::{External, Format, Source};
use crate::{Gcp, api};

/// A larger file is no token.
const LARGEST: u64 = 1024 * 1024;
const GIVE_TOKEN: &str = "Or give the token itself as `subject_token`, by reference under `secrets`.";

/// What a program may answer: "Executable-sourced credentials" (AIP-4117).
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    success: bool,
    #[serde(default)]
    message: String,
    id_token: Option<Secret>,
    saml_response: Option<Secret>,
}

/// The token of the outside identity provider.
pub(crate) async fn subject_token(cx: &Cx<Gcp>, external: &External) -> Result<Secret, Stop> {
    let token = match (&cx.secrets().subject_token, &external.credential_source) {
        (Some(token), _) => token.clone(),
        (None, Some(source)) => from(cx, source, external).await?,
        (None, None) => {
            let message = "The external account names no source of its token.";
            return Err(problem(cx, "subject-token-missing", Cause::CredentialMissing, message).into());
        }
    };
    let token = Secret::new(token.expose().trim());
    cx.conceal("subject token", &token);
    if token.is_empty() {
        let message = "The source of the external account's token gives an empty one.";
        return Err(problem(cx, "subject-token-missing", Cause::CredentialMissing, message).into());
    }
    Ok(token)
}

async fn from(cx: &Cx<Gcp>, source: &Source, external: &External) -> Result<Secret, Stop> {
    if let Some(file) = &source.file {
        return text(cx, source, &read(cx, file)?);
    }
    if let Some(url) = &source.url {
        return asked(cx, source, url).await;
    }
    if let Some(executable) = &source.executable {
        return ran(cx, &executable.command, external).await;
    }
    let what =
        if source.environment_id.is_some() { "a signed request to AWS" } else { "a source that is not known here" };
    Err(Stop::missing_input(format!("the external account takes its token from {what}: give one as `subject_token`")))
}

fn problem(cx: &Cx<Gcp>, code: &str, cause: Cause, message: impl Into<String>) -> Finding {
    cx.finding(code, cause, message).pointer("/secrets/external_account")
}

/// A file or a program that foreign text names, where the setting names it too.
fn granted(cx: &Cx<Gcp>, what: &str, named: &str) -> Result<(), Stop> {
    if cx.settings().credential_source.as_deref() == Some(named) {
        return Ok(());
    }
    let message = format!("The external account takes its token from a {what} that is not granted.");
    Err(problem(cx, "credential-source-not-granted", Cause::ConfigInvalid, message)
        .subject(what, named)
        .pointer("/settings/credential_source")
        .remedy(format!("Set `credential_source = \"{named}\"`, if that {what} is meant."))
        .remedy(GIVE_TOKEN)
        .into())
}

fn read(cx: &Cx<Gcp>, path: &str) -> Result<Vec<u8>, Stop> {
    granted(cx, "file", path)?;
    let unreadable = |why: String| {
        let message = format!("The file of the external account's token cannot be read: {why}.");
        problem(cx, "subject-token-unreadable", Cause::CredentialMissing, message)
            .subject("file", path)
            .remedy("Have the file written where Lineman runs.")
            .remedy(GIVE_TOKEN)
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable("it is larger than any token".to_owned()).into());
    }
    std::fs::read(path).map_err(|error| unreadable(error.to_string()).into())
}

async fn asked(cx: &Cx<Gcp>, source: &Source, url: &str) -> Result<Secret, Stop> {
    let Ok(url) = Url::parse(url) else {
        return Err(problem(
            cx,
            "subject-token-unreadable",
            Cause::ConfigInvalid,
            "The source of the external account's token is no address.",
        )
        .remedy("Correct `credential_source.url` in the configuration of the external account.")
        .into());
    };
    let http = cx.http()?;
    let request =
        source.headers.iter().fold(http.get(url), |request, (name, value)| request.secret_header(name, value));
    let answer: Answer = Box::pin(request.operation("credential source").send()).await?;
    if answer.ok() {
        return text(cx, source, answer.bytes());
    }
    // What stands there is not Google's: the status alone says what is wrong.
    let message = format!("The source of the external account's token answers {}.", answer.status());
    Err(problem(cx, "subject-token-refused", Cause::DependencyUnfit, message).evidence(answer.evidence()).into())
}

async fn ran(cx: &Cx<Gcp>, command: &str, external: &External) -> Result<Secret, Stop> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    granted(cx, "program", program)?;
    let mut run = cx
        .program_at(program)
        .args(words)
        .env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", &external.audience)
        .env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", &external.subject_token_type)
        .env("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", "0");
    if let Some(account) = external.impersonated() {
        run = run.env("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", account);
    }
    let output = run.output().await?;
    let refused = |why: &str| {
        let message = format!("The program of the external account's token gives none: {why}.");
        problem(cx, "executable-failed", Cause::DependencyUnfit, message)
            .subject("program", program)
            .evidence(Evidence::log(program, &output.stderr))
    };
    let said: Said = serde_json::from_slice(&output.stdout).map_err(|_| refused("it does not answer in JSON"))?;
    for token in said.id_token.iter().chain(&said.saml_response) {
        cx.conceal("subject token", token);
    }
    match said.id_token.or(said.saml_response).filter(|_| said.success) {
        Some(token) => Ok(token),
        None if said.message.is_empty() => Err(refused("it says that it failed").into()),
        None => Err(refused(said.message.trim_end_matches('.')).into()),
    }
}

/// The token in what a source gave, in the format that the external account says.
fn text(cx: &Cx<Gcp>, source: &Source, bytes: &[u8]) -> Result<Secret, Stop> {
    let Format::Json { subject_token_field_name: field } = &source.format else {
        return Ok(Secret::new(String::from_utf8_lossy(bytes)));
    };
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    value[field.as_str()].as_str().map(Secret::new).ok_or_else(|| {
        let message = format!("The source of the external account's token gives no JSON with the field `{field}`.");
        problem(cx, "subject-token-unreadable", Cause::DependencyUnfit, message)
            .remedy("Correct `credential_source.format` in the configuration of the external account.")
            .remedy(GIVE_TOKEN)
            .into()
    })
}

/// Exchanges the token for one of Google's (RFC 8693).
pub(crate) async fn exchange(cx: &Cx<Gcp>, external: &External) -> Result<Answer, Stop> {
    let token = subject_token(cx, external).await?;
    let mut body = serde_json::json!({
        "audience": external.audience,
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "scope": crate::token::SCOPE,
        "subjectToken": token.expose(),
        "subjectTokenType": external.subject_token_type,
    });
    if let Some(project) = &external.workforce_pool_user_project {
        body["options"] = serde_json::json!({ "userProject": project }).to_string().into();
    }
    let url = api::Service::Sts.address(cx, &["v1", "token"])?;
    Box::pin(cx.http()?.post(url).json(&body).operation("sts.token").send()).await
}
