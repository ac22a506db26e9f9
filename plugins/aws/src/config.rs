//! `aws/config`: what can be known of a key pair and the settings without asking anybody.
//!
//! Shapes are those of the IAM User Guide, "IAM identifiers": an access key id is `AKIA` or
//! `ASIA` and sixteen capital letters or digits, its secret forty characters.

use lineman_sdk::Flaw;
use lineman_sdk::prelude::*;

use crate::arn::{Arn, is_account};
use crate::partition::{self, RegionName};
use crate::requires::contradictions;
use crate::{Aws, Secrets, Settings};

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let faults =
        [key_pair(cx.settings(), cx.secrets()), region(cx.settings()), role(cx.settings()), bucket(cx.settings())];
    let requires = cx.requires().iter().enumerate();
    let contradictions =
        requires.flat_map(|(index, one)| contradictions::of(cx.settings(), index, &one.id, &one.words));
    for fault in faults.into_iter().flatten().chain(contradictions) {
        cx.report(fault);
    }
    Ok(())
}

fn fault(code: &str, cause: Cause, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("aws/{code}"), cause, message).pointer(pointer)
}

fn key_pair(settings: &Settings, secrets: &Secrets) -> Option<Finding> {
    const ID: &str = "/secrets/access_key_id";
    const SECRET: &str = "/secrets/secret_access_key";
    const TOKEN: &str = "/secrets/session_token";
    let missing = |pointer: &str, name: &str| {
        fault("key-missing", Cause::CredentialMissing, pointer, format!("The integration has no {name}."))
    };
    let malformed =
        |code: &str, pointer: &str, message: &str| fault(code, Cause::CredentialMalformed, pointer, message);
    let (id, secret) = match (&secrets.access_key_id, &secrets.secret_access_key) {
        (Some(id), Some(secret)) => (id.expose(), secret.expose()),
        (None, None) if settings.web_identity_token_file.is_some() => return None,
        (None, _) => return Some(missing(ID, "access key id")),
        (_, None) => return Some(missing(SECRET, "secret access key")),
    };
    for (value, pointer, what) in [(id, ID, "access key id"), (secret, SECRET, "secret access key")] {
        let Some(flaw) = Flaw::of(value) else { continue };
        let code = match flaw {
            Flaw::Empty => return Some(missing(pointer, what)),
            Flaw::Placeholder => "key-placeholder",
            Flaw::Whitespace => "key-whitespace",
        };
        let (told, _) = flaw.told();
        return Some(malformed(code, pointer, &format!("The {what} {told}.")));
    }
    if looks_like_secret(id) && looks_like_id(secret) {
        return Some(malformed("key-swapped", ID, "Access key id and secret access key are swapped."));
    }
    if !looks_like_id(id) {
        let message = format!("The access key id has not the shape of one ({}).", shape(id));
        return Some(malformed("key-id-shape", ID, &message));
    }
    if !looks_like_secret(secret) {
        let message = format!("The secret access key has {} characters instead of 40.", secret.chars().count());
        return Some(malformed("key-secret-shape", SECRET, &message));
    }
    let token = secrets.session_token.as_ref().is_some_and(|token| !token.is_empty());
    if id.starts_with("ASIA") && !token {
        let message = "The key is a temporary one (ASIA…), and its session token is not given.";
        return Some(fault("session-token-missing", Cause::CredentialMissing, TOKEN, message));
    }
    if id.starts_with("AKIA") && token {
        let message = "A session token is given with a long-lived key (AKIA…), which has none.";
        return Some(malformed("session-token-stray", TOKEN, message));
    }
    None
}

fn region(settings: &Settings) -> Option<Finding> {
    let region = &settings.region;
    let wrong = |message: String, remedy: &str| {
        Some(fault("region-wrong", Cause::ConfigInvalid, "/settings/region", message).remedy(remedy))
    };
    match partition::judge(region) {
        RegionName::Known | RegionName::Plausible => None,
        RegionName::Zone(of) => {
            wrong(format!("`{region}` is an availability zone, not a region."), &format!("Set `region = \"{of}\"`."))
        }
        RegionName::Wrong => {
            wrong(format!("`{region}` is not a region."), "Set the region's code, such as `eu-west-1`.")
        }
    }
}

