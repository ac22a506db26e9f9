//! `kubernetes/permissions`: whether the credential may do what the platform means to do. Each verb
//! is asked for in a `SelfSubjectAccessReview`, which the API server answers as it would decide.

use lineman_sdk::Answer;
use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::access::access;
use crate::identity::{Identity, identity};
use crate::requirement::Wish;
use crate::{Kubernetes, api};

const REVIEWS: [&str; 4] = ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"];
/// Verbs that are decided on once more when an object is admitted.
const WRITING: [&str; 4] = ["create", "update", "patch", "delete"];

/// What a review says (`SubjectAccessReviewStatus`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Decision {
    allowed: bool,
    denied: bool,
    reason: String,
    evaluation_error: String,
}

/// `kubernetes/permissions`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    let access = access(&cx).await?;
    let context = access.namespace.as_deref();
    let wish = |words| Wish::read(words, cx.settings(), context).ok().filter(|wish| !wish.verbs().is_empty());
    let required = cx.requiring("no verb is required", wish)?;
    let identity = identity(&cx).await?;
    let mut writes = false;
    for (id, wish) in &required {
        writes |= wish.verbs().iter().any(|verb| WRITING.contains(verb));
        let mut judged = Judged::new(&cx, id);
        for verb in wish.verbs() {
            let decision = Box::pin(review(&cx, wish, verb)).await?;
            if !decision.allowed {
                judged.fails(denied(&cx, &identity, wish, verb, &decision));
            }
        }
        judged.record();
    }
    if writes {
        let why = "policies, quotas and webhooks decide when an object comes, and a check brings none";
        cx.not_proved("that what may be written is admitted", why, None);
    }
    Ok(())
}

/// What the API server decides about one verb.
async fn review(cx: &Cx<Kubernetes>, wish: &Wish<'_>, verb: &str) -> Result<Decision, Stop> {
    #[derive(Deserialize)]
    struct Reviewed {
        status: Decision,
    }
    let answer = api::review(cx, &REVIEWS, &wish.review(verb)).await?;
    if answer.status() == 403 {
        return Err(not_told(cx, &answer).into());
    }
    api::read::<Reviewed>(&answer).map(|reviewed| reviewed.status)
}

/// Who is not even told what it may do may well be allowed all that is required.
fn not_told(cx: &Cx<Kubernetes>, answer: &Answer) -> Finding {
    let message = "The API server does not tell the credential what it may do.";
    cx.finding("review-refused", Cause::PermissionInsufficient, message)
        .severity(Severity::Unknown)
        .evidence(answer.evidence())
}

/// Whether a verb is allowed.
pub(crate) async fn allowed(cx: &Cx<Kubernetes>, wish: &Wish<'_>, verb: &str) -> Result<bool, Stop> {
    Box::pin(review(cx, wish, verb)).await.map(|decision| decision.allowed)
}

fn denied(cx: &Cx<Kubernetes>, identity: &Identity, wish: &Wish<'_>, verb: &str, decision: &Decision) -> Finding {
    let object = wish.object();
    let who = identity.name();
    let (cause, code, how) = match decision.denied {
        true => (Cause::PermissionDeniedByPolicy, "permission-denied", "is forbidden to"),
        false => (Cause::PermissionInsufficient, "permission-missing", "may not"),
    };
    let mut finding = cx
        .finding(code, cause, format!("{who} {how} {verb} {object}."))
        .subject("permission", format!("{verb} {object}"));
    let said = [
        ("The API server gives the reason", &decision.reason),
        ("It could not look everywhere", &decision.evaluation_error),
    ];
    let said: Vec<String> =
        said.iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| format!("{what}: {text}")).collect();
    if !said.is_empty() {
        finding = finding.detail(said.join("\n"));
    }
    if !decision.evaluation_error.is_empty() {
        finding = finding.confidence(Confidence::Likely);
    }
    // No role helps against an authorizer that forbids.
    if decision.denied {
        return finding;
    }
    let mut remedy = match role(wish, verb) {
        Some(argv) => Remedy { argv, ..Remedy::new(format!("Make a role for it, and bind it to {who}.")) },
        None => Remedy::new(format!("Allow {who} to {verb} {object}.")),
    };
    remedy.who = Some("administrator of the cluster".to_owned());
    finding.remedies.push(remedy);
    finding
}

/// The command that makes a role of a missing verb.
fn role(wish: &Wish<'_>, verb: &str) -> Option<Vec<String>> {
    let mut argv = match wish {
        Wish::Act { resource, namespace: Some(namespace), .. } => {
            vec![
                "role".to_owned(),
                "lineman".to_owned(),
                format!("--resource={resource}"),
                format!("--namespace={namespace}"),
            ]
        }
        Wish::Act { resource, namespace: None, .. } => {
            vec!["clusterrole".to_owned(), "lineman".to_owned(), format!("--resource={resource}")]
        }
        Wish::Path { path, .. } => {
            vec!["clusterrole".to_owned(), "lineman".to_owned(), format!("--non-resource-url={path}")]
        }
        Wish::Defined(_) | Wish::Room(_) => return None,
    };
    argv.splice(0..0, ["kubectl".to_owned(), "create".to_owned()]);
    argv.push(format!("--verb={verb}"));
    Some(argv)
}
