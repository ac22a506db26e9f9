//! `gcp/storage`: the buckets that are required exist, and lie where they must.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::Gcp;
use crate::api::{Call, Seen, Service};
use crate::bucket;
use crate::token::{Token, working};

const GET: &str = "storage.buckets.get";

#[derive(Deserialize)]
struct Bucket {
    /// In capitals: `EUROPE-WEST1`, `EU`.
    #[serde(default)]
    location: String,
}

/// `gcp/storage`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let required = cx.requiring("no bucket is required", |words| {
        words.bucket.as_deref().map(|name| (name, words.location.as_deref()))
    })?;
    let token = working(&cx).await?;
    for (id, (name, location)) in required {
        let mut judged = Judged::new(&cx, id);
        judge(&cx, &token, name, location, &mut judged).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(
    cx: &Cx<Gcp>,
    token: &Token,
    name: &str,
    wanted: Option<&str>,
    judged: &mut Judged<'_, Gcp>,
) -> Result<(), Stop> {
    let path = bucket::path(name, &[]);
    let call = Call::new(Service::Storage, "storage.buckets.get", &path);
    let finding = |code: &str, cause: Cause, message: String| cx.finding(code, cause, message).subject("bucket", name);
    match call.look(cx, &token.secret, GET).await? {
        Seen::There(Bucket { location }) => {
            if let Some(wanted) = wanted.filter(|wanted| !wanted.eq_ignore_ascii_case(&location)) {
                let (actual, wanted) = (location.to_lowercase(), wanted.to_lowercase());
                let message = format!("The bucket {name} lies in {actual}, not in {wanted}.");
                let remedy =
                    format!("Name a bucket in {wanted}, or correct `location`: a bucket's is set when it is made.");
                judged.fails(finding("bucket-location", Cause::DependencyUnfit, message).remedy(remedy));
            }
        }
        Seen::Missing(refusal) => {
            let message = format!("There is no bucket {name}.");
            let finding = finding("required-bucket-missing", Cause::DependencyMissing, message);
            judged.fails(Finding { evidence: refusal.evidence, ..finding });
        }
        Seen::Hidden(why, needs) => {
            let what = match wanted {
                Some(wanted) => format!("that the bucket {name} exists, in {wanted}"),
                None => format!("that the bucket {name} exists"),
            };
            judged.unproved(what, why, Some(&needs));
        }
    }
    Ok(())
}
