//! What is stored: a key file, the configuration of an external account, or a token.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lineman_sdk::prelude::*;
use lineman_sdk::{Flaw, RsaKey, Url};
use serde_json::Value;

use crate::{Gcp, Secrets};

/// What an integration identifies itself with.
pub(crate) enum Credential {
    Key(Key),
    External(External),
    Token(Secret),
}

/// The key file of a service account.
#[derive(Deserialize)]
pub(crate) struct Key {
    pub(crate) private_key_id: String,
    pub(crate) private_key: Secret,
    pub(crate) client_email: String,
    /// The project that the account lives in.
    pub(crate) project_id: Option<String>,
    token_uri: Option<String>,
    universe_domain: Option<String>,
}

/// The configuration of an external account (AIP-4117).
#[derive(Deserialize)]
pub(crate) struct External {
    pub(crate) audience: String,
    pub(crate) subject_token_type: String,
    pub(crate) token_url: String,
    pub(crate) service_account_impersonation_url: Option<String>,
    pub(crate) credential_source: Option<Source>,
    pub(crate) workforce_pool_user_project: Option<String>,
    universe_domain: Option<String>,
}

/// Where the token of the outside identity provider comes from.
#[derive(Deserialize)]
pub(crate) struct Source {
    pub(crate) file: Option<String>,
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) executable: Option<Executable>,
    pub(crate) environment_id: Option<String>,
    #[serde(default)]
    pub(crate) format: Format,
}

#[derive(Deserialize)]
pub(crate) struct Executable {
    pub(crate) command: String,
}

/// How a source gives its token.
#[derive(Default, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Text,
    Json {
        subject_token_field_name: String,
    },
}

/// What is wrong with what is stored.
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    pub(crate) cause: Cause,
    pub(crate) secret: &'static str,
    pub(crate) message: String,
    /// What to do about it, where that does not follow from the code.
    pub(crate) remedy: Option<&'static str>,
}

pub(crate) const KEY: &str = "service_account_key";
pub(crate) const EXTERNAL: &str = "external_account";
pub(crate) const TOKEN: &str = "access_token";

const WHOLE: &str = "Store the whole JSON file that Google gave out, unchanged; best by `{ file = … }`.";
const AGAIN: &str =
    "Make the configuration again with `gcloud iam workload-identity-pools create-cred-config`, and store it whole.";

impl Wrong {
    fn malformed(code: &'static str, secret: &'static str, message: String) -> Wrong {
        Wrong { code, cause: Cause::CredentialMalformed, secret, message, remedy: None }
    }

    pub(crate) fn finding(self) -> Finding {
        let finding = Finding::new(format!("gcp/{}", self.code), self.cause, self.message);
        let finding = finding.pointer(format!("/secrets/{}", self.secret));
        match self.remedy {
            Some(remedy) => finding.remedy(remedy),
            None => finding,
        }
    }
}

impl Credential {
    /// Reads what is stored, as far as its text tells.
    pub(crate) fn read(secrets: &Secrets) -> Result<Credential, Wrong> {
        let given = [&secrets.service_account_key, &secrets.external_account, &secrets.access_token];
        if given.into_iter().flatten().count() > 1 {
            return Err(Wrong {
                code: "credential-unclear",
                cause: Cause::ConfigInvalid,
                secret: KEY,
                message: "More than one credential is given.".to_owned(),
                remedy: None,
            });
        }
        match given {
            [Some(key), _, _] => Key::read(key).map(Credential::Key),
            [_, Some(external), _] => External::read(external).map(Credential::External),
            [_, _, Some(token)] => access_token(token).map(Credential::Token),
            [None, None, None] => Err(Wrong {
                code: "credential-missing",
                cause: Cause::CredentialMissing,
                secret: KEY,
                message: "The integration has no credential.".to_owned(),
                remedy: None,
            }),
        }
    }

