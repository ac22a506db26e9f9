//! What crosses between host and plugin in protocol 1 is read and written for ever as it stands
//! in `protocol-1`. A file there may be added to while nothing was released that reads it; after
//! that, none is changed or removed.

use std::collections::BTreeSet;
use std::fmt::Debug;

use lineman_model::protocol::{
    CheckOutcome, CheckRequest, CloseRequest, Failure, FromWorker, MAX_FRAME, PROTOCOL, Progress, RegisteredSecret,
    ToWorker, emit, event, host_call, op, submit,
};
use lineman_model::{Cause, Confidence, Description, Finding, Level, Severity, SkipReason, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Who must understand whom.
macro_rules! messages {
    ($($file:literal is $message:ty,)*) => {
        #[test]
        fn every_message_is_read_and_written_as_it_was() {
            $(check::<$message>($file, include_str!(concat!("protocol-1/", $file)));)*
        }

        /// Nothing lies in the directory unread.
        const MESSAGES: &[&str] = &[$($file),*];
    };
}

messages! {
    "description.json" is Description,
    "description-smallest.json" is Description,
    "check-request.json" is CheckRequest,
    "check-request-smallest.json" is CheckRequest,
    "close-request.json" is CloseRequest,
    "finding.json" is Finding,
    "finding-smallest.json" is Finding,
    "progress.json" is Progress,
    "result.json" is CheckOutcome,
    "result-smallest.json" is CheckOutcome,
    "error.json" is Failure,
    "registered-secret.json" is RegisteredSecret,
    "frames/to-worker-submit.json" is ToWorker,
    "frames/to-worker-cancel.json" is ToWorker,
    "frames/to-worker-shutdown.json" is ToWorker,
    "frames/from-worker-hello.json" is FromWorker,
    "frames/from-worker-not-loaded.json" is FromWorker,
    "frames/from-worker-refused.json" is FromWorker,
    "frames/from-worker-event.json" is FromWorker,
    "frames/from-worker-bad-event.json" is FromWorker,
    "frames/from-worker-host-call.json" is FromWorker,
}

/// A message of version 1 is read; what is written for it still says all that it said, in the same
/// words; and what a newer version adds to it, anywhere, is no hindrance.
fn check<M: DeserializeOwned + Serialize + Debug>(file: &str, text: &str) {
    let read = |text: &str| serde_json::from_str::<M>(text).unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
    let golden: Value = serde_json::from_str(text).unwrap();
    let written = serde_json::to_value(read(text)).unwrap();
    holds(file, &written, &golden);

    let mut newer = golden.clone();
    // A frame is an object of one field, which is its name.
    match newer.as_object_mut().filter(|_| file.starts_with("frames/")) {
        Some(frame) => frame.values_mut().for_each(add),
        None => add(&mut newer),
    }
    let written = serde_json::to_value(read(&newer.to_string())).unwrap();
    holds(file, &written, &golden);
}

/// Everything that `expected` says, `value` says.
fn holds(at: &str, value: &Value, expected: &Value) {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            for (name, expected) in expected {
                let value = value.get(name).unwrap_or_else(|| panic!("{at}: `{name}` is gone"));
                holds(&format!("{at}: {name}"), value, expected);
            }
        }
        (Value::Array(value), Value::Array(expected)) => {
            assert_eq!(value.len(), expected.len(), "{at}");
            for (value, expected) in value.iter().zip(expected) {
                holds(at, value, expected);
            }
        }
        _ => assert_eq!(value, expected, "{at}"),
    }
}

/// Adds something to every object.
fn add(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add);
            fields.insert("of_a_newer_version".to_owned(), "what it does".into());
        }
        Value::Array(items) => items.iter_mut().for_each(add),
        _ => {}
    }
}

#[test]
fn the_numbers_mean_what_they_meant() {
    let numbers = json!({
        "protocol": PROTOCOL,
        "largest_frame": MAX_FRAME,
        "operations": { "check": op::CHECK, "close": op::CLOSE },
        "events": {
            "finding": event::FINDING, "progress": event::PROGRESS, "result": event::RESULT, "error": event::ERROR,
        },
        "submit": {
            "accepted": submit::ACCEPTED,
            "unknown_operation": submit::UNKNOWN_OPERATION,
            "bad_request": submit::BAD_REQUEST,
            "busy": submit::BUSY,
            "shutting_down": submit::SHUTTING_DOWN,
        },
        "emit": { "taken": emit::TAKEN, "full": emit::FULL, "unknown_call": emit::UNKNOWN_CALL },
        "host_calls": { "log": host_call::LOG, "secret": host_call::SECRET },
    });
    assert_eq!(numbers, serde_json::from_str::<Value>(include_str!("protocol-1/numbers.json")).unwrap());
}

#[test]
fn every_word_is_still_known() {
    let words: Value = serde_json::from_str(include_str!("protocol-1/words.json")).unwrap();
    fn known<W: DeserializeOwned + Serialize>(words: &Value) {
        assert!(!words.as_array().unwrap().is_empty());
        let read = serde_json::from_value::<Vec<W>>(words.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *words);
    }
    known::<Level>(&words["levels"]);
    known::<Status>(&words["statuses"]);
    known::<Severity>(&words["severities"]);
    known::<Confidence>(&words["confidences"]);
    known::<SkipReason>(&words["skip_reasons"]);
    let causes: Vec<Cause> = serde_json::from_value(words["causes"].clone()).unwrap();
    assert!(causes.len() >= 51);
    for cause in causes {
        assert!(Cause::ALL.contains(&cause), "{cause} is no cause any more");
    }
}

#[test]
fn every_file_is_read() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol-1");
    let names = |under: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(directory.join(under)).unwrap();
        let names = entries.map(|entry| format!("{under}{}", entry.unwrap().file_name().to_string_lossy()));
        names.filter(|name| name.ends_with(".json")).collect()
    };
    let there: BTreeSet<String> = names("").into_iter().chain(names("frames/")).collect();
    let read = MESSAGES.iter().chain(&["numbers.json", "words.json"]).map(ToString::to_string).collect();
    assert_eq!(there, read);
}
