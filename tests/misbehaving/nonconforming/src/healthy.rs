//! The plugin as it should be: three checks of an imaginary provider.

use std::sync::{Mutex, Once};
use std::time::Duration;

use lineman_sdk::prelude::*;

use crate::mode;

/// `[integration.NAME.settings]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The project to work in.
    project: String,
}

/// `[integration.NAME.secrets]`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// A token.
    token: Secret,
}

/// The provider.
pub struct Nonconforming;

impl Provider for Nonconforming {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("nonconforming", "Nonconforming", "1.0.0")
            .publisher("Lineman's tests")
            .docs("https://lineman.example/nonconforming")
            .service("api", "Everything")
            .max_parallel(64)
            .catalog(CATALOG)
    }

    fn checks() -> Vec<Check<Self>> {
        vec![
            Check::new("config", Level::Config, "The project has a name", config),
            Check::new("reach", Level::Reach, "The provider answers", reach).needs(["config"]),
            Check::new("identity", Level::Identity, "The provider accepts the token", identity).needs(["reach"]),
        ]
    }
}

const CATALOG: &str = r#"
[[rule]]
code = "token-expired"
cause = "credential.expired"
message = "The token has expired."
remedies = ["Create a new token."]
docs = [{ title = "Tokens", url = "https://lineman.example/tokens" }]
example = [{ status = 401, body = '{"error":"token_expired"}' }]
near_miss = [{ status = 401, body = '{"error":"token_unknown"}' }]
[rule.match]
provider_code = ["token_expired"]
"#;

/// Taken by one check at a time, where the mode says so.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static LEFT: Once = Once::new();
static LEAKED: Mutex<Vec<std::fs::File>> = Mutex::new(Vec::new());

async fn config(cx: Cx<Nonconforming>) -> Outcome {
    let _turn = turn().await;
    match mode() {
        "leaks-memory" => drop(Box::leak(vec![1u8; 64 << 10].into_boxed_slice())),
        "leaks-descriptors" => {
            if let (Ok(mut leaked), Ok(file)) = (LEAKED.lock(), std::fs::File::open("/dev/null")) {
                leaked.push(file);
            }
        }
        "leaves-threads" => {
            LEFT.call_once(|| drop(std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3600)))));
        }
        "prints" => println!("checking {}", cx.settings().project),
        _ => {}
    }
    Ok(())
}

async fn reach(cx: Cx<Nonconforming>) -> Outcome {
    let _turn = turn().await;
    let url = cx.endpoint("api", "https://api.lineman.example")?;
    cx.reach(&url).await?;
    Ok(())
}

async fn identity(cx: Cx<Nonconforming>) -> Outcome {
    let _turn = turn().await;
    if mode() == "aborts-in-a-check" {
        std::process::abort();
    }
    if mode() == "prints-secrets" {
        eprintln!("using {}", cx.secrets().token.expose());
    }
    let url = cx.endpoint("api", "https://api.lineman.example")?;
    cx.http()?.get(url).bearer(&cx.secrets().token).send().await?.success()?;
    Ok(())
}

async fn turn() -> Option<tokio::sync::MutexGuard<'static, ()>> {
    match mode() {
        "one-at-a-time" => Some(TURN.lock().await),
        _ => None,
    }
}
