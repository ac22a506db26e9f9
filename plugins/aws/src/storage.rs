//! `aws/storage`: the buckets and encryption keys that are required exist, in the region, and can
//! be used.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::Aws;
use crate::bucket;
use crate::credentials::{Credentials, working};
use crate::query::{self, Service};
use crate::requires::Requirement;

/// `aws/storage`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required = cx.requiring("no bucket and no key is required", Requirement::storage)?;
    let credentials = working(&cx).await?;
    for (id, words) in required {
        let mut judged = Judged::new(&cx, id);
        if let Some(name) = words.bucket.as_deref() {
            judge_bucket(&cx, &credentials, name, &mut judged).await?;
        }
        if let Some(key) = words.kms_key.as_deref() {
            judge_key(&cx, &credentials, key, &mut judged).await?;
        }
        judged.record();
    }
    Ok(())
}

async fn judge_bucket(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    name: &str,
    judged: &mut Judged<'_, Aws>,
) -> Result<(), Stop> {
    let answer = bucket::list(cx, name, credentials).await?;
    let region = &cx.settings().region;
    let finding = |code: &str, cause: Cause, message: String| {
        cx.finding(code, cause, message).subject("bucket", name).evidence(answer.evidence())
    };
    match answer.header("x-amz-bucket-region") {
        Some(actual) if actual != region => {
            let message = format!("The bucket {name} is in {actual}, not in {region}.");
            let remedy = format!("Name a bucket in {region}, or make an integration for {actual}.");
            judged.fails(finding("bucket-location", Cause::DependencyUnfit, message).remedy(remedy));
        }
        _ if answer.ok() => {}
        _ => {
            let stop = Stop::from(answer.finding());
            if stop.is_denied() {
                let what = format!("that the bucket {name} can be used");
                judged.unproved(what, "the credential may not look, or it is another account's", Some("s3:ListBucket"));
            } else if stop.finding().is_some_and(|finding| finding.cause == Cause::ResourceNotFound) {
                let message = format!("There is no bucket {name}.");
                judged.fails(finding("bucket-missing", Cause::DependencyMissing, message));
            } else {
                return Err(stop);
            }
        }
    }
    Ok(())
}

async fn judge_key(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    key: &str,
    judged: &mut Judged<'_, Aws>,
) -> Result<(), Stop> {
    let finding = |code: &str, cause: Cause, message: String| cx.finding(code, cause, message).subject("kms key", key);
    let seen: Result<DescribeKey, Stop> =
        query::call(cx, Service::Kms, "DescribeKey", &[("KeyId", key)], Some(credentials)).await;
    let seen = match seen {
        Err(stop) if stop.finding().is_some_and(|finding| finding.cause == Cause::ResourceNotFound) => {
            let message = format!("There is no KMS key {key} in {}.", cx.settings().region);
            judged.fails(finding("kms-key-missing", Cause::DependencyMissing, message));
            return Ok(());
        }
        seen => judged.seen(&format!("that the KMS key {key} can be used"), "kms:DescribeKey", seen)?,
    };
    let remedy = match seen.as_ref().map(|seen| seen.key.state.as_str()) {
        None | Some("Enabled") => return Ok(()),
        Some("Disabled") => "Enable the key.",
        Some("PendingDeletion") => {
            "Cancel the deletion and enable the key, or name another: what it encrypts is lost with it."
        }
        Some(_) => "Look at the key in the console, or name another.",
    };
    let state = seen.map(|seen| seen.key.state).unwrap_or_default();
    let message = format!("The KMS key {key} cannot be used: it is in the state {state}.");
    judged.fails(finding("kms-key-unusable", Cause::DependencyUnfit, message).remedy(remedy));
    Ok(())
}

#[derive(Deserialize)]
struct DescribeKey {
    #[serde(rename = "KeyMetadata")]
    key: KeyMetadata,
}

#[derive(Deserialize)]
struct KeyMetadata {
    #[serde(rename = "KeyState")]
    state: String,
}
