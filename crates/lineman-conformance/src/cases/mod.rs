//! What each case looks at.

mod description;
mod events;
mod network;
mod package;
mod requests;
mod resources;
mod secrecy;
mod sessions;
mod time;

use crate::Case;
use crate::kit::{Kit, Verdict};

/// Runs one case.
pub(crate) async fn run(kit: &Kit<'_>, case: Case) -> Verdict {
    match case {
        Case::Manifest => package::manifest(kit),
        Case::DescribedAsShipped => package::described_as_shipped(kit),
        Case::Glibc => package::glibc(kit),
        Case::Exports => package::exports(kit),
        Case::Loads => package::loads(kit),
        Case::Description => description::description(kit),
        Case::Protocol => description::protocol(kit),
        Case::Checks => description::checks(kit),
        Case::Needs => description::needs(kit),
        Case::Schemas => description::schemas(kit),
        Case::Documented => description::documented(kit),
        Case::Links => description::links(kit),
        Case::Catalog => description::catalog(kit),
        Case::Stable => description::stable(kit).await,
        Case::Quick => description::quick(kit).await,
        Case::Offline => description::offline(kit).await,
        Case::UnknownOperation => requests::unknown_operation(kit).await,
        Case::MalformedRequests => requests::malformed(kit).await,
        Case::HugeRequests => requests::huge(kit).await,
        Case::UnknownFields => requests::unknown_fields(kit).await,
        Case::UnknownCheck => requests::unknown_check(kit).await,
        Case::WrongSettings => requests::wrong_settings(kit).await,
        Case::OneTerminalEvent => events::one_terminal_event(kit).await,
        Case::SilentAfterTheEnd => events::silent_after_the_end(kit).await,
        Case::OwnCallsOnly => events::own_calls_only(kit).await,
        Case::Events => events::events(kit).await,
        Case::FindingCodes => events::finding_codes(kit).await,
        Case::Remedies => events::remedies(kit).await,
        Case::Deadline => time::deadline(kit).await,
        Case::Cancellation => time::cancellation(kit).await,
        Case::Parallel => time::parallel(kit).await,
        Case::NotStalled => time::not_stalled(kit).await,
        Case::Sessions => sessions::sessions(kit).await,
        Case::SharedSession => sessions::shared_session(kit).await,
        Case::Secrets => secrecy::secrets(kit).await,
        Case::Environment => secrecy::environment(kit).await,
        Case::Output => secrecy::output(kit).await,
        Case::NoNetwork => network::no_network(kit).await,
        Case::CredentialNotBlamed => network::credential_not_blamed(kit).await,
        Case::Threads => resources::threads(kit).await,
        Case::Memory => resources::memory(kit).await,
        Case::Descriptors => resources::descriptors(kit).await,
        Case::Shutdown => sessions::shutdown(kit).await,
        Case::AfterShutdown => sessions::after_shutdown(kit).await,
        Case::Compatible => crate::against::compatible(kit),
    }
}
