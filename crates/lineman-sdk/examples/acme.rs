//! A Lineman plugin for Acme, an imaginary host of projects.

#![forbid(unsafe_code)]

use lineman_sdk::Once;
use lineman_sdk::prelude::*;

/// `[integration.NAME.settings]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The project to work in, as it stands in its address.
    project: String,
}

/// `[integration.NAME.secrets]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The id of an application.
    app_id: Secret,
    /// The secret that belongs to it.
    app_secret: Secret,
}

/// An entry of `[[integration.NAME.requires]]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// A scope that the application must have.
    scope: String,
}

/// Logging in gives a token: once for all checks of an integration, and never again once refused.
#[derive(Default)]
pub struct Session {
    login: Once<Login>,
}

#[derive(Clone, Deserialize)]
struct Login {
    token: Secret,
    expires_at: lineman_sdk::Timestamp,
    scopes: Vec<String>,
}

/// The provider.
pub struct Acme;

impl Provider for Acme {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("acme", "Acme", env!("CARGO_PKG_VERSION"))
            .publisher("The Acme users' group")
            .catalog(include_str!("../examples/acme.toml"))
            .service("api", "Everything that Acme offers")
            .host("api.acme.example:443")
    }

    fn checks() -> Vec<Check<Acme>> {
        vec![
            Check::new("config", Level::Config, "The project's name has the right shape", config),
            Check::new("reach", Level::Reach, "Acme answers", reach).needs(["config"]),
            Check::new("identity", Level::Identity, "Acme accepts the application", identity)
                .needs(["reach"])
                .calls("POST /login", None),
            Check::new("scopes", Level::Access, "The scopes that are required are granted", scopes).needs(["identity"]),
            Check::new("project", Level::Operation, "The project can be read", project)
                .needs(["identity"])
                .calls("GET /projects", "projects:read"),
        ]
    }
}

async fn config(cx: Cx<Acme>) -> Outcome {
    let project = &cx.settings().project;
    if project.is_empty() || project.contains(['/', ' ']) {
        let message = format!("`{project}` cannot be the name of a project.");
        return Err(cx.finding("project-name", Cause::ConfigInvalid, message).pointer("/settings/project").into());
    }
    Ok(())
}

async fn reach(cx: Cx<Acme>) -> Outcome {
    cx.reach(&endpoint(&cx, "")?).await?;
    Ok(())
}

async fn identity(cx: Cx<Acme>) -> Outcome {
    let login = login(&cx).await?;
    cx.expires("token", login.expires_at);
    Ok(())
}

async fn scopes(cx: Cx<Acme>) -> Outcome {
    let login = login(&cx).await?;
    for requirement in cx.requires() {
        let scope = &requirement.words.scope;
        let granted = login.scopes.iter().any(|granted| granted == scope);
        cx.requirement(&requirement.id, if granted { Status::Pass } else { Status::Fail });
        if !granted {
            let message = format!("The application lacks the scope `{scope}`.");
            let finding = cx.finding("scope-missing", Cause::PermissionInsufficient, message).subject("scope", scope);
            cx.report(finding.remedy(format!("Grant `{scope}` to the application.")));
        }
    }
    Ok(())
}

async fn project(cx: Cx<Acme>) -> Outcome {
    let url = endpoint(&cx, &format!("projects/{}", cx.settings().project))?;
    let login = login(&cx).await?;
    cx.http()?.get(url).bearer(&login.token).send().await?.success()?;
    Ok(())
}

/// The token: one attempt, whichever check comes first.
async fn login(cx: &Cx<Acme>) -> Result<Login, Stop> {
    let attempt = async {
        let Secrets { app_id, app_secret } = cx.secrets();
        let form = [("id", app_id.expose()), ("secret", app_secret.expose())];
        let answer = cx.http()?.post(endpoint(cx, "login")?).form(form).operation("login").send().await?;
        let login: Login = answer.success()?.json()?;
        cx.conceal("token", &login.token);
        Ok(login)
    };
    cx.session().login.get(attempt).await
}

fn endpoint(cx: &Cx<Acme>, path: &str) -> Result<lineman_sdk::Url, Stop> {
    let mut url = cx.endpoint("api", "https://api.acme.example/")?;
    url.set_path(path);
    Ok(url)
}

lineman_sdk::export!(Acme);
