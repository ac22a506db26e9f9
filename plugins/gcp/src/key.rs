//! `gcp/key`: whether the key is still one of its account's, and until when.
//!
//! Google publishes the certificates of every service account's keys, so that anybody can verify
//! what they sign. A key that was deleted is gone from there, and nothing needs to be sent to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use lineman_sdk::Timestamp;
use lineman_sdk::prelude::*;
use x509_parser::pem::parse_x509_pem;

use crate::Gcp;
use crate::api::{self, Service};
use crate::credential::{Credential, Key};

/// Days before its end from which a key is due for rotation.
const DUE_DAYS: i64 = 14;
/// Keys without an end have one in the year 9999.
const NO_END_DAYS: i64 = 36_500;

/// What is published of an account.
#[derive(Clone)]
pub(crate) enum Listed {
    /// There is no such account.
    Nobody,
    /// The certificates by the ids of their keys.
    Keys(Arc<BTreeMap<String, String>>),
}

async fn listed(cx: &Cx<Gcp>, key: &Key) -> Result<Listed, Stop> {
    let ask = async {
        let path = ["service_accounts", "v1", "metadata", "x509", &key.client_email];
        let url = Service::Certificates.address(cx, &path)?;
        let answer = Box::pin(cx.http()?.get(url).operation("metadata certificates").send()).await?;
        match answer.status() {
            404 => Ok(Listed::Nobody),
            _ => api::read(&answer).map(Arc::new).map(Listed::Keys),
        }
    };
    cx.session().listed.get(Box::pin(ask)).await
}

/// `gcp/key`. That the list cannot be had says nothing of the key.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let Credential::Key(key) = Credential::of(&cx)? else {
        return Err(Stop::not_applicable("the credential is no key of a service account"));
    };
    let listed = match listed(&cx, &key).await {
        Ok(listed) => listed,
        Err(stop) => {
            let why =
                stop.finding().map_or("the list of its account's keys cannot be read", |finding| &finding.message);
            cx.not_proved("that the key still exists", why.trim_end_matches('.'), None);
            return Ok(());
        }
    };
    let Key { client_email: account, private_key_id: id, .. } = &key;
    let Listed::Keys(keys) = listed else {
        let message = format!("Google knows no service account {account}.");
        return Err(gone(&cx, "account-gone", message)
            .subject("service account", account)
            .or_else(Cause::ConfigInvalid, Confidence::Possible)
            .into());
    };
    let Some(certificate) = keys.get(id) else {
        let message = format!("The key {id} is none of {account}'s any more.");
        return Err(gone(&cx, "key-deleted", message)
            .subject("key", id)
            .detail(match keys.len() {
                0 => "The account has no key that Google publishes.".to_owned(),
                count => format!("Google publishes {count} of the account's keys, and this one is not among them."),
            })
            .command(
                "Look at the keys that it has.",
                ["gcloud", "iam", "service-accounts", "keys", "list", "--iam-account", account],
            )
            .remedy("Store a key that is there, or make a new one.")
            .or_else(Cause::ProviderPropagation, Confidence::Possible)
            .into());
    };
    // A certificate that cannot be read is Google's own business.
    let Ok((_, pem)) = parse_x509_pem(certificate.as_bytes()) else { return Ok(()) };
    let Ok(certificate) = pem.parse_x509() else { return Ok(()) };
    if key.signing()?.public().is_some_and(|public| public != certificate.public_key().raw) {
        let message = format!("The private key in the key file is not that of the key {id}.");
        return Err(cx
            .finding("key-mismatch", Cause::CredentialMalformed, message)
            .pointer("/secrets/service_account_key")
            .subject("key", id)
            .into());
    }
    if let Ok(end) = Timestamp::from_second(certificate.validity().not_after.timestamp()) {
        expires(&cx, id, end);
    }
    Ok(())
}

fn gone(cx: &Cx<Gcp>, code: &str, message: String) -> Finding {
    cx.finding(code, Cause::CredentialRevoked, message).pointer("/secrets/service_account_key")
}

fn expires(cx: &Cx<Gcp>, id: &str, end: Timestamp) {
    let days = end.duration_since(Timestamp::now()).as_hours() / 24;
    if days > NO_END_DAYS {
        return;
    }
    cx.expires("service account key", end);
    if days >= DUE_DAYS {
        return;
    }
    let day = end.strftime("%Y-%m-%d");
    let message = format!("The key {id} is good until {day} only.");
    let finding = cx.finding("key-expires-soon", Cause::CredentialExpiring, message);
    cx.report(finding.pointer("/secrets/service_account_key"));
}
