//! A log of hundreds of megabytes, with failures among lines that only look like some: all are
//! found, none is invented, and memory stays what it was. Alone in its process, whose memory it
//! measures.

#[path = "../proof/dress.rs"]
mod dress;
#[path = "../proof/planted.rs"]
#[expect(dead_code, reason = "the other test asks for the cause of each")]
mod planted;

use lineman_catalog::Catalog;
use lineman_lab::Chatter;
use lineman_logs::{Scanner, Ties};

use dress::DRESSES;
use planted::{catalogs, transcripts};

/// How many failures are planted.
const PLANTED: usize = 500;

/// Bytes that the log has; a gigabyte where everything is tested.
fn size() -> usize {
    if std::env::var_os("LINEMAN_TEST_ALL").is_some() { 1 << 30 } else { 64 << 20 }
}

#[test]
fn five_hundred_among_lookalikes_are_found_and_memory_stays_flat() {
    let own = catalogs();
    let all: Vec<&Catalog> = own.iter().chain(Catalog::shared()).collect();
    let transcripts = transcripts(&all);
    let (mut chatter, mut line, mut ranges) = (Chatter::new(7), 0, Vec::new());
    let share = size() / PLANTED;
    let pieces = (0..PLANTED).map(|n| {
        let mut piece = Vec::new();
        chatter.fill(&mut piece, share);
        let before = line + piece.iter().filter(|&&byte| byte == b'\n').count();
        let (_, put_on) = DRESSES[n % DRESSES.len()];
        put_on(&transcripts[n * 7 % transcripts.len()], &mut chatter, &mut piece);
        line += piece.iter().filter(|&&byte| byte == b'\n').count();
        ranges.push(before + 1..=line);
        piece
    });
    let ties = Ties::default();
    let mut scanner = Scanner::new(&all, &ties, "2026-02-01T00:00:00Z".parse().unwrap());
    let mut early = None;
    for (n, piece) in pieces.enumerate() {
        scanner.feed(&piece);
        // By now every rule that is needed has been made ready.
        if n == PLANTED / 2 {
            early = peak();
        }
    }
    let late = peak();
    let summary = scanner.finish();
    let outside = |at: usize| !ranges.iter().any(|range| range.contains(&at));
    for group in summary.groups() {
        let told = &group.explained;
        assert!(
            !outside(group.first.line) && !outside(group.last.line),
            "{} × {}: {}",
            group.count,
            told.code,
            told.matched.text
        );
    }
    assert_eq!(summary.count(), PLANTED as u64);
    assert_eq!(summary.lines, line as u64);
    if let (Some(early), Some(late)) = (early, late) {
        assert!(late - early < 8 << 10, "memory grew from {early} to {late} KiB");
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
