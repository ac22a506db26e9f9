//! `aws/identity` and `aws/role`: who AWS thinks this is.

use lineman_sdk::prelude::*;

use crate::Aws;
use crate::credentials::{assumed, base};
use crate::query::{self, Service};

/// Who AWS says that a credential is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identity {
    /// Twelve digits.
    pub(crate) account: String,
    /// ARN of the user or of the session of a role.
    pub(crate) arn: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Identity,
}

impl Identity {
    /// The partition of the ARN.
    pub(crate) fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    /// The ARN of a role that is given by its name or its ARN.
    pub(crate) fn role_arn(&self, role: &str) -> String {
        if role.starts_with("arn:") {
            return role.to_owned();
        }
        format!("arn:{}:iam::{}:role/{}", self.partition(), self.account, role.trim_start_matches('/'))
    }

    /// The name of the user, where it is one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.arn.split_once(":user/").and_then(|(_, path)| path.rsplit('/').next())
    }
}

/// Asks AWS once who the base credential is. This is the one attempt to authenticate.
pub(crate) async fn caller(cx: &Cx<Aws>) -> Result<Identity, Stop> {
    let ask = async {
        let base = base(cx).await?;
        let answer: Response = query::call(cx, Service::Sts, "GetCallerIdentity", &[], Some(&base)).await?;
        Ok(answer.result)
    };
    cx.session().identity.get(ask).await
}

/// `aws/identity`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let caller = caller(&cx).await?;
    let expected = cx.settings().account_id.as_deref();
    // A role may lead into another account; then it is the role that must be there.
    let crosses = cx.settings().role.is_some() && cx.secrets().access_key_id.is_some();
    match expected {
        Some(expected) if expected != caller.account && !crosses => Err(wrong_account(&cx, expected, &caller).into()),
        Some(_) => Ok(()),
        None => {
            let what = format!("that account {} is the intended one", caller.account);
            cx.not_proved(what, "no `account_id` is configured to compare with", Some("settings.account_id"));
            Ok(())
        }
    }
}

/// `aws/role`.
pub(crate) async fn role(cx: Cx<Aws>) -> Outcome {
    let Some(role) = cx.settings().role.as_deref() else {
        return Err(Stop::not_applicable("no role is configured"));
    };
    let Some(credentials) = assumed(&cx).await? else {
        // Assumed with the web identity token, which `aws/identity` has proved.
        return Ok(());
    };
    let answer: Response = query::call(&cx, Service::Sts, "GetCallerIdentity", &[], Some(&credentials)).await?;
    match cx.settings().account_id.as_deref() {
        Some(expected) if expected != answer.result.account => {
            Err(wrong_account(&cx, expected, &answer.result).subject("role", role).into())
        }
        _ => Ok(()),
    }
}

fn wrong_account(cx: &Cx<Aws>, expected: &str, caller: &Identity) -> Finding {
    let message = format!("The credential is good, but for account {} and not {expected}.", caller.account);
    cx.finding("wrong-account", Cause::CredentialWrongAccount, message)
        .detail(format!("AWS says that this is {}.", caller.arn))
        .pointer("/settings/account_id")
        .remedy(format!("Store a key of account {expected}, or correct `account_id`."))
        .command("Look at who the stored credential is.", ["aws", "sts", "get-caller-identity"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_taken_apart() {
        let identity = |arn: &str| Identity { account: "123456789012".into(), arn: arn.into() };
        let user = identity("arn:aws-cn:iam::123456789012:user/path/ci");
        assert_eq!(user.user(), Some("ci"));
        assert_eq!(user.role_arn("deploy"), "arn:aws-cn:iam::123456789012:role/deploy");
        assert_eq!(user.role_arn("arn:aws:iam::1:role/x"), "arn:aws:iam::1:role/x");
        assert_eq!(identity("arn:aws:sts::123456789012:assumed-role/r/s").user(), None);
    }
}
