//! What `lineman explain` answers: the known failures that a pasted text matches.

use lineman_model::{Finding, Status, clip};

use crate::page::{Page, Span};
use crate::words::count;
use crate::{Style, finding};

/// Matches after the best one that are still shown in full.
const IN_FULL: usize = 2;
const REMEDIES: usize = 3;

/// Most of the matched line that is shown unless everything is, bytes.
const LONGEST_SEEN: usize = 240;

/// One known failure that matches a text.
#[derive(Clone, Copy, Debug)]
pub struct ExplainedMatch<'a> {
    /// Id of the provider whose catalog knows it.
    pub provider: &'a str,
    /// What the catalog says of it.
    pub finding: &'a Finding,
    /// The part of the text that matched.
    pub matched_text: &'a str,
    /// On which line of the text, from 1.
    pub matched_line: usize,
    /// Where in a configuration it arose, where the text says so.
    pub place: Option<&'a str>,
}

/// Matches for people, best first.
pub fn explanation(matches: &[ExplainedMatch<'_>], style: &Style) -> String {
    let mut page = Page::new(style);
    if matches.is_empty() {
        page.item(0, Span::status_label(Status::Unknown), &[Span::strong("Nothing in this text is a known failure.")]);
        page.item(
            2,
            Span::strong("→ "),
            &[Span::plain("Give more of it: the status line, the headers, the whole body.")],
        );
        return page.finish();
    }
    let shown = if style.verbose { matches.len() } else { 1 + IN_FULL };
    for (n, one) in matches.iter().enumerate().take(shown) {
        page.gap();
        // Another reading of the same words, or another failure of the same text.
        let again = matches.iter().take(n).any(|other| other.matched_line == one.matched_line);
        in_full(&mut page, again, one);
    }
    if matches.len() > shown {
        page.gap();
        for one in matches.iter().skip(shown).take(IN_FULL * 2) {
            let provider = Span::plain(format!("{}:", one.provider));
            let cause = Span::dim(format!("({})", one.finding.cause));
            page.item(0, Span::dim("or "), &[provider, Span::plain(one.finding.message.as_str()), cause]);
        }
        let hidden = matches.len().saturating_sub(shown + IN_FULL * 2);
        if hidden > 0 {
            page.text(0, &[Span::dim(format!("{} with --verbose", count(hidden, "more match", "more matches")))]);
        }
    }
    page.finish()
}

fn in_full(page: &mut Page<'_>, again: bool, one: &ExplainedMatch<'_>) {
    let label = if again { Span::strong("or ") } else { Span::strong("✗ ") };
    page.item(0, label, &[Span::strong(one.finding.message.as_str())]);
    let code = Span::dim(format!("· {}", one.finding.code));
    page.text(2, &finding::place(one.finding, vec![code]));
    finding::remedies(page, one.finding, REMEDIES);
    let longest = if page.style.verbose { usize::MAX } else { LONGEST_SEEN };
    let seen = clip(one.matched_text.trim(), longest);
    finding::labelled(page, "seen", &[Span::plain(format!("line {}: {seen}", one.matched_line))]);
    if let Some(place) = one.place {
        finding::labelled(page, "at", &[Span::plain(place)]);
    }
    finding::details(page, one.finding, None);
}
