use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{EXAMPLE, env, load_from};

/// Loads bytes and, when they are refused, shows why: neither may panic.
fn check(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    if let Err(error) = load_from(path, &env(&[])) {
        let mut shown = String::new();
        let theme = GraphicalTheme::unicode_nocolor();
        GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut shown, &error).unwrap();
        assert!(!error.mistakes().is_empty() && !shown.is_empty());
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn no_bytes_make_the_loader_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lineman.toml");
    let example = EXAMPLE.as_bytes();
    for end in (0..example.len()).step_by(7) {
        check(&path, &example[..end]);
    }
    // A fixed generator (Knuth's MMIX constants): the same bytes in every run.
    let mut state = 42u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let pieces: [&[u8]; 16] = [
        b"\"",
        b"'",
        b"[",
        b"]",
        b"{",
        b"}",
        b"=",
        b"\n",
        b".",
        b"\0",
        b"\xff",
        b"\x1b[2J",
        "\u{202e}".as_bytes(),
        b"\"\"\"",
        b"9999999999999999999999",
        b"secrets",
    ];
    for _ in 0..400 {
        let mut bytes = example.to_vec();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(3) {
                0 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                1 => drop(bytes.splice(at..at, pieces[random(pieces.len())].iter().copied())),
                _ => {
                    let line: Vec<u8> =
                        example.split(|byte| *byte == b'\n').nth(random(50)).unwrap_or_default().to_vec();
                    drop(bytes.splice(at..at, line));
                }
            }
        }
        check(&path, &bytes);
    }
    check(&path, b"include = [\"\\u0000\", \"[\", \"**a\", \"/dev/null\"]");
    check(&path, "[".repeat(100_000).as_bytes());
    check(&path, format!("a = {}", "[".repeat(100_000)).as_bytes());
    check(&path, format!("a{} = 1", ".a".repeat(100_000)).as_bytes());
}

#[test]
fn an_endless_schema_comes_to_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lineman.toml");
    let text =
        b"version = 1\nplugins.enable = [\"endless\"]\n[integration.x]\nprovider = \"endless\"\nsettings.a = \"b\"\n";
    check(&path, text);
}

#[test]
fn of_many_mistakes_the_first_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lineman.toml");
    let keys: String = (0..5000).map(|number| format!("key{number} = 1\n")).collect();
    std::fs::write(&path, format!("version = 1\n{keys}")).unwrap();
    let error = load_from(&path, &env(&[])).unwrap_err();
    assert_eq!(error.to_string(), "the configuration has 5000 mistakes; the first 50");
    let last = error.mistakes().last().and_then(|mistake| mistake.place());
    assert_eq!(last.map(|place| (place.line, place.column)), Some((51, 1)));
}
