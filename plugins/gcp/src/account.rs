//! `gcp/service-account`: the service accounts that are required exist, are enabled, and may be
//! acted as: whoever starts a machine or a service that runs as one needs that.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;
use serde_json::json;

use crate::api::{Call, Seen, Service};
use crate::permissions::Granted;
use crate::token::{Token, working};
use crate::{Gcp, role};

const ACT_AS: &str = "iam.serviceAccounts.actAs";
const GET: &str = "iam.serviceAccounts.get";

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    disabled: bool,
}

/// `gcp/service-account`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let required = cx.requiring("no service account is required", |words| words.service_account.as_deref())?;
    let token = working(&cx).await?;
    for (id, account) in required {
        let mut judged = Judged::new(&cx, id);
        if usable(&cx, &token, account, &mut judged).await? {
            enabled(&cx, &token, account, &mut judged).await?;
        }
        judged.record();
    }
    Ok(())
}

/// Judges whether it may be acted as, which may be asked without a permission; and says whether it
/// is there at all.
async fn usable(cx: &Cx<Gcp>, token: &Token, account: &str, judged: &mut Judged<'_, Gcp>) -> Result<bool, Stop> {
    let last = format!("{account}:testIamPermissions");
    let path = ["v1", "projects", "-", "serviceAccounts", &last];
    let call = Call::new(Service::Iam, "iam.projects.serviceAccounts.testIamPermissions", &path);
    let granted: Granted = match call.body(json!({ "permissions": [ACT_AS] })).look(cx, &token.secret, ACT_AS).await? {
        Seen::There(granted) => granted,
        Seen::Missing(refusal) => {
            let message = format!("There is no service account {account}.");
            let finding = cx.finding("required-account-missing", Cause::DependencyMissing, message);
            judged.fails(Finding { evidence: refusal.evidence, ..finding.subject("service account", account) });
            return Ok(false);
        }
        Seen::Hidden(why, needs) => {
            judged.unproved(format!("that {account} exists and may be acted as"), why, Some(&needs));
            return Ok(true);
        }
    };
    if !granted.permissions.iter().any(|permission| permission == ACT_AS) {
        let who = token.account.as_deref().unwrap_or("The credential");
        let message = format!("{who} may not act as {account}: it lacks {ACT_AS} there.");
        let argv = ["gcloud", "iam", "service-accounts", "add-iam-policy-binding", account].map(str::to_owned);
        let words = role::to(token, "roles/iam.serviceAccountUser");
        let mut finding =
            cx.finding("act-as-missing", Cause::PermissionInsufficient, message).subject("permission", ACT_AS);
        finding.remedies.push(Remedy {
            argv: argv.into_iter().chain(words).collect(),
            who: Some(format!("administrator of {account}")),
            ..Remedy::new("Grant the role Service Account User on it.")
        });
        judged.fails(finding);
    }
    Ok(true)
}

async fn enabled(cx: &Cx<Gcp>, token: &Token, account: &str, judged: &mut Judged<'_, Gcp>) -> Result<(), Stop> {
    let path = ["v1", "projects", "-", "serviceAccounts", account];
    let call = Call::new(Service::Iam, "iam.projects.serviceAccounts.get", &path);
    match call.look(cx, &token.secret, GET).await? {
        Seen::There(Account { disabled: true }) => {
            let message = format!("The service account {account} is disabled.");
            let argv = ["gcloud", "iam", "service-accounts", "enable", account].map(str::to_owned).to_vec();
            let mut finding =
                cx.finding("account-not-enabled", Cause::DependencyUnfit, message).subject("service account", account);
            let who = Some(format!("administrator of {account}"));
            finding.remedies.push(Remedy { argv, who, ..Remedy::new("Enable it, or name another one.") });
            judged.fails(finding);
        }
        // That it is there was told by the other question.
        Seen::There(Account { disabled: false }) | Seen::Missing(_) => {}
        Seen::Hidden(why, needs) => judged.unproved(format!("that {account} is enabled"), why, Some(&needs)),
    }
    Ok(())
}
