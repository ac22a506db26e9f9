//! What a bearer token says of itself, where it is a JSON Web Token (RFC 7519). Nothing is
//! verified: the API server alone can.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lineman_sdk::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// No honest token is longer, bytes.
const LONGEST: usize = 64 << 10;

/// What a token says of itself.
#[derive(Deserialize)]
pub(crate) struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    pub(crate) iss: Option<String>,
    pub(crate) sub: Option<String>,
    aud: Option<Value>,
    /// What a token of a service account is bound to; none in those from before 1.21, which never
    /// expire.
    #[serde(rename = "kubernetes.io")]
    bound: Option<Value>,
}

impl Claims {
    /// The claims of a token, where it is a JSON Web Token.
    pub(crate) fn of(token: &str) -> Option<Claims> {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        if token.len() > LONGEST {
            return None;
        }
        serde_json::from_slice(&bytes).ok()
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        instant(self.exp)
    }

    /// When it begins to hold.
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        instant(self.nbf.or(self.iat))
    }

    /// Whether it is a service account's that is good for ever, until its secret is deleted.
    pub(crate) fn never_expires(&self) -> bool {
        self.exp.is_none() && self.bound.is_none() && self.iss.as_deref() == Some("kubernetes/serviceaccount")
    }

    /// Whom it is for.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.aud {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Who issued it and for whom, as a sentence.
    pub(crate) fn told(&self) -> String {
        let subject = self.sub.as_deref().unwrap_or("nobody");
        let issuer = self.iss.as_deref().unwrap_or("an unknown issuer");
        let audiences = self.audiences();
        let audiences = if audiences.is_empty() { String::new() } else { format!(", for {}", audiences.join(", ")) };
        format!("By its own words the token is of {subject}, issued by {issuer}{audiences}.")
    }
}

fn instant(seconds: Option<f64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| seconds.is_finite() && seconds.abs() < 1e11)?;
    // Within a hundred billion, so it fits.
    Timestamp::from_second(seconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_it_is_and_until_when() {
        let token = |claims: &str| format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        let check = |claims: &str, expires: Option<&str>, never: bool, audiences: &[&str]| {
            let claims = Claims::of(&token(claims)).unwrap();
            assert_eq!(claims.expires().map(|at| at.to_string()).as_deref(), expires);
            assert_eq!((claims.never_expires(), claims.audiences().as_slice()), (never, audiences));
        };
        let bound = r#"{"aud":["https://k"],"exp":1767225600,"iss":"https://k","kubernetes.io":{"namespace":"ci"},"sub":"system:serviceaccount:ci:deployer"}"#;
        check(bound, Some("2026-01-01T00:00:00Z"), false, &["https://k"]);
        let legacy = r#"{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:ci:deployer"}"#;
        check(legacy, None, true, &[]);
        check(r#"{"aud":"one","exp":1767225600.9}"#, Some("2026-01-01T00:00:00Z"), false, &["one"]);
        check(r#"{"exp":1e300}"#, None, false, &[]);
        for none in ["opaque", "a.b.c", "a.b", "eyJ.eyJ.eyJ.x", &token("[]")] {
            assert!(Claims::of(none).is_none(), "{none}");
        }
    }
}
