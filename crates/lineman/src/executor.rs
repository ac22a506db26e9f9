//! Has the engine's checks run by the host.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lineman_engine::{Executor, Progress, Subject};
use lineman_host::Host;
use lineman_model::CheckInfo;
use lineman_model::protocol::CheckAnswer;

/// The host as the engine sees it.
pub(crate) struct Workers(pub(crate) Arc<Host>);

impl Executor for Workers {
    fn check<'a>(
        &'a self,
        subject: &'a Arc<Subject>,
        check: &'a CheckInfo,
        deadline: Duration,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, CheckAnswer> {
        Box::pin(async move {
            match subject.secrets() {
                Some(secrets) => self.0.check(&subject.integration, secrets, &check.id, deadline, progress).await,
                // The engine hands over no integration without its inputs.
                None => CheckAnswer::default(),
            }
        })
    }

    fn close<'a>(&'a self, subject: &'a Arc<Subject>) -> BoxFuture<'a, ()> {
        Box::pin(self.0.close(&subject.integration))
    }
}
