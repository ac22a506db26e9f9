//! `azure/tenant`: the tenant exists, and lives in the cloud that the settings say.
//!
//! Entra's discovery document needs no credential. Asked in one cloud for a tenant of another, it
//! answers all the same, and names the other one.

use lineman_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::{Azure, api};

pub(crate) const OPERATION: &str = "GET /{tenant}/v2.0/.well-known/openid-configuration";

/// `azure/tenant`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    /// What is read of OpenID Connect Discovery, and of what Entra adds to it.
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        #[serde(default)]
        cloud_instance_name: Option<String>,
        #[serde(default)]
        tenant_region_scope: Option<String>,
    }
    let (tenant, cloud) = (&cx.settings().tenant_id, cx.settings().cloud);
    let path = format!("{tenant}/v2.0/.well-known/openid-configuration");
    let answer = api::discover(&cx, OPERATION, &path).await?;
    let document: Document = api::read(&answer).map_err(|stop| {
        stop.map(|finding| match finding.cause {
            Cause::ConfigInvalid => finding.pointer("/settings/tenant_id").subject("tenant", tenant),
            _ => finding,
        })
    })?;
    let Some(instance) = document.cloud_instance_name else {
        let why = format!("the discovery document of {} does not name one", document.issuer);
        cx.not_proved(format!("that the tenant is in {}", cloud.name()), why, None);
        return Ok(());
    };
    let region = document.tenant_region_scope.map(|scope| format!(", region {scope}")).unwrap_or_default();
    match Cloud::of_instance(&instance) {
        Some(actual) if actual == cloud => Ok(()),
        Some(actual) => {
            let message = format!("The tenant is in {}, not in {}.", actual.name(), cloud.name());
            Err(cx
                .finding("wrong-cloud", Cause::ConfigEndpointWrong, message)
                .detail(format!("Entra says of it: {instance}{region}."))
                .pointer("/settings/cloud")
                .subject("tenant", tenant)
                .or_else(Cause::ConfigInvalid, Confidence::Possible)
                .evidence(answer.evidence())
                .remedy(format!("Set `cloud = \"{}\"`, or `tenant_id` to a tenant of {}.", actual.word(), cloud.name()))
                .into())
        }
        None => {
            let why = format!("Entra names the cloud `{instance}`, which is not known here");
            cx.not_proved(format!("that the tenant is in {}", cloud.name()), why, None);
            Ok(())
        }
    }
}
