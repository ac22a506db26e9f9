use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::account::{Account, Bucket};
use super::answer::{Failure, Xml, headed};
use super::policy::Decision;
use super::{Call, Caller, Service};
use crate::api::{Request, Response};

/// What stays as it is in keys under `encoding-type=url`.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The operation that method, path and query mean.
pub(super) fn operation(request: &Request, parameters: &[(String, String)]) -> &'static str {
    let has = |name: &str| parameters.iter().any(|(key, _)| key == name);
    let Some((bucket, key)) = address(request) else { return "" };
    match (request.method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", true, true) => "ListBuckets",
        ("HEAD", false, true) => "HeadBucket",
        ("GET", false, true) if has("location") => "GetBucketLocation",
        ("GET", false, true) if has("list-type") => "ListObjectsV2",
        _ => "",
    }
}

/// Bucket and key, whether the bucket is in the path or in the host
/// (`state.s3.eu-west-1.amazonaws.com`, `state.localhost`).
fn address(request: &Request) -> Option<(String, String)> {
    let path = percent_decode_str(request.path()).decode_utf8().ok()?;
    let path = path.strip_prefix('/')?;
    let host = request.header("host").unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let in_host = host
        .split_once(".s3.")
        .or_else(|| host.split_once(".s3-"))
        .map(|(bucket, _)| bucket)
        .or_else(|| host.strip_suffix(".localhost").filter(|rest| *rest != "s3"));
    Some(match (in_host, path.split_once('/')) {
        (Some(bucket), _) => (bucket.to_owned(), path.to_owned()),
        (None, Some((bucket, key))) => (bucket.to_owned(), key.to_owned()),
        (None, None) => (path.to_owned(), String::new()),
    })
}

pub(super) fn serve(accounts: &[Account], call: &Call<'_>, caller: &Caller) -> Result<Response, Failure> {
    let (name, _) = address(call.request).unwrap_or_default();
    let action = match call.operation.as_str() {
        "ListBuckets" => return list_buckets(accounts, call, caller),
        "HeadBucket" | "ListObjectsV2" => "s3:ListBucket",
        "GetBucketLocation" => "s3:GetBucketLocation",
        _ => {
            let message = "A header or query you provided requested a function that is not implemented.";
            return Err(Failure::new(501, "NotImplemented", message));
        }
    };
    let found =
        accounts.iter().find_map(|account| Some((account, account.buckets.iter().find(|bucket| bucket.name == name)?)));
    let Some((owner, bucket)) = found else {
        return Err(Failure::new(404, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", name));
    };
    // Where a bucket is, anyone may ask anywhere; all else is served where it is.
    if call.operation != "GetBucketLocation" && bucket.region != call.region {
        return Err(elsewhere(call, bucket));
    }
    let resource = format!("arn:aws:s3:::{name}");
    let home = owner.id == caller.account;
    let decision = caller.may(accounts, action, &resource, Some((&bucket.policy, home)));
    if decision != Decision::Allowed {
        return Err(denied(caller, action, &format!("\"{resource}\""), decision, home)
            .header("x-amz-bucket-region", &bucket.region));
    }
    let response = match call.operation.as_str() {
        "GetBucketLocation" => Response::new(200).body(location(bucket)),
        "ListObjectsV2" => Response::new(200).body(listing(call, bucket)),
        _ => Response::new(200),
    };
    Ok(headed(response.header("x-amz-bucket-region", &bucket.region), Service::S3, &call.request_id))
}

/// The bucket is in another region than the one that was asked.
fn elsewhere(call: &Call<'_>, bucket: &Bucket) -> Failure {
    let endpoint = format!("{}.s3.{}.amazonaws.com", bucket.name, bucket.region);
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please \
                   send all future requests to this endpoint.";
    // The global endpoint takes only requests that are signed for the bucket's region.
    let failure = if call.region == "us-east-1" {
        let message = format!(
            "The authorization header is malformed; the region '{}' is wrong; expecting '{}'",
            call.region, bucket.region
        );
        Failure::new(400, "AuthorizationHeaderMalformed", message).with("Region", &bucket.region)
    } else {
        Failure::new(301, "PermanentRedirect", message).with("Endpoint", endpoint).with("Bucket", &bucket.name)
    };
    failure.header("x-amz-bucket-region", &bucket.region)
}

/// Within an account S3 says which policy is missing; to others it says nothing.
fn denied(caller: &Caller, action: &str, resource: &str, decision: Decision, home: bool) -> Failure {
    let message = if home {
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource}{}",
            caller.arn,
            decision.reason(action)
        )
    } else {
        "Access Denied".to_owned()
    };
    Failure::new(403, "AccessDenied", message)
}

