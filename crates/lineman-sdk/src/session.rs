use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lineman_catalog::Catalog;
use lineman_model::protocol::CheckRequest;
use lineman_model::{Cause, Connection, Description, Finding, Integration, Redactor, Requirement};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroize;

use crate::http::Http;
use crate::{ClientCertificate, Provider, Required, Secret, SecretMap, Transport};

/// What the checks of one integration share while a run lasts.
pub(crate) struct Session<P: Provider> {
    pub(crate) settings: P::Settings,
    pub(crate) secrets: P::Secrets,
    pub(crate) requires: Vec<Required<P::Requirement>>,
    pub(crate) own: P::Session,
    pub(crate) integration: Integration,
    pub(crate) redactor: Redactor,
    pub(crate) programs: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) http: OnceLock<Result<Http, Box<Finding>>>,
}

impl<P: Provider> Session<P> {
    /// Opens a session from the first request of an integration. The finding that says why it
    /// cannot be opened is free of secrets.
    pub(crate) fn open(
        plugin: &Description,
        request: CheckRequest,
        catalog: Arc<Catalog>,
    ) -> Result<Session<P>, Box<Finding>> {
        let CheckRequest { mut integration, secrets, programs, directory, .. } = request;
        let redactor = redactor(&secrets, &integration.connection);
        let read = read::<P>(plugin, &integration, &secrets).and_then(|(settings, secrets)| {
            let connection = std::mem::take(&mut integration.connection);
            let mut way = Transport { connection, client_certificate: None, directory: directory.into() };
            P::transport(&settings, &secrets, &mut way)?;
            Ok((settings, secrets, read_requires::<P>(plugin, &integration)?, way))
        });
        match read {
            Ok((settings, secrets, requires, Transport { connection, client_certificate, directory })) => Ok(Session {
                settings,
                secrets,
                requires,
                own: P::Session::default(),
                integration: Integration { connection, ..integration },
                redactor,
                programs,
                directory,
                catalog,
                client_certificate,
                http: OnceLock::new(),
            }),
            Err(mut finding) => {
                // Errors of reading quote what they could not read.
                redactor.scrub_finding(&mut finding);
                Err(finding)
            }
        }
    }
}

/// Knows the secrets of an integration: those that it was given, and the passwords in the
/// addresses of its connection.
fn redactor(secrets: &SecretMap, connection: &Connection) -> Redactor {
    let redactor = Redactor::new();
    for (name, secret) in &secrets.0 {
        redactor.add(name, secret);
    }
    let proxies = connection.proxies.iter().map(|proxy| ("proxy password", proxy.url.expose()));
    let endpoints = connection.endpoint_url.iter().chain(connection.endpoints.values());
    for (name, address) in proxies.chain(endpoints.map(|address| ("endpoint password", address.as_str()))) {
        if let Some(password) = address_of(address).as_ref().and_then(Url::password) {
            redactor.add(name, &Secret::new(password));
            redactor.add(name, &Secret::new(percent_decode_str(password).decode_utf8_lossy()));
        }
    }
    redactor
}

/// The address of a server, which may be given without a scheme, as curl allows for proxies.
pub(crate) fn address_of(text: &str) -> Option<Url> {
    let with_scheme = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    with_scheme.ok()
}

fn read<P: Provider>(
    plugin: &Description,
    integration: &Integration,
    secrets: &SecretMap,
) -> Result<(P::Settings, P::Secrets), Box<Finding>> {
    let invalid = |code: &str, pointer: &str, message: String| {
        Finding::new(format!("{}/{code}", plugin.id), Cause::ConfigInvalid, message)
            .pointer(pointer)
            .remedy(format!("Correct them; `lineman plugin info {}` lists them.", plugin.id))
    };
    let settings = P::Settings::deserialize(Value::Object(integration.settings.clone()))
        .map_err(|error| invalid("settings-invalid", "/settings", format!("The settings are wrong: {error}.")))?;
    if let Some(name) = missing(&plugin.secrets, secrets) {
        let message = format!("The secret `{name}` is not given.");
        let finding = Finding::new(format!("{}/secret-missing", plugin.id), Cause::CredentialMissing, message)
            .subject("secret", name)
            .pointer(format!("/secrets/{name}"))
            .remedy("Give it by reference, such as { env = \"NAME\" }.");
        return Err(Box::new(finding));
    }
    let secrets = read_secrets::<P>(secrets)
        .map_err(|error| invalid("secrets-invalid", "/secrets", format!("The secrets are wrong: {error}.")))?;
    Ok((settings, secrets))
}

fn read_requires<P: Provider>(
    plugin: &Description,
    integration: &Integration,
) -> Result<Vec<Required<P::Requirement>>, Box<Finding>> {
    let read = |(index, Requirement { id, words }): (usize, &Requirement)| {
        let words = P::Requirement::deserialize(Value::Object(words.clone())).map_err(|error| {
            let message = format!("The requirement `{id}` is wrong: {error}.");
            Finding::new(format!("{}/requirement-invalid", plugin.id), Cause::ConfigInvalid, message)
                .pointer(format!("/requires/{index}"))
                .remedy(format!("Correct it; `lineman plugin info {}` lists the words that there are.", plugin.id))
        })?;
        Ok(Required { id: id.clone(), words })
    };
    integration.requires.iter().enumerate().map(read).collect()
}

/// The first secret that the schema requires and nobody gave.
fn missing<'a>(schema: &'a Map<String, Value>, secrets: &SecretMap) -> Option<&'a str> {
    let required = schema.get("required")?.as_array()?.iter().filter_map(Value::as_str);
    required.into_iter().find(|name| secrets.0.get(*name).is_none_or(Secret::is_empty))
}

fn read_secrets<P: Provider>(secrets: &SecretMap) -> Result<P::Secrets, serde_json::Error> {
    let fields = secrets.0.iter().map(|(name, secret)| (name.clone(), Value::from(secret.expose())));
    let mut map = Value::Object(fields.collect());
    let read = P::Secrets::deserialize(&map);
    for value in map.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Value::String(text) = value {
            text.zeroize();
        }
    }
    read
}
