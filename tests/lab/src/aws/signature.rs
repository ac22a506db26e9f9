//! Signature Version 4, computed again over what arrived.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use super::Service;
use super::answer::Failure;
use crate::api::Request;

/// How far a request's date may be from the server's.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// What the `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) key_id: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
    headers: Vec<String>,
    signature: String,
}

impl Claim {
    /// Reads the header, or says what AWS says of one that it cannot read.
    pub(super) fn read(header: &str) -> Result<Claim, Failure> {
        let incomplete = |what: String| Failure::new(400, "IncompleteSignature", what);
        let Some(fields) = header.strip_prefix("AWS4-HMAC-SHA256") else {
            return Err(incomplete(format!("Unsupported AWS 'algorithm': '{header}'.")));
        };
        let mut found: [Option<&str>; 3] = [None; 3];
        for field in fields.split(',').map(str::trim) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(incomplete(format!(
                    "'{field}' not a valid key=value pair (missing equal-sign) in Authorization header: '{header}'."
                )));
            };
            if let Some(at) = ["Credential", "SignedHeaders", "Signature"].iter().position(|known| *known == name) {
                found[at] = Some(value);
            }
        }
        let [Some(credential), Some(headers), Some(signature)] = found else {
            let missing = ["Credential", "SignedHeaders", "Signature"]
                .iter()
                .zip(found)
                .filter(|(_, value)| value.is_none())
                .map(|(name, _)| format!("Authorization header requires '{name}' parameter. "))
                .collect::<String>();
            return Err(incomplete(format!("{missing}Authorization={header}")));
        };
        let [key_id, date, region, service, "aws4_request"] = credential.split('/').collect::<Vec<_>>()[..] else {
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
                 '{credential}'"
            )));
        };
        Ok(Claim {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            headers: headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
        })
    }

    /// Whether the request is dated as the server's clock allows and signed with `secret`.
    pub(super) fn verify(
        &self,
        request: &Request,
        service: Service,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if self.service != service.scope() {
            let message = format!("Credential should be scoped to correct service: '{}'. ", service.scope());
            return Err(Failure::new(403, "SignatureDoesNotMatch", message));
        }
        let date = request.header("x-amz-date").unwrap_or_default();
        let Some(signed_at) = parse(date) else {
            let message = "Date must be in ISO-8601 'basic format'. Got ''. See http://en.wikipedia.org/wiki/ISO_8601";
            return Err(Failure::new(400, "IncompleteSignature", message));
        };
        in_time(service, signed_at, now)?;
        if !date.starts_with(&self.date) {
            let message = format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{}', from '{date}'.",
                self.date,
                &date[..date.len().min(8)]
            );
            return Err(Failure::new(403, "SignatureDoesNotMatch", message));
        }
        if self.compute(request, service, secret, signed_at).as_ref() == Some(&self.signature) {
            return Ok(());
        }
        Err(match service {
            Service::S3 => Failure::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method.",
            )
            .with("AWSAccessKeyId", &self.key_id)
            .with("SignatureProvided", &self.signature),
            _ => Failure::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method. Consult the service documentation for details.",
            ),
        })
    }

    /// The signature that the request should have, if it can be signed at all.
    fn compute(&self, request: &Request, service: Service, secret: &str, signed_at: Timestamp) -> Option<String> {
        let mut settings = SigningSettings::default();
        // Exactly the headers that the client says it signed.
        settings.excluded_headers = None;
        if service == Service::S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let seconds = u64::try_from(signed_at.as_second()).ok()?;
        let identity = Credentials::new(&self.key_id, secret, None, None, "lab").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(settings)
            .build()
            .ok()?
            .into();
        let headers = self.headers.iter().filter_map(|name| Some((name.as_str(), request.header(name)?)));
        let body = match request.header("x-amz-content-sha256") {
            Some("UNSIGNED-PAYLOAD") => SignableBody::UnsignedPayload,
            _ => SignableBody::Bytes(&request.body),
        };
        let uri = format!("http://{}{}", request.header("host")?, request.target);
        let signable = SignableRequest::new(&request.method, uri, headers, body).ok()?;
        Some(sign(signable, &params).ok()?.into_parts().1)
    }
}

