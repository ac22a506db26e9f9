//! What the reading of logs is held to: failures that really happened, in the words of those who
//! met them, put between lines that say that all is well or only look as if something were wrong.
//!
//! Every failure must be found once, with its cause, in whatever frame it stands, and nothing else.

mod dress;
mod planted;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lineman_catalog::{Catalog, Sieve};
use lineman_lab::Chatter;
use lineman_logs::{Scanner, Summary, Ties};

use dress::DRESSES;
use planted::{catalogs, transcripts};

fn now() -> Timestamp {
    "2026-02-01T00:00:00Z".parse().unwrap()
}

/// What a log tells that comes in pieces.
fn scan(all: &[&Catalog], pieces: impl IntoIterator<Item = Vec<u8>>) -> Summary {
    let ties = Ties::default();
    let mut scanner = Scanner::new(all, &ties, now());
    pieces.into_iter().for_each(|piece| scanner.feed(&piece));
    scanner.finish()
}

#[test]
fn each_failure_is_found_once_in_every_frame_and_nothing_beside_it() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let mut wrong = Vec::new();
    let mut chatter = Chatter::new(11);
    let ties = Ties::default();
    let mut scanner = Scanner::new(&all, &ties, now());
    for transcript in transcripts(&all) {
        for (dress, put_on) in DRESSES {
            let mut log = Vec::new();
            chatter.fill(&mut log, 3_000);
            let before = log.iter().filter(|&&byte| byte == b'\n').count();
            put_on(&transcript, &mut chatter, &mut log);
            let within = before + 1..=log.iter().filter(|&&byte| byte == b'\n').count();
            let length = log.len();
            chatter.fill(&mut log, length + 3_000);
            scanner.feed(&log);
            let summary = scanner.take();
            let told: Vec<String> = summary
                .groups()
                .iter()
                .map(|group| {
                    format!(
                        "{} × {} ({}) in line {}: {}",
                        group.count,
                        group.explained.code,
                        group.explained.cause,
                        group.first.line,
                        group.explained.matched.text
                    )
                })
                .collect();
            let right = summary.count() == 1
                && summary
                    .groups()
                    .iter()
                    .all(|group| transcript.accepts(&group.explained.cause) && within.contains(&group.first.line));
            if !right {
                wrong.push(format!("{} {dress} in {within:?}: {}", transcript.id, told.join("; ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn few_lines_of_a_healthy_log_are_looked_at() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let mut log = Vec::new();
    Chatter::new(5).fill(&mut log, 4 << 20);
    let sieve = Sieve::new(&all);
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    for line in sieve.lines(&log) {
        let word = sieve.find(&log[line.clone()]).map(|word| &log[line][word]).unwrap_or_default();
        *words.entry(String::from_utf8_lossy(word).into_owned()).or_default() += 1;
    }
    // One line in two hundred is made to look like a failure.
    let lines = log.iter().filter(|&&byte| byte == b'\n').count();
    assert!(words.values().sum::<usize>() * 100 < lines, "of {lines} lines are looked at for: {words:?}");
}

#[test]
fn a_line_without_end_and_garbage_are_read_to_their_ends() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let failure = b"\"error\":\"dial tcp: lookup api.example.org on 10.0.0.2:53: no such host\",";
    // One failure at every place relative to the cuts of a long line.
    let filler: Vec<u8> = (0..1_000).flat_map(|n: u32| format!("\"field{n}\":\"value {n}\",").into_bytes()).collect();
    let mut pieces = Vec::new();
    let mut planted = 0;
    for n in 0..400usize {
        pieces.push(filler.clone());
        if n % 8 == 3 {
            pieces.push(vec![b' '; n * 37 % 5_000]);
            pieces.push(failure.to_vec());
            planted += 1;
        }
    }
    let summary = scan(&all, pieces);
    assert_eq!((summary.count(), summary.groups()[0].first.line), (planted, 1));

    let mut state = 1u32;
    let garbage: Vec<u8> = (0..8 << 20)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    assert_eq!(scan(&all, [garbage.clone()]).count(), 0);
    let summary = scan(&all, [garbage, b"\ncurl: (6) Could not resolve host: api.example.org\n".to_vec()]);
    assert_eq!(summary.count(), 1);
}

#[test]
fn what_begins_a_diagnostic_is_none_of_what_stands_before() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let failure = "Error: creating it: dial tcp: lookup api.example.org on 10.0.0.2:53: no such host\n";
    let log = format!("2026-01-31T10:00:00Z DEBUG waiting for the queue\n{failure}");
    let summary = scan(&all, [log.into_bytes()]);
    let first = summary.groups().first().map(|group| (group.count, group.first.line, group.first.time));
    assert_eq!(first, Some((1, 2, "2026-01-31T10:00:00Z".parse().ok())));
}

#[test]
fn what_a_document_holds_is_judged_line_by_line() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let check = |message: &str, expect: u64| {
        let log = serde_json::json!({ "stream": "stderr", "log": message }).to_string() + "\n";
        assert_eq!(scan(&all, [log.into_bytes()]).count(), expect, "{message}");
    };
    let failure = "curl: (6) Could not resolve host: api.example.org";
    let waiting = format!("aws_vpc.main: Still creating... [10s elapsed]\n{failure}\n");
    let log = serde_json::json!({ "level": "error", "message": waiting }).to_string() + "\n";
    assert_eq!(scan(&all, [log.into_bytes()]).count(), 1, "{waiting}");
    check(&format!("aws_vpc.main: Still creating... [10s elapsed]\n{failure}\n"), 1);
    check(&format!("$ make fetch\n{failure}\n"), 1);
    check(&format!("$ echo '{failure}'\n"), 0);
    check(
        "java.net.UnknownHostException: api.example.org\n\tat Fetch.run(Fetch.java:3)\n\tat Fetch.main(Fetch.java:9)\n",
        1,
    );
}

#[test]
fn a_secret_in_a_log_is_not_repeated() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let secrets = [
        "tR0ub4dor-and-3",
        "acmep_9fK2mQ7xZ1bV4nR8tL3wY6cJ0hD5sG2aP7eU",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ];
    for (n, secret) in secrets.iter().enumerate() {
        for line in [
            format!(
                "curl --password={secret} https://ci:{secret}@api.example.org/: curl: (6) Could not resolve host: api.example.org"
            ),
            format!(
                "{{\"level\":\"error\",\"token\":\"{secret}\",\"msg\":\"lookup api.example.org on 10.0.0.2:53: no such host\"}}"
            ),
            format!("Authorization: Bearer {secret} gave: Could not resolve host: api.example.org"),
        ] {
            let summary = scan(&all, [line.clone().into_bytes()]);
            assert_eq!(summary.count(), 1, "{line}");
            let shown = serde_json::to_string(&summary.explanation()).unwrap();
            assert!(!shown.contains(secret), "{n}: {shown}");
        }
    }
}