fn role(settings: &Settings) -> Option<Finding> {
    const POINTER: &str = "/settings/role";
    let invalid = |message: String, remedy: &str| {
        Some(fault("role-wrong", Cause::ConfigInvalid, POINTER, message).remedy(remedy))
    };
    let Some(role) = &settings.role else {
        return match (&settings.web_identity_token_file, &settings.external_id) {
            (Some(_), _) => invalid(
                "A web identity token is given, and no role to assume with it.".into(),
                "Set `role` to the ARN of the role.",
            ),
            (None, Some(_)) => invalid(
                "An external id is given, and no role to assume with it.".into(),
                "Set `role`, or remove `external_id`.",
            ),
            (None, None) => None,
        };
    };
    if !role.starts_with("arn:") {
        let plain = !role.is_empty() && role.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c));
        return if plain {
            None
        } else {
            invalid(format!("`{role}` is neither a role's name nor its ARN."), "Set the role's ARN.")
        };
    }
    let arn = Arn::parse(role).filter(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    let Some(Arn { partition, .. }) = arn.filter(|arn| is_account(arn.account)) else {
        return invalid(
            format!("`{role}` is not the ARN of a role."),
            "Set an ARN such as `arn:aws:iam::123456789012:role/NAME`.",
        );
    };
    let expected = partition::of_region(&settings.region).name;
    if partition != expected {
        return invalid(
            format!("The role is of the partition `{partition}`, the region {} of `{expected}`.", settings.region),
            "Use a role and a region of the same partition: credentials do not cross them.",
        );
    }
    None
}

fn bucket(settings: &Settings) -> Option<Finding> {
    let bucket = settings.state_bucket.as_deref()?;
    let why = contradictions::bucket_name(bucket)?;
    let message = format!("`{bucket}` cannot be the name of a bucket: {why}.");
    Some(fault("bucket-name", Cause::ConfigInvalid, "/settings/state_bucket", message))
}

/// `AKIA` (long-lived) or `ASIA` (temporary), and base-32 after it.
fn looks_like_id(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn looks_like_secret(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// What may be said of a value that must not be shown.
fn shape(text: &str) -> String {
    let count = text.chars().count();
    let start = match text {
        text if text.starts_with("AKIA") || text.starts_with("ASIA") => "starts as one should",
        text if text.starts_with("AROA") || text.starts_with("AIDA") || text.starts_with("ANPA") => {
            "is the id of a user or role, not of a key"
        }
        _ => "starts neither with AKIA nor with ASIA",
    };
    format!("{count} characters, {start}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn key_pairs_are_judged_by_their_shape() {
        let check = |id: Option<&str>, secret: Option<&str>, token: Option<&str>, expect: Option<&str>| {
            let secrets = Secrets {
                access_key_id: id.map(Secret::new),
                secret_access_key: secret.map(Secret::new),
                session_token: token.map(Secret::new),
            };
            let code = key_pair(&settings("{}"), &secrets).map(|finding| finding.code);
            assert_eq!(code.as_deref(), expect, "{id:?} {secret:?} {token:?}");
        };
        let temporary = "ASIAIOSFODNN7EXAMPLE";
        check(Some(ID), Some(SECRET), None, None);
        check(Some(temporary), Some(SECRET), Some("token"), None);
        check(None, Some(SECRET), None, Some("aws/key-missing"));
        check(Some(ID), None, None, Some("aws/key-missing"));
        check(Some(SECRET), Some(ID), None, Some("aws/key-swapped"));
        check(Some(&ID[..12]), Some(SECRET), None, Some("aws/key-id-shape"));
        check(Some("AIDAIOSFODNN7EXAMPLE"), Some(SECRET), None, Some("aws/key-id-shape"));
        check(Some(ID), Some(&SECRET[..39]), None, Some("aws/key-secret-shape"));
        check(Some(ID), Some(&format!("{SECRET}\n")), None, Some("aws/key-whitespace"));
        check(Some(ID), Some(&format!("\"{SECRET}\"")), None, Some("aws/key-whitespace"));
        check(Some(ID), Some("********"), None, Some("aws/key-placeholder"));
        check(Some("<your-key>"), Some(SECRET), None, Some("aws/key-placeholder"));
        check(Some(temporary), Some(SECRET), None, Some("aws/session-token-missing"));
        check(Some(ID), Some(SECRET), Some("token"), Some("aws/session-token-stray"));
    }

    #[test]
    fn settings_that_cannot_be_meant_are_found() {
        let check = |json: &str, expect: &[&str]| {
            let settings = settings(json);
            let found: Vec<String> =
                [region(&settings), role(&settings), bucket(&settings)].into_iter().flatten().map(|f| f.code).collect();
            assert_eq!(found, expect, "{json}");
        };
        check(r#"{"role": "deploy", "region": "eu-west-1", "state_bucket": "my.state-1"}"#, &[]);
        check(r#"{"role": "arn:aws:iam::123456789012:role/path/deploy"}"#, &[]);
        check(r#"{"region": "eu-west-1b"}"#, &["aws/region-wrong"]);
        check(r#"{"role": "arn:aws:iam::123:role/x"}"#, &["aws/role-wrong"]);
        check(r#"{"role": "arn:aws:iam::123456789012:user/x"}"#, &["aws/role-wrong"]);
        check(r#"{"role": "arn:aws-cn:iam::123456789012:role/x"}"#, &["aws/role-wrong"]);
        check(r#"{"external_id": "x"}"#, &["aws/role-wrong"]);
        check(r#"{"state_bucket": "s3://state"}"#, &["aws/bucket-name"]);
        check(r#"{"state_bucket": "My_State"}"#, &["aws/bucket-name"]);
    }
}
