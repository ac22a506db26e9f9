use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lineman_catalog::Catalog;
use lineman_model::protocol::CheckRequest;
use lineman_model::{Cause, Finding, Integration, Redactor};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::Http;
use crate::{Provider, Secret, SecretMap};

/// What the checks of one integration share while a run lasts.
pub(crate) struct Session<P: Provider> {
    pub(crate) settings: P::Settings,
    pub(crate) secrets: P::Secrets,
    pub(crate) own: P::Session,
    pub(crate) integration: Integration,
    pub(crate) redactor: Redactor,
    pub(crate) programs: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) http: OnceLock<Result<Http, Box<Finding>>>,
}

impl<P: Provider> Session<P> {
    /// Opens a session from the first request of an integration.
    pub(crate) fn open(plugin: &str, request: CheckRequest, catalog: Arc<Catalog>) -> Result<Session<P>, Box<Finding>> {
        let CheckRequest { integration, secrets, programs, directory, .. } = request;
        let redactor = Redactor::new();
        for (name, secret) in &secrets.0 {
            redactor.add(name, secret);
        }
        for proxy in &integration.connection.proxies {
            if let Ok(url) = url::Url::parse(proxy.url.expose())
                && let Some(password) = url.password()
            {
                redactor.add("proxy password", &Secret::new(password));
            }
        }
        let settings = P::Settings::deserialize(Value::Object(integration.settings.clone())).map_err(|error| {
            let message = format!("The settings are wrong: {error}.");
            let finding = Finding::new(format!("{plugin}/settings-invalid"), Cause::ConfigInvalid, message);
            Box::new(finding.pointer("/settings").remedy("Correct them; `lineman plugin info` lists them."))
        })?;
        let own_secrets = read_secrets::<P>(&secrets).map_err(|error| {
            let message = format!("The secrets are incomplete: {error}.");
            let finding = Finding::new(format!("{plugin}/secrets-missing"), Cause::CredentialMissing, message);
            Box::new(
                finding
                    .pointer("/secrets")
                    .remedy("Give the missing one by reference; `lineman plugin info` lists them."),
            )
        })?;
        Ok(Session {
            settings,
            secrets: own_secrets,
            own: P::Session::default(),
            integration,
            redactor,
            programs,
            directory: directory.into(),
            catalog,
            http: OnceLock::new(),
        })
    }
}

fn read_secrets<P: Provider>(secrets: &SecretMap) -> Result<P::Secrets, serde_json::Error> {
    use zeroize::Zeroize;
    let mut map = Value::Object(
        secrets.0.iter().map(|(name, secret)| (name.clone(), Value::from(secret.expose()))).collect::<Map<_, _>>(),
    );
    let read = P::Secrets::deserialize(&map);
    if let Value::Object(fields) = &mut map {
        for value in fields.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
    read
}
