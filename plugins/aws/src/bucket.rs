//! `aws/state-bucket`: the bucket exists, lies in the region, and can be read.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};

use crate::Aws;
use crate::credentials::{Credentials, working};
use crate::{partition, query};

/// `aws/state-bucket`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let Some(bucket) = cx.settings().state_bucket.as_deref() else {
        return Err(Stop::not_applicable("no state bucket is configured"));
    };
    let answer = list(&cx, bucket, &working(&cx).await?).await?;
    let region = &cx.settings().region;
    match answer.header("x-amz-bucket-region") {
        Some(actual) if actual != region => {
            let message = format!("The bucket {bucket} is in {actual}, not in {region}.");
            let finding = cx
                .finding("bucket-region", Cause::ConfigInvalid, message)
                .pointer("/settings/region")
                .evidence(answer.evidence())
                .remedy(format!("Set `region = \"{actual}\"`, or name a bucket in {region}."));
            Err(finding.into())
        }
        _ => answer.success().map(drop).map_err(|stop| stop.map(|finding| finding.subject("bucket", bucket))),
    }
}

/// Asks for a listing of one. Not HEAD: a refusal to HEAD has no body that would give its reason.
pub(crate) async fn list(cx: &Cx<Aws>, bucket: &str, credentials: &Credentials) -> Result<Answer, Stop> {
    query::get_s3(cx, listing(cx, bucket)?, "s3:ListBucket", credentials).await
}

/// Virtual-hosted, as S3 wants it; by path at an endpoint that is not AWS's own, and for names
/// with dots, which no certificate of S3 covers.
fn listing(cx: &Cx<Aws>, bucket: &str) -> Result<Url, Stop> {
    let region = &cx.settings().region;
    let host = format!("s3.{region}.{}", partition::of_region(region).suffix);
    let by_path = cx.connection().endpoint("s3").is_some() || bucket.contains('.');
    let usual = if by_path { format!("https://{host}/") } else { format!("https://{bucket}.{host}/") };
    let mut url = cx.endpoint("s3", &usual)?;
    if by_path {
        url.set_path(&format!("{}/{bucket}", url.path().trim_end_matches('/')));
    }
    url.set_query(Some("list-type=2&max-keys=1"));
    Ok(url)
}
