//! What a JSON Web Token says of itself (RFC 7519). Nothing here is verified: who issued the token
//! vouches for it, and who takes it checks that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use lineman_sdk::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The claims that tell whom a token is about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Claims {
    /// Who issued it.
    pub(crate) iss: Option<String>,
    /// Whom it is about.
    pub(crate) sub: Option<String>,
    aud: Value,
    /// Entra: the tenant.
    pub(crate) tid: Option<String>,
    /// Entra: the id of the application's object in the tenant, which roles are assigned to.
    pub(crate) oid: Option<String>,
    exp: Option<f64>,
}

impl Claims {
    /// The claims of a token; none where it is something else.
    pub(crate) fn of(token: &str) -> Option<Claims> {
        let mut parts = token.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let claims: Value = serde_json::from_slice(&BASE64URL.decode(payload.trim_end_matches('=')).ok()?).ok()?;
        claims.is_object().then(|| serde_json::from_value(claims).ok())?
    }

    /// Whom it is for.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.aud {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let seconds = self.exp.filter(|seconds| seconds.is_finite())?;
        #[expect(clippy::cast_possible_truncation, reason = "what is out of range is no time, either way")]
        Timestamp::from_second(seconds as i64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_nothing_else() {
        let check = |payload: &str, expect: Option<(&[&str], Option<i64>)>| {
            let token = format!("e30.{}.c2ln", BASE64URL.encode(payload));
            let claims = Claims::of(&token);
            let seen = claims.as_ref().map(|claims| (claims.audiences(), claims.end().map(Timestamp::as_second)));
            let expect = expect.map(|(audiences, end)| (audiences.to_vec(), end));
            assert_eq!(seen, expect, "{payload}");
        };
        check(r#"{"aud":"api://x","exp":1700000000}"#, Some((&["api://x"], Some(1_700_000_000))));
        check(r#"{"aud":["a","b"],"exp":1700000000.5}"#, Some((&["a", "b"], Some(1_700_000_000))));
        check(r#"{"exp":1e300}"#, Some((&[], None)));
        check("[]", None);
        check("no JSON", None);
        assert!(Claims::of("opaque").is_none() && Claims::of("a.b").is_none() && Claims::of("e30.e30.x.y").is_none());
    }
}
