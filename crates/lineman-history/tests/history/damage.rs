//! Files that are damaged, older, newer, or held by somebody else.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use lineman_history::{History, HistoryError};
use rusqlite::Connection;

use crate::{KEEP, Place, configuration, report};

/// How many runs are known of the integration `x`.
fn runs(history: &History) -> usize {
    history.story(configuration(), "x").unwrap().map_or(0, |story| story.runs)
}

/// A way to damage the files of a history.
type Damage = fn(&Path);

#[test]
fn a_damaged_file_is_set_aside_whole_and_a_new_one_begun() {
    static WARNINGS: AtomicUsize = AtomicUsize::new(0);
    let check = |what: &str, damage: Damage| {
        let place = Place::new(KEEP);
        for hour in 0..20 {
            place.run(hour, "x: reach pass, identity fail credential.invalid");
        }
        damage(&place.file());
        let bytes = fs::read(place.file()).unwrap();
        let history = History::new(place.history.directory(), KEEP, |warning| {
            assert!(warning.contains("history.db.damaged-"), "{warning}");
            WARNINGS.fetch_add(1, Ordering::Relaxed);
        });
        let before = WARNINGS.load(Ordering::Relaxed);
        // Whoever reads first, or writes first, finds out.
        assert!(history.known(configuration()).unwrap().is_empty(), "{what}");
        history.record(configuration(), &report(30, "x: reach pass"), &BTreeMap::new()).unwrap();
        assert_eq!((runs(&history), WARNINGS.load(Ordering::Relaxed) - before), (1, 1), "{what}");
        let aside = fs::read_dir(history.directory()).unwrap().map(|file| file.unwrap().path());
        let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("damaged")).collect();
        assert!(aside.iter().any(|path| fs::read(path).unwrap() == bytes), "{what}: {aside:?}");
        assert!(!history.directory().join("history.db-journal").exists(), "{what}");
    };
    check("no database", |file| fs::write(file, "hello\n".repeat(1000)).unwrap());
    check("its pages are overwritten", |file| {
        let file = OpenOptions::new().write(true).open(file).unwrap();
        file.write_all_at(&vec![0xa5; 16 << 10], 4 << 10).unwrap();
    });
    check("its end is missing", |file| OpenOptions::new().write(true).open(file).unwrap().set_len(5000).unwrap());
    check("its tables are others'", |file| {
        Connection::open(file).unwrap().execute_batch("DROP TABLE state; DROP TABLE run").unwrap();
    });
    check("no database, with a journal beside it", |file| {
        fs::write(file, "hello\n".repeat(1000)).unwrap();
        fs::write(file.with_extension("db-journal"), "a journal\n".repeat(100)).unwrap();
    });
}

#[test]
fn an_older_schema_is_brought_up_with_all_that_is_in_it() {
    let place = Place::new(KEEP);
    fs::create_dir_all(place.history.directory()).unwrap();
    Connection::open(place.file()).unwrap().execute_batch(include_str!("schema-1.sql")).unwrap();
    // Reading is enough.
    let known = place.history.known(configuration()).unwrap();
    assert_eq!(known["x"].checks["p/identity"].cause.as_ref().map(|cause| cause.as_str()), Some("credential.invalid"));
    assert_eq!(known["x"].secrets["token"], "key:old");
    place.run(1, "x: reach pass, identity pass ends token on 2026-11-20");
    assert_eq!(runs(&place.history), 2);
    assert_eq!(place.history.expiring(configuration()).unwrap().map(|dates| dates.len()), Some(1));
}

#[test]
fn a_newer_schema_is_left_alone() {
    let place = Place::new(KEEP);
    place.run(0, "x: reach pass");
    Connection::open(place.file()).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    let before = fs::read(place.file()).unwrap();
    let error = place.history.record(configuration(), &report(1, "x: reach pass"), &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, HistoryError::Newer { found: 1000, .. }), "{error}");
    assert!(matches!(place.history.known(configuration()), Err(HistoryError::Newer { .. })));
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[test]
fn a_file_that_was_never_written_is_no_history_yet() {
    let place = Place::new(KEEP);
    fs::create_dir_all(place.history.directory()).unwrap();
    fs::write(place.file(), "").unwrap();
    assert!(place.history.known(configuration()).unwrap().is_empty());
    place.run(0, "x: reach pass");
    assert_eq!(runs(&place.history), 1);
}

#[test]
fn what_cannot_be_written_says_where_and_why() {
    let place = Place::new(KEEP);
    fs::write(place.directory.path().join("state"), "a file").unwrap();
    let error = place.history.record(configuration(), &report(0, "x: reach pass"), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("/state cannot be used"), "{error}");
}