    /// The same within a check, which must not go on with what `gcp/config` has refused.
    pub(crate) fn of(cx: &Cx<Gcp>) -> Result<Credential, Stop> {
        let credential = Credential::read(cx.secrets()).map_err(|wrong| Stop::from(wrong.finding()))?;
        // The host knows the file as it is stored; its parts are secrets of their own.
        match &credential {
            Credential::Key(key) => cx.conceal("private key", &key.private_key),
            Credential::External(external) => external.credential_source.iter().for_each(|source| {
                source.headers.values().for_each(|value| cx.conceal("header of the credential source", value));
            }),
            Credential::Token(_) => {}
        }
        Ok(credential)
    }

    /// The service account that it says it is, where it says so.
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Credential::Key(key) => Some(&key.client_email),
            Credential::External(external) => external.impersonated(),
            Credential::Token(_) => None,
        }
    }

    /// The project that its account lives in, where the file tells.
    pub(crate) fn home(&self) -> Option<&str> {
        match self {
            Credential::Key(key) => key.project_id.as_deref(),
            Credential::External(_) | Credential::Token(_) => None,
        }
    }

    /// The universe that it was made in, where the file tells.
    pub(crate) fn universe(&self) -> Option<&str> {
        match self {
            Credential::Key(key) => key.universe_domain.as_deref(),
            Credential::External(external) => external.universe_domain.as_deref(),
            Credential::Token(_) => None,
        }
    }

    /// The addresses in it that a client would send secrets to, each with its field.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, &str)> {
        match self {
            Credential::Key(key) => key.token_uri.iter().map(|url| ("token_uri", url.as_str())).collect(),
            Credential::External(external) => {
                let impersonation = external.service_account_impersonation_url.as_deref();
                let impersonation = impersonation.map(|url| ("service_account_impersonation_url", url));
                [("token_url", external.token_url.as_str())].into_iter().chain(impersonation).collect()
            }
            Credential::Token(_) => Vec::new(),
        }
    }
}

impl Key {
    fn read(stored: &Secret) -> Result<Key, Wrong> {
        let malformed = |code, message: String| Wrong::malformed(code, KEY, message);
        let file = json(stored, KEY, "key", WHOLE)?;
        if let Some(what) = other_than("service_account", &file) {
            return Err(malformed("key-type", format!("The key is {what}.")));
        }
        for field in ["client_email", "private_key_id", "private_key"] {
            if file[field].as_str().is_none_or(str::is_empty) {
                return Err(malformed("key-incomplete", format!("The key file has no `{field}`.")));
            }
        }
        let key: Key = serde_json::from_value(file)
            .map_err(|_| malformed("key-incomplete", "The key file is not as Google writes it.".to_owned()))?;
        match RsaKey::read(&key.private_key) {
            Ok(_) => Ok(key),
            Err(wrong) => Err(malformed("key-shape", format!("The private key in the key file {wrong}."))),
        }
    }

    /// The part of the key that signs.
    pub(crate) fn signing(&self) -> Result<RsaKey, Stop> {
        RsaKey::read(&self.private_key).map_err(|wrong| {
            let message = format!("The private key in the key file {wrong}.");
            Wrong::malformed("key-shape", KEY, message).finding().into()
        })
    }
}

impl External {
    fn read(stored: &Secret) -> Result<External, Wrong> {
        let malformed = |code, message: String| Wrong::malformed(code, EXTERNAL, message);
        let file = json(stored, EXTERNAL, "configuration of the external account", AGAIN)?;
        if let Some(what) = other_than("external_account", &file) {
            let message = format!("The configuration of the external account is {what}.");
            return Err(malformed("external-account-type", message));
        }
        let external: External = serde_json::from_value(file).map_err(|error| {
            // What is said of a value may quote it; of a missing field, its name alone.
            let what = if error.to_string().starts_with("missing field") {
                error.to_string()
            } else {
                "a value of the wrong kind".to_owned()
            };
            malformed("external-account-incomplete", format!("The configuration of the external account has {what}."))
        })?;
        let named = external.audience.starts_with("//iam.") && external.audience.contains("/providers/");
        if !named {
            let message = "The `audience` of the external account names no provider of a pool.".to_owned();
            return Err(malformed("external-account-audience", message));
        }
        Ok(external)
    }

