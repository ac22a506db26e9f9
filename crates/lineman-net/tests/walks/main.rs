//! Walks over real sockets on loopback: every fault is met, not simulated, except where a test says
//! so. Every table goes through one door, `check`.

mod classify;
mod dns;
mod http;
mod lab;
mod proxy;
mod tcp;
mod tls;
mod trust;

use lineman_model::Connection;
use lineman_net::{Limits, Target, Walk, walk};
use url::Url;

/// A phase of a test that has to answer, and one that has to run out of time.
const AMPLE: std::time::Duration = std::time::Duration::from_secs(20);
const SCANT: std::time::Duration = std::time::Duration::from_millis(400);

/// Everything about a walk that a table tells: its phases, `!` after the one that failed, and how
/// it ended.
fn summary(walk: &Walk) -> String {
    let mut words: Vec<String> =
        walk.phases.iter().map(|phase| format!("{}{}", phase.name, if phase.ok { "" } else { "!" })).collect();
    match (&walk.failure, walk.status) {
        (Some(failure), _) => {
            assert!(walk.phases.last().is_some_and(|last| last.name == failure.phase && !last.ok), "{walk:#?}");
            words.extend([failure.code.to_owned(), failure.cause.to_string()]);
        }
        (None, Some(status)) => words.push(status.to_string()),
        (None, None) => words.push("connected".to_owned()),
    }
    words.join(" ")
}

/// Walks to an address and compares with a summary, and with what the failure's texts must say.
async fn check(what: &str, url: &str, connection: &Connection, limits: &Limits, expect: &str, says: &[&str]) -> Walk {
    let target = Target::from_url(&Url::parse(url).unwrap()).unwrap();
    let walk = walk(&target, connection, limits).await;
    assert_eq!(summary(&walk), expect, "{what}: {walk:#?}");
    let said = format!("{:?} {:?} {:?}", walk.failure, walk.evidence, walk.notes);
    for text in says {
        assert!(said.contains(text), "{what}: {text:?} is not in {said}");
    }
    assert!(!format!("{walk:?}").contains("hunter2"), "{what}: a password is shown");
    if let Some(failure) = &walk.failure {
        assert!(failure.message.ends_with('.') && !failure.message.contains('\n'), "{what}: {}", failure.message);
        assert!(!failure.remedies.is_empty(), "{what}: no remedy");
        let finding = walk.finding("test").unwrap();
        assert_eq!(finding.code, format!("test/{}", failure.code));
    }
    walk
}
