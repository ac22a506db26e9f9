//! What is kept of runs, and for how long.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::SignedDuration;
use lineman_history::{Changed, Expiring, Limits};
use lineman_model::{Cause, Status};

use crate::{KEEP, Place, at, configuration, given, report};

#[test]
fn what_a_run_left_out_stays_as_it_was_known() {
    let place = Place::new(KEEP);
    assert!(place.history.known(configuration()).unwrap().is_empty());
    place.run(0, "x: reach pass, identity fail credential.invalid, access blocked\ny: reach pass");
    place.run(1, "x: reach pass, identity cancelled, access cancelled");
    place.run(2, "x: reach fail network.dns, identity not-requested, access not-requested");
    let known = place.history.known(configuration()).unwrap();
    let states: Vec<String> = known["x"]
        .checks
        .iter()
        .map(|(id, state)| {
            let cause = state.cause.as_ref().map_or("-", Cause::as_str);
            format!("{id} {} {cause} {}", state.status, (state.at.as_second() - at(0).as_second()) / 3600)
        })
        .collect();
    assert_eq!(states, ["p/access skip - 0", "p/identity fail credential.invalid 0", "p/reach fail network.dns 2"]);
    assert!(known["x"].is_broken() && !known["y"].is_broken());
    // Another file's runs are another story, and a plugin's update may take checks away.
    assert!(place.history.known(Path::new("/etc/other.toml")).unwrap().is_empty());
    place.run(3, "x: reach pass, identity pass");
    let known = place.history.known(configuration()).unwrap();
    assert_eq!(known["x"].checks.keys().collect::<Vec<_>>(), ["p/identity", "p/reach"]);
}

#[test]
fn secrets_are_compared_with_the_last_run_that_did_not_pass() {
    let place = Place::new(KEEP);
    place.run_given(0, "x: identity fail credential.invalid", &given("x", &[("token", "old")], &[]));
    place.run_given(1, "x: identity not-requested", &given("x", &[("token", "new")], &[]));
    place.run_given(2, "x: identity not-requested, reach pass", &given("x", &[("token", "newer")], &[]));
    let known = &place.history.known(configuration()).unwrap()["x"];
    // The second run proved nothing, so it did not pass either.
    assert_eq!((known.secrets["token"].as_str(), known.at), ("key:new", Some(at(1))));
}

#[test]
fn a_story_tells_when_it_broke_and_what_was_different() {
    let place = Place::new(KEEP);
    let same = given("x", &[("token", "a")], &[("settings.region", "eu")]);
    let other = given("x", &[("token", "b")], &[("settings.region", "us")]);
    place.run_given(0, "x: reach pass, identity pass", &same);
    place.run_given(1, "x: reach pass, identity pass", &same);
    let mut broken = report(2, "x: reach pass, identity fail credential.invalid");
    broken.integrations[0].plugin.version = "1.1.0".to_owned();
    place.history.record(configuration(), &broken, &other).unwrap();
    // Asked for less, and still broken.
    let mut less = report(3, "x: reach pass, identity not-requested");
    less.integrations[0].plugin.version = "1.1.0".to_owned();
    place.history.record(configuration(), &less, &other).unwrap();

    let story = place.history.story(configuration(), "x").unwrap().unwrap();
    assert_eq!((story.state, story.cause.as_ref()), (Status::Fail, Some(&Cause::CredentialInvalid)));
    assert_eq!((story.last_passed, story.broke, story.since, story.runs), (Some(at(1)), Some(at(2)), at(2), 4));
    let cause = Changed::Cause { from: None, to: Some(Cause::CredentialInvalid) };
    let credential = Changed::Credential { name: "token".to_owned() };
    let plugin = Changed::Plugin { from: "1.0.0".to_owned(), to: "1.1.0".to_owned() };
    let setting = Changed::Setting { name: "settings.region".to_owned() };
    assert_eq!(story.changed, [credential, plugin, setting, cause]);
    assert_eq!(story.turns.iter().map(|turn| turn.run.as_str()).collect::<Vec<_>>(), ["run-2", "run-0"]);
    assert!(place.history.story(configuration(), "nobody").unwrap().is_none());
}

#[test]
fn dates_are_those_that_were_read_last() {
    let place = Place::new(KEEP);
    let due = |days: i64| {
        let dates = place.history.expiring(configuration()).unwrap().unwrap();
        let expiring = Expiring::of(dates, at(24), SignedDuration::from_hours(24 * days));
        expiring.due.iter().map(|due| format!("{} {}", due.what, due.at)).collect::<Vec<_>>()
    };
    assert_eq!(place.history.expiring(configuration()).unwrap(), None);
    place.run(0, "x: identity pass, access pass ends token on 2026-11-20");
    assert_eq!(due(18), ["token 2026-11-20T00:00:00Z"]);
    assert!(due(17).is_empty());
    // A run that did not come so far read nothing, and says nothing.
    place.run(1, "x: identity fail network.dns, access blocked");
    assert_eq!(due(18).len(), 1);
    // One that did found no date, or another.
    place.run(2, "x: identity pass, access pass ends key on 2026-11-02");
    assert_eq!(due(18), ["key 2026-11-02T00:00:00Z"]);
    place.run(3, "x: identity pass, access pass");
    assert!(due(3650).is_empty());
}

#[test]
fn what_is_old_goes() {
    let place = Place::new(Limits { keep: SignedDuration::from_hours(24), ..KEEP });
    place.run(0, "x: reach pass ends token on 2026-11-20\ny: reach pass");
    place.run(20, "x: reach pass");
    place.run(30, "x: reach pass");
    assert_eq!(place.history.story(configuration(), "x").unwrap().map(|story| story.runs), Some(2));
    assert!(!place.history.known(configuration()).unwrap().contains_key("y"));
}

#[test]
fn what_is_much_goes_from_the_oldest_on_and_gives_its_room_back() {
    let many = |run: i64| {
        (0..50).map(|n| format!("i{n}: reach pass, identity fail credential.invalid\n")).collect::<String>()
            + &format!("run: reach pass ends token-{run} on 2027-01-01")
    };
    let small = Place::new(Limits { max_bytes: 200 << 10, ..KEEP });
    let large = Place::new(KEEP);
    for hour in 0..40 {
        small.run(hour, &many(hour));
        large.run(hour, &many(hour));
    }
    let size = |place: &Place| fs::metadata(place.file()).unwrap().len();
    assert!(size(&small) <= 220 << 10 && size(&large) > 400 << 10, "{} {}", size(&small), size(&large));
    let story = small.history.story(configuration(), "i1").unwrap().unwrap();
    assert!((1..40).contains(&story.runs) && story.last_run == at(39), "{} runs", story.runs);
    // One run that is too large by itself is better than none.
    let tiny = Place::new(Limits { max_bytes: 1, ..KEEP });
    tiny.run(0, "x: reach pass");
    tiny.run(1, "x: reach pass");
    assert_eq!(tiny.history.story(configuration(), "x").unwrap().map(|story| story.runs), Some(1));
}

#[test]
fn it_is_the_users_alone() {
    let place = Place::new(KEEP);
    place.run_given(0, "x: reach pass", &BTreeMap::new());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(place.history.directory()), mode(&place.file())), (0o700, 0o600));
    let names: Vec<_> =
        fs::read_dir(place.history.directory()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["history.db"]);
}
