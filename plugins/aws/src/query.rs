//! Signed calls: the Query API of STS, IAM, EC2 and CloudWatch (a form in, XML out), the JSON API of
//! KMS and Service Quotas, and GET requests to S3.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::{Method, Request};
use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};
use serde::de::DeserializeOwned;

use crate::Aws;
use crate::credentials::Credentials;
use crate::partition;

/// A service that is called by the names of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Sts,
    Iam,
    Ec2,
    CloudWatch,
    Kms,
    Quotas,
}

impl Service {
    /// What its endpoints and signatures call it.
    fn name(self) -> &'static str {
        match self {
            Service::Sts => "sts",
            Service::Iam => "iam",
            Service::Ec2 => "ec2",
            Service::CloudWatch => "monitoring",
            Service::Kms => "kms",
            Service::Quotas => "servicequotas",
        }
    }

    /// How it is spoken to, as its service model gives it.
    fn protocol(self) -> Protocol {
        match self {
            Service::Sts => Protocol::Query { version: "2011-06-15" },
            Service::Iam => Protocol::Query { version: "2010-05-08" },
            Service::Ec2 => Protocol::Query { version: "2016-11-15" },
            Service::CloudWatch => Protocol::Query { version: "2010-08-01" },
            Service::Kms => Protocol::Json { target: "TrentService" },
            Service::Quotas => Protocol::Json { target: "ServiceQuotasV20190624" },
        }
    }

    /// The endpoint to use, and the region to sign for.
    pub(crate) fn endpoint(self, cx: &Cx<Aws>) -> Result<(Url, String), Stop> {
        let region = &cx.settings().region;
        let partition = partition::of_region(region);
        let (host, signing_region) = match self {
            Service::Iam => (partition.iam.to_owned(), partition.global_region),
            _ => (format!("{}.{region}.{}", self.name(), partition.suffix), region.as_str()),
        };
        Ok((cx.endpoint(self.name(), &format!("https://{host}/"))?, signing_region.to_owned()))
    }
}

/// How a service is spoken to.
enum Protocol {
    /// A form that names the action and the version of the API; XML comes back.
    Query { version: &'static str },
    /// JSON, with the action in a header behind the name of its target.
    Json { target: &'static str },
}

/// Calls an action and reads its answer.
///
/// # Errors
///
/// The finding for whatever went wrong, on the way or at AWS.
pub(crate) async fn call<T: DeserializeOwned>(
    cx: &Cx<Aws>,
    service: Service,
    action: &str,
    parameters: &[(&str, &str)],
    credentials: Option<&Credentials>,
) -> Result<T, Stop> {
    let answer = send(cx, service, action, parameters, credentials).await?;
    if !answer.ok() {
        return Err(refusal(&answer).into());
    }
    if matches!(service.protocol(), Protocol::Json { .. }) {
        return answer.json();
    }
    quick_xml::de::from_str(&answer.text())
        .map_err(|error| answer.unexpected(&format!("something that is not the answer to {action} ({error})")).into())
}

/// What a refusal means. One that has no error code is not AWS's, whatever its status: a proxy, a
/// gateway or another service answers, and knows nothing of the credential.
fn refusal(answer: &Answer) -> Finding {
    let status = answer.status();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !has_code(answer) {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not AWS's ({status})")));
    }
    answer.finding()
}

/// Whether the answer names an error as AWS does, in XML or in JSON.
fn has_code(answer: &Answer) -> bool {
    let text = answer.text();
    text.contains("<Code>") || text.contains("\"__type\"") || answer.header("x-amzn-errortype").is_some()
}

/// Calls an action and gives the answer, whatever it is.
pub(crate) async fn send(
    cx: &Cx<Aws>,
    service: Service,
    action: &str,
    parameters: &[(&str, &str)],
    credentials: Option<&Credentials>,
) -> Result<Answer, Stop> {
    let (url, region) = service.endpoint(cx)?;
    let request = Request::builder().method(Method::POST).uri(url.as_str());
    let request = match service.protocol() {
        Protocol::Query { version } => {
            let form = lineman_sdk::form::Serializer::new(String::new())
                .append_pair("Action", action)
                .append_pair("Version", version)
                .extend_pairs(parameters)
                .finish();
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            request.header("content-type", kind).body(form.into_bytes())
        }
        Protocol::Json { target } => {
            let body: BTreeMap<&str, &str> = parameters.iter().copied().collect();
            request
                .header("content-type", "application/x-amz-json-1.1")
                .header("x-amz-target", format!("{target}.{action}"))
                .body(serde_json::json!(body).to_string().into_bytes())
        }
    };
    let request = signed(cx, request, service.name(), &region, credentials)?;
    cx.http()?.send(url, request, Some(&format!("{}:{action}", service.name()))).await
}

/// Reads an object or a listing of S3.
pub(crate) async fn get_s3(cx: &Cx<Aws>, url: Url, operation: &str, credentials: &Credentials) -> Result<Answer, Stop> {
    let request = Request::builder().method(Method::GET).uri(url.as_str()).body(Vec::new());
    let request = signed(cx, request, "s3", &cx.settings().region, Some(credentials))?;
    cx.http()?.send(url, request, Some(operation)).await
}

fn signed(
    cx: &Cx<Aws>,
    request: Result<Request<Vec<u8>>, http::Error>,
    service: &str,
    region: &str,
    credentials: Option<&Credentials>,
) -> Result<Request<Vec<u8>>, Stop> {
    let unsignable = |error: String| {
        let message = format!("The request to {service} cannot be signed: {error}.");
        Stop::from(cx.finding("unsignable", Cause::CredentialMalformed, message))
    };
    let mut request = request.map_err(|error| unsignable(error.to_string()))?;
    let Some(credentials) = credentials else { return Ok(request) };
    let mut settings = SigningSettings::default();
    if service == "s3" {
        // S3 takes paths as they are, and wants the hash of the body in a header.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let identity = credentials.for_signing().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| unsignable(error.to_string()))?
        .into();
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let uri = request.uri().to_string();
    let body = request.body().clone();
    let signable = SignableRequest::new(
        request.method().as_str(),
        uri,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(&body),
    )
    .map_err(|error| unsignable(error.to_string()))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| unsignable(error.to_string()))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}