    /// The service account that is acted as, of `…/serviceAccounts/ACCOUNT:generateAccessToken`.
    pub(crate) fn impersonated(&self) -> Option<&str> {
        let (_, rest) = self.service_account_impersonation_url.as_deref()?.split_once("/serviceAccounts/")?;
        rest.strip_suffix(":generateAccessToken")
    }
}

/// Reads JSON, or says what is stored instead.
fn json(stored: &Secret, secret: &'static str, what: &str, remedy: &'static str) -> Result<Value, Wrong> {
    let text = stored.expose().trim();
    let malformed = |code, message: String| Wrong { remedy: Some(remedy), ..Wrong::malformed(code, secret, message) };
    if let Some(flaw @ (Flaw::Empty | Flaw::Placeholder)) = Flaw::of(text) {
        let (told, remedy) = flaw.told();
        let cause = if flaw == Flaw::Empty { Cause::CredentialMissing } else { Cause::CredentialMalformed };
        return Err(Wrong {
            code: "credential-placeholder",
            cause,
            secret,
            message: format!("The {what} {told}."),
            remedy: Some(remedy),
        });
    }
    if !text.starts_with('{') {
        let encoded = BASE64.decode(text.split_whitespace().collect::<String>());
        let instead = match text {
            _ if encoded.is_ok_and(|bytes| bytes.trim_ascii_start().starts_with(b"{")) => "is still encoded in base64",
            text if text.starts_with("-----BEGIN") => "is the private key alone, without the JSON around it",
            text if text.starts_with("ya29.") => "is an access token, which belongs in `access_token`",
            text if text.ends_with(".json") => "is the name of a file, not what stands in it",
            _ => "is not JSON",
        };
        return Err(malformed("key-no-json", format!("The {what} {instead}.")));
    }
    serde_json::from_str(text).map_err(|error| {
        let how = match error.is_eof() {
            true => "was cut off".to_owned(),
            false => format!("is not JSON (at line {}, column {})", error.line(), error.column()),
        };
        malformed("key-no-json", format!("The {what} {how}."))
    })
}

/// What a JSON file of Google's is, where it is another one than is wanted.
fn other_than(wanted: &str, file: &Value) -> Option<String> {
    let what = match file["type"].as_str() {
        Some(kind) if kind == wanted => return None,
        Some("service_account") => "the key of a service account, which belongs in `service_account_key`",
        Some("external_account") => "that of an external account, which belongs in `external_account`",
        Some("authorized_user") => "a user's own login, which `gcloud auth application-default login` makes",
        Some("external_account_authorized_user") => "a user's own login through a workforce pool",
        Some("impersonated_service_account") => "a login that acts as a service account, not a key of one",
        Some(_) => "a JSON file of a type that is not known here",
        None if file.get("installed").is_some() || file.get("web").is_some() => "the secret of an OAuth client",
        None => "a JSON file without a `type`",
    };
    Some(what.to_owned())
}

fn access_token(token: &Secret) -> Result<Secret, Wrong> {
    let text = token.expose();
    if let Some(flaw) = Flaw::of(text) {
        let (told, remedy) = flaw.told();
        let cause = if flaw == Flaw::Empty { Cause::CredentialMissing } else { Cause::CredentialMalformed };
        let message = format!("The access token {told}.");
        return Err(Wrong { code: "credential-placeholder", cause, secret: TOKEN, message, remedy: Some(remedy) });
    }
    let instead = match text {
        text if text.starts_with("AIza") => "is an API key, which identifies nobody",
        text if text.starts_with("1//") => "is a refresh token, which no API takes",
        text if text.starts_with("GOCSPX-") => "is the secret of an OAuth client",
        text if text.starts_with("eyJ") => "is an ID token, not an access token",
        _ => return Ok(token.clone()),
    };
    Err(Wrong::malformed("token-kind", TOKEN, format!("The access token {instead}.")))
}

/// Whether an address is one of Google's, in a universe.
pub(crate) fn is_googles(address: &str, universe: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https"
        && (host == "accounts.google.com" || host.strip_suffix(universe).is_some_and(|rest| rest.ends_with('.')))
}