/// Refuses dates that are too far from the server's clock, in the service's own words.
fn in_time(service: Service, signed_at: Timestamp, now: Timestamp) -> Result<(), Failure> {
    let (earliest, latest) = (now - TOLERANCE, now + TOLERANCE);
    if (earliest..=latest).contains(&signed_at) {
        return Ok(());
    }
    if service == Service::S3 {
        let extended = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        return Err(Failure::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", basic(signed_at))
        .with("ServerTime", extended(now))
        .with("MaxAllowedSkewMilliseconds", "900000"));
    }
    let message = if signed_at < earliest {
        let (signed_at, earliest, now) = (basic(signed_at), basic(earliest), basic(now));
        format!("Signature expired: {signed_at} is now earlier than {earliest} ({now} - 15 min.)")
    } else {
        let (signed_at, latest, now) = (basic(signed_at), basic(latest), basic(now));
        format!("Signature not yet current: {signed_at} is still later than {latest} ({now} + 15 min.)")
    };
    Err(Failure::new(403, "SignatureDoesNotMatch", message))
}

fn basic(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn parse(date: &str) -> Option<Timestamp> {
    let civil = civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// A request as botocore 1.44 signed it on 2026-01-02 at 03:04:05.
    fn request(service: Service) -> Request {
        let (method, target, headers, signature, body) = match service {
            Service::S3 => (
                "GET",
                "/state/a%20b%2B?list-type=2&prefix=prod%2Fa%20b%2Bc%26d%3D%C3%A9&encoding-type=url",
                ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                "host;x-amz-content-sha256;x-amz-date, \
                 Signature=9cb20c11a5e6c371b023c98eec19f065449bdca7a1845c4cc6537844eda14ea7",
                "",
            ),
            _ => (
                "POST",
                "/",
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                "content-type;host;x-amz-date, \
                 Signature=318c9b5e184290ea34156ed3b1365e73f3d0d5ded156491145e843aeba2bdd4b",
                "Action=GetCallerIdentity&Version=2011-06-15",
            ),
        };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIALABDEPLOYER00001/20260102/eu-west-1/{}/aws4_request, \
             SignedHeaders={signature}",
            service.scope()
        );
        let headers = [
            ("host", "127.0.0.1:4566"),
            ("x-amz-date", "20260102T030405Z"),
            headers,
            ("authorization", &authorization),
        ];
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn verify(request: &Request, service: Service, secret: &str, now: &str) -> Result<(), String> {
        let claim = Claim::read(request.header("authorization").unwrap()).map_err(|failure| failure.message)?;
        claim.verify(request, service, secret, now.parse().unwrap()).map_err(|failure| failure.message)
    }

    #[test]
    fn what_botocore_signed_is_verified_and_what_was_touched_is_not() {
        let then = "2026-01-02T03:10:00Z";
        for service in [Service::Sts, Service::S3] {
            let good = request(service);
            assert_eq!(verify(&good, service, SECRET, then), Ok(()));
            let target = Request { target: good.target.replace('/', "/x"), ..good.clone() };
            let body = Request { body: b"Action=AssumeRole".to_vec(), ..good.clone() };
            for touched in [target, body] {
                let refused = verify(&touched, service, SECRET, then).unwrap_err();
                assert!(refused.starts_with("The request signature we calculated does not match"), "{refused}");
            }
            assert!(verify(&good, service, "wrong", then).is_err());
        }
    }

    #[test]
    fn dates_are_held_against_the_clock_in_awss_words() {
        let sts = request(Service::Sts);
        let check = |now: &str, expect: Result<(), &str>| {
            assert_eq!(verify(&sts, Service::Sts, SECRET, now), expect.map_err(str::to_owned));
        };
        check("2026-01-02T03:19:05Z", Ok(()));
        check(
            "2026-01-02T03:19:06Z",
            Err(
                "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T031906Z - 15 min.)",
            ),
        );
        check(
            "2026-01-02T02:49:04Z",
            Err("Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z \
                 (20260102T024904Z + 15 min.)"),
        );
    }
}
