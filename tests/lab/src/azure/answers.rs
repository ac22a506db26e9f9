//! The forms of Azure's answers.

use serde_json::{Value, json};

use super::Refusal;
use crate::api::Response;

/// A JSON answer.
pub(super) fn said(status: u16, body: &Value) -> Response {
    Response::new(status).header("content-type", "application/json; charset=utf-8").body(body.to_string())
}

/// A refusal of Resource Manager or Graph.
pub(super) fn failed(status: u16, code: &str, message: &str) -> Refusal {
    Box::new(said(status, &json!({ "error": { "code": code, "message": message } })))
}

/// A refusal of Entra: "Microsoft Entra authentication and authorization error codes".
pub(super) fn entra(status: u16, error: &str, code: u32, words: &str) -> Refusal {
    let id = "00000000-1111-2222-3333-444444444444";
    let description =
        format!("AADSTS{code}: {words} Trace ID: {id} Correlation ID: {id} Timestamp: 2026-01-01 00:00:00Z");
    let page = format!("https://login.microsoftonline.com/error?code={code}");
    Box::new(said(
        status,
        &json!({
            "error": error, "error_description": description, "error_codes": [code],
            "timestamp": "2026-01-01 00:00:00Z", "trace_id": id, "correlation_id": id, "error_uri": page,
        }),
    ))
}
