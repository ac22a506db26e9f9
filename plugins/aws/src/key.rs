//! `aws/key`: how old the access key is, whether it is active, and whether a newer one waits.

use lineman_sdk::prelude::*;
use lineman_sdk::{Credential, Timestamp, abridged};

use crate::Aws;
use crate::credentials::{Credentials, base};
use crate::identity::caller;
use crate::query::{self, Service};

/// The age from which a key is due for rotation: AWS Config's `access-keys-rotated` and the CIS
/// AWS Foundations Benchmark (1.14) both say 90 days.
const DUE_DAYS: i64 = 90;

/// `aws/key`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let credentials = base(&cx).await?;
    if !credentials.is_long_lived() {
        return Err(Stop::not_applicable("the credential is a temporary one"));
    }
    let Some(user) = caller(&cx).await?.user().map(str::to_owned) else {
        return Err(Stop::not_applicable("the credential does not belong to an IAM user"));
    };
    let keys = match list(&cx, &user, &credentials).await {
        Ok(keys) => keys,
        Err(stop) if stop.is_denied() => {
            let needs = "iam:ListAccessKeys";
            cx.not_proved("the age of the access key", "the credential may not list its own keys", Some(needs));
            return Ok(());
        }
        Err(stop) => return Err(stop),
    };
    tell(&cx, &keys, credentials.id());
    let findings = judge(&cx, &keys, credentials.id(), Timestamp::now());
    if findings.is_empty() {
        return Ok(());
    }
    // Worth a call only for those who are about to replace the key.
    let last_used = last_used(&cx, &credentials).await;
    for finding in findings {
        let detail = [finding.detail.clone(), last_used.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        cx.report(if detail.is_empty() { finding } else { finding.detail(detail) });
    }
    Ok(())
}

/// Where the key was used last, as a sentence; none where AWS does not tell.
async fn last_used(cx: &Cx<Aws>, credentials: &Credentials) -> Option<String> {
    let parameters = [("AccessKeyId", credentials.id())];
    let answer: LastUsedResponse =
        query::call(cx, Service::Iam, "GetAccessKeyLastUsed", &parameters, Some(credentials)).await.ok()?;
    let LastUsed { at, service, region } = answer.result.last_used;
    Some(format!("It was last used on {} for {service} in {region}.", at?.strftime("%Y-%m-%d")))
}

async fn list(cx: &Cx<Aws>, user: &str, credentials: &Credentials) -> Result<Vec<AccessKey>, Stop> {
    let parameters = [("UserName", user)];
    let answer: Response = query::call(cx, Service::Iam, "ListAccessKeys", &parameters, Some(credentials)).await?;
    Ok(answer.result.keys.members)
}

/// What AWS knows of the key, whether or not anything is wrong with it.
fn tell(cx: &Cx<Aws>, keys: &[AccessKey], id: &str) {
    let Some(own) = keys.iter().find(|key| key.access_key_id == id) else { return };
    cx.credential(Credential {
        secret: "access_key_id".to_owned(),
        id: abridged(id),
        created_at: Some(own.create_date),
        newer_active: Some(newer(keys, own).is_some()),
        ..Credential::default()
    });
}

/// The active key that was made after this one.
fn newer<'a>(keys: &'a [AccessKey], own: &AccessKey) -> Option<&'a AccessKey> {
    keys.iter().find(|key| key.status == "Active" && key.create_date > own.create_date)
}

fn judge(cx: &Cx<Aws>, keys: &[AccessKey], id: &str, now: Timestamp) -> Vec<Finding> {
    let Some(own) = keys.iter().find(|key| key.access_key_id == id) else { return Vec::new() };
    let age = |key: &AccessKey| now.duration_since(key.create_date).as_hours() / 24;
    let mut findings = Vec::new();
    if own.status != "Active" {
        findings.push(cx.finding("key-inactive", Cause::CredentialRevoked, "The access key has been deactivated."));
    }
    if let Some(newer) = newer(keys, own) {
        let message = format!("The user has a newer active key, made {} days ago.", age(newer));
        findings.push(
            cx.finding("key-superseded", Cause::CredentialExpiring, message)
                .detail(format!("The stored key was made {} days ago.", age(own))),
        );
    } else if age(own) >= DUE_DAYS {
        let message = format!("The access key is {} days old and due for rotation.", age(own));
        findings.push(cx.finding("key-old", Cause::CredentialExpiring, message));
    }
    findings
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "ListAccessKeysResult")]
    result: ListResult,
}

#[derive(Deserialize)]
struct ListResult {
    #[serde(rename = "AccessKeyMetadata")]
    keys: Members,
}

#[derive(Default, Deserialize)]
struct Members {
    #[serde(rename = "member", default)]
    members: Vec<AccessKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    access_key_id: String,
    status: String,
    create_date: Timestamp,
}

#[derive(Deserialize)]
struct LastUsedResponse {
    #[serde(rename = "GetAccessKeyLastUsedResult")]
    result: LastUsedResult,
}

#[derive(Deserialize)]
struct LastUsedResult {
    #[serde(rename = "AccessKeyLastUsed")]
    last_used: LastUsed,
}

#[derive(Deserialize)]
struct LastUsed {
    /// Absent for a key that was never used.
    #[serde(rename = "LastUsedDate")]
    at: Option<Timestamp>,
    #[serde(rename = "ServiceName")]
    service: String,
    #[serde(rename = "Region")]
    region: String,
}
