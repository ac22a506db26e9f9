//! Signed calls: the Query API of STS, IAM and EC2 (a form in, XML out), and GET requests to S3.

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

/// A service with a Query API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Sts,
    Iam,
    Ec2,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Service::Sts => "sts",
            Service::Iam => "iam",
            Service::Ec2 => "ec2",
        }
    }

    /// Version of the API, as its reference gives it.
    fn version(self) -> &'static str {
        match self {
            Service::Sts => "2011-06-15",
            Service::Iam => "2010-05-08",
            Service::Ec2 => "2016-11-15",
        }
    }

    /// The endpoint to use, and the region to sign for.
    pub(crate) fn endpoint(self, cx: &Cx<Aws>) -> Result<(Url, String), Stop> {
        let region = &cx.settings().region;
        let partition = partition::of_region(region);
        let (host, signing_region) = match self {
            Service::Sts | Service::Ec2 => (format!("{}.{region}.{}", self.name(), partition.suffix), region.as_str()),
            Service::Iam => (partition.iam.to_owned(), partition.global_region),
        };
        Ok((cx.endpoint(self.name(), &format!("https://{host}/"))?, signing_region.to_owned()))
    }
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
    quick_xml::de::from_str(&answer.text())
        .map_err(|error| answer.unexpected(&format!("something that is not the answer to {action} ({error})")).into())
}

/// What a refusal means. One that has no error code is not AWS's, whatever its status: a proxy, a
/// gateway or another service answers, and knows nothing of the credential.
fn refusal(answer: &Answer) -> Finding {
    let status = answer.status();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !answer.text().contains("<Code>") {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not AWS's ({status})")));
    }
    answer.finding()
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
    let form = lineman_sdk::form::Serializer::new(String::new())
        .append_pair("Action", action)
        .append_pair("Version", service.version())
        .extend_pairs(parameters)
        .finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(form.into_bytes());
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
