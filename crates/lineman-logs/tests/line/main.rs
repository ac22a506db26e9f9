//! A hundred megabytes without the end of a line: what failed at its beginning, within it, at its
//! end and after it is found, and memory stays what it was. Alone in its process, whose memory it
//! measures.

use lineman_catalog::Catalog;
use lineman_logs::{Scanner, Ties};

/// Bytes that the line has.
const LENGTH: usize = 100 << 20;

/// A failure in the words of Go's resolver.
fn failure(host: &str) -> String {
    format!("\"error\":\"dial tcp: lookup {host} on 10.0.0.2:53: no such host\",")
}

#[test]
fn a_line_of_a_hundred_megabytes_is_read_in_little_memory() {
    let catalogs: Vec<&Catalog> = Catalog::shared().into();
    let ties = Ties::default();
    let mut scanner = Scanner::new(&catalogs, &ties, "2026-02-01T00:00:00Z".parse().unwrap());
    scanner
        .feed(format!("all is well\n{}\n{}", failure("before.example.org"), failure("front.example.org")).as_bytes());
    let filler: String = (0..10_000).map(|n| format!("\"field{n}\":\"value {n}\",")).collect();
    let (mut length, mut early) = (0, None);
    while length < LENGTH {
        // By now the window is as large as it becomes, and the rule that is needed is ready.
        if early.is_none() && length > LENGTH / 10 {
            scanner.feed(failure("within.example.org").as_bytes());
            early = peak();
        }
        scanner.feed(filler.as_bytes());
        length += filler.len();
    }
    scanner.feed(format!("{}\n", failure("end.example.org")).as_bytes());
    let late = peak();
    scanner.feed(format!("\n{}\n", failure("after.example.org")).as_bytes());
    let summary = scanner.finish();
    let mut found: Vec<(usize, &str)> =
        summary.groups().iter().map(|group| (group.first.line, group.explained.message.as_str())).collect();
    found.sort();
    let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!((lines.as_slice(), summary.lines), ([2, 3, 3, 3, 5].as_slice(), 5), "{found:?}");
    for (host, (_, message)) in ["before", "end", "front", "within", "after"].iter().zip(&found) {
        assert!(message.contains(&format!("{host}.example.org")), "{found:?}");
    }
    if let (Some(early), Some(late)) = (early, late) {
        assert!(late - early < 4 << 10, "memory grew from {early} to {late} KiB");
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
