use std::future::Future;

use lineman_model::{Cause, Finding};
use tokio::sync::OnceCell;

use crate::Stop;

/// Something that a session obtains once, such as a token: for the fields of
/// [`Provider::Session`](crate::Provider::Session).
///
/// The first check that asks makes it and the others wait for it. A rejection is kept, so that a
/// credential that the provider refused is never tried again (accounts lock); a transient
/// failure is not, so that a retry can succeed.
pub struct Once<T>(OnceCell<Result<T, Box<Finding>>>);

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once(OnceCell::new())
    }
}

impl<T: Clone> Once<T> {
    /// Gives what was made before, or makes it.
    ///
    /// # Errors
    ///
    /// The finding that making it ended with, now or before.
    pub async fn get(&self, make: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
        let kept = self.0.get_or_try_init(|| async {
            match Box::pin(make).await {
                Ok(made) => Ok(Ok(made)),
                Err(stop) => match stop.finding() {
                    Some(finding) if !may_pass(&finding.cause) => Ok(Err(Box::new(finding.clone()))),
                    _ => Err(stop),
                },
            }
        });
        kept.await?.clone().map_err(|finding| Stop::from(*finding))
    }
}

/// Whether the next try may go better: the provider did not judge what it was given.
fn may_pass(cause: &Cause) -> bool {
    cause.is_transient() || cause.is_network() || *cause == Cause::Undetermined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rejections_are_kept_and_transient_failures_are_not() {
        let check = async |cause: Cause, kept: bool| {
            let once = Once::<u32>::default();
            let failed = once.get(async { Err(Finding::new("x/y", cause.clone(), "m").into()) }).await;
            assert!(failed.is_err());
            let second = once.get(async { Ok(7) }).await;
            assert_eq!(second.is_err(), kept, "{cause}");
        };
        check(Cause::CredentialInvalid, true).await;
        check(Cause::PermissionInsufficient, true).await;
        check(Cause::ProviderRateLimited, false).await;
        check(Cause::NetworkTimeout, false).await;
        let once = Once::default();
        assert_eq!(once.get(async { Ok(1) }).await.ok(), Some(1));
        assert_eq!(once.get(async { Ok(2) }).await.ok(), Some(1));
    }
}
