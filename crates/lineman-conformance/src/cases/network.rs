use lineman_model::{Cause, Status};

use crate::bench::Bench;
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};

pub(super) async fn no_network(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let calls = bench.run_each(&kit.network_checks()?, &place).await?;
    let passed = bench.answered(&calls)?.into_iter().filter(|call| call.status().is_some_and(Status::is_good));
    none(passed.map(|call| format!("{} passes though nobody listens", call.what)).collect())
}

pub(super) async fn credential_not_blamed(kit: &Kit<'_>) -> Verdict {
    let manners = [
        (Manner::Closed, "nobody listens"),
        (Manner::Garbage, "the server answers garbage"),
        (Manner::Repeats(429), "the server throttles (429)"),
        (Manner::Repeats(500), "the server fails (500)"),
        (Manner::Repeats(503), "the server is out of service (503)"),
    ];
    let mut bench = Bench::new(kit).await?;
    let mut seen = Vec::new();
    for (manner, when) in manners {
        let endpoint = Endpoint::start(manner).await?;
        let place = bench.place(&endpoint)?;
        let calls = bench.run_each(&kit.network_checks()?, &place).await?;
        for call in bench.answered(&calls)? {
            let blamed = call.findings.iter().filter(|finding| is_rejection(&finding.cause));
            seen.extend(blamed.map(|finding| format!("{}: `{}` when {when}", call.what, finding.cause)));
        }
    }
    if seen.is_empty() { Ok(()) } else { Err(Fault::Fail(seen)) }
}

/// Whether only the provider can have said so. That a credential is missing or malformed can be
/// seen without it.
fn is_rejection(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::CredentialInvalid
            | Cause::CredentialExpired
            | Cause::CredentialRevoked
            | Cause::CredentialWrongAccount
            | Cause::CredentialChallengeRequired
            | Cause::PermissionInsufficient
            | Cause::PermissionDeniedByPolicy
            | Cause::AccountSuspended
            | Cause::RepoNoAccess
    )
}