fn document(name: &str, inner: &Xml) -> String {
    let namespace = Service::S3.namespace();
    let inner = inner.compact();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} xmlns=\"{namespace}\">{inner}</{name}>")
}

/// The oldest region's name is the empty string.
fn location(bucket: &Bucket) -> String {
    let namespace = Service::S3.namespace();
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    match bucket.region.as_str() {
        "us-east-1" => format!("{head}<LocationConstraint xmlns=\"{namespace}\"/>"),
        region => format!("{head}<LocationConstraint xmlns=\"{namespace}\">{region}</LocationConstraint>"),
    }
}

fn listing(call: &Call<'_>, bucket: &Bucket) -> String {
    let prefix = call.parameter("prefix").unwrap_or_default();
    let limit = call.parameter("max-keys").and_then(|limit| limit.parse().ok()).unwrap_or(1000_usize);
    let matching: Vec<_> = bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
    let shown = matching.len().min(limit);
    let encoded = call.parameter("encoding-type") == Some("url");
    let written = |text: &str| match encoded {
        true => utf8_percent_encode(text, KEY).to_string(),
        false => text.to_owned(),
    };
    let mut xml = Xml::default();
    xml.text("Name", &bucket.name)
        .text("Prefix", &written(prefix))
        .text("KeyCount", &shown.to_string())
        .text("MaxKeys", &limit.to_string());
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.text("IsTruncated", if shown < matching.len() { "true" } else { "false" });
    for (key, size) in &matching[..shown] {
        let mut object = Xml::default();
        object
            .text("Key", &written(key))
            .text("LastModified", "2024-01-01T00:00:00.000Z")
            .text("Size", &size.to_string())
            .text("StorageClass", "STANDARD");
        xml.element("Contents", &object);
    }
    document("ListBucketResult", &xml)
}

fn list_buckets(accounts: &[Account], call: &Call<'_>, caller: &Caller) -> Result<Response, Failure> {
    let action = "s3:ListAllMyBuckets";
    let decision = caller.may(accounts, action, "arn:aws:s3:::*", None);
    if decision != Decision::Allowed {
        return Err(denied(caller, action, "\"arn:aws:s3:::*\"", decision, true));
    }
    let own = accounts.iter().filter(|account| account.id == caller.account);
    let mut buckets = Xml::default();
    for bucket in own.flat_map(|account| &account.buckets) {
        let mut about = Xml::default();
        about.text("Name", &bucket.name).text("CreationDate", "2024-01-01T00:00:00.000Z");
        buckets.element("Bucket", &about);
    }
    let mut owner = Xml::default();
    owner.text("ID", &caller.account);
    let mut xml = Xml::default();
    xml.element("Owner", &owner).element("Buckets", &buckets);
    Ok(headed(Response::new(200).body(document("ListAllMyBucketsResult", &xml)), Service::S3, &call.request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        #[track_caller]
        fn check(host: &str, target: &str, expect: (&str, &str)) {
            let headers = vec![("host".to_owned(), host.to_owned())];
            let request = Request { target: target.to_owned(), headers, ..Request::default() };
            let seen = address(&request).unwrap();
            assert_eq!((seen.0.as_str(), seen.1.as_str()), expect, "{host}{target}");
        }
        check("127.0.0.1:4566", "/state?list-type=2", ("state", ""));
        check("127.0.0.1:4566", "/state/a%20b/c", ("state", "a b/c"));
        check("127.0.0.1:4566", "/", ("", ""));
        check("s3.eu-west-1.amazonaws.com", "/state", ("state", ""));
        check("state.s3.eu-west-1.amazonaws.com", "/key", ("state", "key"));
        check("state.s3-eu-west-1.amazonaws.com", "/", ("state", ""));
        check("state.localhost:4566", "/key", ("state", "key"));
        check("s3.localhost:4566", "/state", ("state", ""));
        check("localhost:4566", "/state", ("state", ""));
    }
}
