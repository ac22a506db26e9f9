//! A Lineman plugin: finds out why integrations with Example fail.
//!
//! Example is a service with projects, whose API takes a token. Put in its place what yours has.

#![forbid(unsafe_code)]

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Timestamp, Url};

/// `[integration.NAME.settings]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The project to read, as it stands in its address.
    project: String,
}

/// `[integration.NAME.secrets]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// An API token; one that may only read is enough.
    token: Secret,
}

/// The provider.
pub struct Template;

impl Provider for Template {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("template", "Example", env!("CARGO_PKG_VERSION"))
            .publisher("The authors of this plugin")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("api", "Everything that Example offers")
            .host("api.example.com:443")
    }

    fn checks() -> Vec<Check<Template>> {
        vec![
            Check::new("token", Level::Config, "The token has the shape of one", token),
            Check::new("reach", Level::Reach, "Example answers", reach),
            Check::new("identity", Level::Identity, "Example accepts the token", identity)
                .needs(["token", "reach"])
                .calls("GET /user", None),
            Check::new("project", Level::Operation, "The project can be read", project)
                .needs(["identity"])
                .calls("GET /projects/{project}", "projects:read"),
        ]
    }
}

/// Offline: what was cut off or pasted with something around it is seen before it is sent.
async fn token(cx: Cx<Template>) -> Outcome {
    let token = cx.secrets().token.expose();
    if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let seen = format!("{} characters, not all of them printable", token.chars().count());
        let finding = cx
            .finding("token-shape", Cause::CredentialMalformed, "The token holds white space.")
            .evidence(Evidence::config("/secrets/token", seen));
        return Err(finding.into());
    }
    Ok(())
}

/// Names, TCP, proxy, TLS and HTTP, each timed; what fails becomes the finding of its phase.
async fn reach(cx: Cx<Template>) -> Outcome {
    cx.reach(&endpoint(&cx, "")?).await?;
    Ok(())
}

/// A call that needs a token and no permission. Refusals are named by the catalog.
async fn identity(cx: Cx<Template>) -> Outcome {
    #[derive(Deserialize)]
    struct User {
        token_expires_at: Option<Timestamp>,
    }
    let user: User = get(&cx, "user").await?.json()?;
    if let Some(at) = user.token_expires_at {
        cx.expires("token", at);
    }
    Ok(())
}

/// The operation that the platform is here for, as far as it can be done without changing anything.
async fn project(cx: Cx<Template>) -> Outcome {
    get(&cx, &format!("projects/{}", cx.settings().project)).await?;
    cx.not_proved("writing to the project", "a check changes nothing", None);
    Ok(())
}

async fn get(cx: &Cx<Template>, path: &str) -> Result<Answer, Stop> {
    let url = endpoint(cx, path)?;
    cx.http()?.get(url).bearer(&cx.secrets().token).send().await?.success()
}

fn endpoint(cx: &Cx<Template>, path: &str) -> Result<Url, Stop> {
    let mut url = cx.endpoint("api", "https://api.example.com/")?;
    url.set_path(path);
    Ok(url)
}

lineman_sdk::export!(Template);

#[cfg(test)]
mod tests;
