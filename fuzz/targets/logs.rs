//! What platforms log, in pieces as it comes, against the shared catalogs and that of a provider.
//! However a log is cut into pieces, the same is found in it; what is shown is fit to be shown.

#![no_main]

use std::sync::LazyLock;

use lineman_catalog::Catalog;
use lineman_logs::{Scanner, Summary, Ties};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let text = include_str!("../../plugins/git/catalog.toml");
    Catalog::parse("git", text).expect("the catalogs of this repository are whole")
});

static TIES: LazyLock<Ties> = LazyLock::new(Ties::default);

fn scan<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Summary {
    thread_local! {
        static SCANNER: std::cell::RefCell<Scanner<'static>> = std::cell::RefCell::new({
            let all: Vec<&Catalog> = std::iter::once(&*CATALOG).chain(Catalog::shared()).collect();
            Scanner::new(&all, &TIES, "2026-02-01T00:00:00Z".parse().expect("a moment"))
        });
    }
    SCANNER.with_borrow_mut(|scanner| {
        pieces.for_each(|piece| scanner.feed(piece));
        scanner.take()
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = scan(std::iter::once(data));
    let size = data.first().map_or(1, |&byte| usize::from(byte) + 1);
    let parts = scan(data.chunks(size));
    assert_eq!(whole.explanation(), parts.explanation());
    let lines = data.iter().filter(|&&byte| byte == b'\n').count() + 1;
    for group in whole.groups() {
        let unfit = |shown: &str| shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        assert!(!unfit(&group.explained.message) && !unfit(&group.explained.matched.text), "{group:?}");
        assert!((1..=lines).contains(&group.first.line) && group.first.line <= group.last.line, "{group:?}");
    }
    serde_json::to_string(&whole.explanation()).expect("an explanation can be written");
});
