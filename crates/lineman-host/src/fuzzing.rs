//! Ways for the fuzz targets into what this crate keeps to itself. No other build has them.

use std::path::Path;

use lineman_model::protocol::{CheckOutcome, Failure, Progress, event};
use lineman_model::protocol::{FromWorker, ToWorker};
use lineman_model::{Description, Finding};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{LockFile, Manifest, ManifestError, frame};

/// Reads frames until they end or are none, as both ends of the pipe do.
pub fn frames(mut data: &[u8]) {
    while let Ok(Some(body)) = frame::read(&mut data) {
        if let Some(message) = sent_again::<FromWorker>(&body) {
            match message {
                FromWorker::Hello { description } => _ = sent_again::<Description>(description.get().as_bytes()),
                FromWorker::Event { kind, body, .. } => {
                    let body = body.get().as_bytes();
                    match kind {
                        event::FINDING => _ = sent_again::<Finding>(body),
                        event::PROGRESS => _ = sent_again::<Progress>(body),
                        event::RESULT => _ = sent_again::<CheckOutcome>(body),
                        _ => _ = sent_again::<Failure>(body),
                    }
                }
                _ => {}
            }
        }
        sent_again::<ToWorker>(&body);
    }
}

/// Reads a message, sends it through a frame, and holds that against what was read.
fn sent_again<T: Serialize + DeserializeOwned>(body: &[u8]) -> Option<T> {
    let message: T = serde_json::from_slice(body).ok()?;
    // What is larger than a frame once it is written again is refused.
    let Ok(frame) = frame::encode(&message) else { return Some(message) };
    let read = frame::read(&mut &frame[..]).expect("a frame that was made can be read").expect("there is one");
    let again: T = serde_json::from_slice(&read).expect("a message that was written can be read");
    assert_eq!(frame::encode(&again).expect("it fitted before")[..], frame[..]);
    Some(message)
}

/// Reads a `plugin.toml`.
pub fn manifest(text: &[u8]) -> Result<Manifest, ManifestError> {
    Manifest::parse(Path::new("plugin.toml"), text)
}

/// Reads a `lineman.lock`, and what was read once more.
pub fn lock(text: &[u8]) {
    let path = Path::new("lineman.lock");
    let Ok(lock) = LockFile::parse(path, text) else { return };
    let written = toml::to_string(&lock).expect("a lock that was read can be written");
    assert_eq!(LockFile::parse(path, written.as_bytes()).expect("and read again"), lock);
}
