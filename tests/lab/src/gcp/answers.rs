//! The forms of Google's answers.

use serde_json::{Value, json};

use super::Refusal;
use crate::api::Response;

/// A JSON answer.
pub(super) fn said(status: u16, body: &Value) -> Response {
    Response::new(status).header("content-type", "application/json; charset=UTF-8").body(body.to_string())
}

/// A refusal of the token endpoints (RFC 6749, section 5.2).
pub(super) fn oauth(status: u16, error: &str, description: &str) -> Refusal {
    Box::new(said(status, &json!({ "error": error, "error_description": description })))
}

/// A refusal of an API (AIP-193), with a reason where Google gives one.
pub(super) fn refused(status: u16, word: &str, message: &str, reason: Option<(&str, &str, Value)>) -> Refusal {
    let details: Vec<Value> = reason
        .into_iter()
        .map(|(reason, domain, metadata)| {
            json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata })
        })
        .collect();
    let mut error = json!({ "code": status, "message": message, "status": word });
    if !details.is_empty() {
        error["details"] = details.into();
    }
    Box::new(said(status, &json!({ "error": error })))
}

/// A permission that is missing, as most APIs say it.
pub(super) fn denied(permission: &str, resource: &str) -> Refusal {
    let message = format!("Permission '{permission}' denied on resource '{resource}' (or it may not exist).");
    let metadata = json!({ "permission": permission, "resource": resource });
    refused(403, "PERMISSION_DENIED", &message, Some(("IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata)))
}

/// A refusal of the older APIs: Cloud Storage's and Compute Engine's.
pub(super) fn older(status: u16, reason: &str, message: &str) -> Refusal {
    let errors = json!([{ "message": message, "domain": "global", "reason": reason }]);
    Box::new(said(status, &json!({ "error": { "code": status, "message": message, "errors": errors } })))
}

/// A perimeter of VPC Service Controls.
pub(super) fn perimeter(service: &str, consumer: u64) -> Refusal {
    let uid = "lW7ZPkYbM2hS_lab";
    let message = format!("Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: {uid}");
    let violation = json!({ "type": "VPC_SERVICE_CONTROLS", "description": uid });
    let metadata = json!({ "service": service, "uid": uid, "consumer": format!("projects/{consumer}") });
    Box::new(said(
        403,
        &json!({ "error": {
            "code": 403,
            "message": message,
            "status": "PERMISSION_DENIED",
            "details": [
                { "@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [violation] },
                { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SECURITY_POLICY_VIOLATED", "domain": "googleapis.com", "metadata": metadata },
            ],
        } }),
    ))
}

/// An API that the consumer has not enabled.
pub(super) fn disabled(service: &str, title: &str, number: u64) -> Refusal {
    let url = format!("https://console.developers.google.com/apis/api/{service}/overview?project={number}");
    let message = format!(
        "{title} API has not been used in project {number} before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    );
    let metadata = json!({ "service": service, "consumer": format!("projects/{number}"), "activationUrl": url });
    refused(403, "PERMISSION_DENIED", &message, Some(("SERVICE_DISABLED", "googleapis.com", metadata)))
}
