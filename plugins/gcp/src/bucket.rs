//! `gcp/bucket` and `gcp/read`: the state bucket is there and may be written, and can be read.

use lineman_sdk::prelude::*;

use crate::Gcp;
use crate::api::{self, Call, Service};
use crate::permissions::{self, missing};
use crate::requires::Resource;
use crate::token::working;

/// What keeping state in a bucket takes.
const STATE: [&str; 4] =
    ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"];

/// The path of something of a bucket.
pub(crate) fn path<'a>(bucket: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["storage", "v1", "b", bucket], rest].concat()
}

fn bucket(cx: &Cx<Gcp>) -> Result<&str, Stop> {
    cx.settings().state_bucket.as_deref().ok_or_else(|| Stop::not_applicable("no `state_bucket` is configured"))
}

/// `gcp/bucket`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let bucket = Resource::Bucket(bucket(&cx)?.to_owned());
    let token = working(&cx).await?;
    let tested = permissions::test(&cx, &token, &bucket, &STATE).await?;
    match tested.missing.is_empty() {
        true => Ok(()),
        false => Err(missing(&cx, &token, &bucket, &tested.missing).into()),
    }
}

/// `gcp/read`.
pub(crate) async fn read(cx: Cx<Gcp>) -> Outcome {
    let path = path(bucket(&cx)?, &["o"]);
    let token = working(&cx).await?;
    let call = Call::new(Service::Storage, "storage.objects.list", &path).query([("maxResults", "1")]);
    let answer = call.ask(&cx, &token.secret).await?;
    api::read::<serde_json::Value>(&answer).map(drop)
}
