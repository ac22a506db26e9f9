//! The page that everything for people is written on, and the one place where text is made safe,
//! measured, folded and coloured.

use std::borrow::Cow;

use lineman_model::Status;
use textwrap::WordSeparator;
use textwrap::core::{Fragment, Word, break_words, display_width};
use textwrap::wrap_algorithms::wrap_first_fit;

use crate::Style;
use crate::style::{Role, mark};

/// Words to copy that are longer than this are broken all the same: nobody copies those.
const LONGEST_VERBATIM: usize = 300;

/// Stands in place of a space where no line may end; a plain space when it is written.
pub(crate) const TIE: char = '\u{a0}';

/// A piece of text and what it is. Spans of one paragraph stand a space apart.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    role: Role,
    text: String,
}

impl Span {
    pub(crate) fn plain(text: impl Into<String>) -> Span {
        Span { role: Role::Plain, text: text.into() }
    }

    pub(crate) fn strong(text: impl Into<String>) -> Span {
        Span { role: Role::Strong, text: text.into() }
    }

    pub(crate) fn dim(text: impl Into<String>) -> Span {
        Span { role: Role::Dim, text: text.into() }
    }

    /// An address or a name to copy: never broken over lines.
    pub(crate) fn verbatim(text: impl Into<String>) -> Span {
        Span { role: Role::Verbatim, text: text.into() }
    }

    pub(crate) fn status(status: Status) -> Span {
        Span { role: Role::Status(status), text: mark(status).to_owned() }
    }

    /// A status as the label of what follows.
    pub(crate) fn status_label(status: Status) -> Span {
        Span { role: Role::Status(status), text: format!("{}  ", mark(status)) }
    }
}

/// One word of a line.
#[derive(Debug)]
struct Piece<'a> {
    word: Word<'a>,
    role: Role,
    spaced: bool,
}

impl Fragment for Piece<'_> {
    fn width(&self) -> f64 {
        self.word.width as f64
    }

    fn whitespace_width(&self) -> f64 {
        f64::from(u8::from(self.spaced))
    }

    fn penalty_width(&self) -> f64 {
        0.0
    }
}

pub(crate) struct Page<'a> {
    pub(crate) style: &'a Style,
    out: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(style: &'a Style) -> Page<'a> {
        Page { style, out: String::new() }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// One empty line, unless the page is empty or has one already.
    pub(crate) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// A paragraph.
    pub(crate) fn text(&mut self, indent: usize, spans: &[Span]) {
        self.item(indent, Span::plain(""), spans);
    }

    /// A paragraph that hangs beside its label.
    pub(crate) fn item(&mut self, indent: usize, label: Span, spans: &[Span]) {
        let label = Span { text: self.style.safe(&label.text), ..label };
        let hang = indent + display_width(&label.text);
        for (n, line) in self.fold(spans, self.style.columns().saturating_sub(hang)).iter().enumerate() {
            let lead = match n {
                0 => format!("{:indent$}{}", "", self.style.paint(label.role, &label.text)),
                _ => " ".repeat(hang),
            };
            self.line(&format!("{lead}{}", line.painted));
        }
    }

    /// A command to paste into a shell: quoted, folded only between its arguments and with the
    /// shell's own sign for it.
    pub(crate) fn command<S: AsRef<str>>(&mut self, indent: usize, label: Span, argv: &[S]) {
        let label = Span { text: self.style.safe(&label.text), ..label };
        let hang = indent + display_width(&label.text);
        let room = self.style.columns().saturating_sub(hang + "  ".len() + " \\".len());
        let quoted: Vec<String> = argv
            .iter()
            .filter_map(|argument| {
                shlex::try_quote(&self.style.safe(argument.as_ref()).replace(TIE, " ")).ok().map(Cow::into_owned)
            })
            .collect();
        let lines = command_lines(&quoted, room);
        let last = lines.len().saturating_sub(1);
        for (n, line) in lines.iter().enumerate() {
            let lead = match n {
                0 => format!("{:indent$}{}", "", self.style.paint(label.role, &label.text)),
                _ => " ".repeat(hang + 2),
            };
            let more = if n < last { " \\" } else { "" };
            self.line(&format!("{lead}{}", self.style.paint(Role::Verbatim, &format!("{line}{more}"))));
        }
    }

    /// Rows in columns two spaces apart; what is too wide is folded within its column.
    pub(crate) fn table(&mut self, indent: usize, rows: &[Vec<Span>]) {
        const GUTTER: usize = 2;
        const NARROWEST: usize = 8;
        const LONGEST_WORD: usize = 30;
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let (mut widths, mut words) = (vec![0; columns], vec![NARROWEST; columns]);
        for row in rows {
            for ((width, word), span) in widths.iter_mut().zip(&mut words).zip(row) {
                let text = self.style.safe(&span.text);
                *width = display_width(text.trim()).max(*width);
                *word = text.split(' ').map(|word| display_width(word).min(LONGEST_WORD)).fold(*word, usize::max);
            }
        }
        let room = self.style.columns().saturating_sub(indent + GUTTER * columns.saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            // Words are broken only when folding between them is not enough.
            let folds = widths.iter_mut().zip(&words).filter(|(width, word)| **width > **word).map(|(width, _)| width);
            match folds.max() {
                Some(width) => *width -= 1,
                None => match words.iter_mut().max() {
                    Some(word) if *word > NARROWEST => *word -= 1,
                    _ => break,
                },
            }
        }
        for row in rows {
            let cells: Vec<Vec<Folded>> =
                row.iter().zip(&widths).map(|(span, width)| self.fold(std::slice::from_ref(span), *width)).collect();
            for n in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut line = " ".repeat(indent);
                let mut owed = 0;
                for (cell, width) in cells.iter().zip(&widths) {
                    if let Some(part) = cell.get(n).filter(|part| part.width > 0) {
                        line.push_str(&" ".repeat(owed));
                        line.push_str(&part.painted);
                        owed = width.saturating_sub(part.width) + GUTTER;
                    } else {
                        owed += width + GUTTER;
                    }
                }
                self.line(&line);
            }
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end_matches(' '));
        self.out.push('\n');
    }

    /// Folds a paragraph to a width; at least one line.
    fn fold(&self, spans: &[Span], width: usize) -> Vec<Folded> {
        // A separator goes to the next line with what it separates.
        let safe = |span: &Span| self.style.safe(&span.text.replace("· ", &format!("·{TIE}")));
        let texts: Vec<(Role, String)> = spans.iter().map(|span| (span.role, safe(span))).collect();
        let mut pieces = Vec::new();
        for (role, text) in &texts {
            for word in WordSeparator::AsciiSpace.find_words(text.trim()) {
                if word.word.is_empty() {
                    continue;
                }
                let parts = if *role == Role::Verbatim && word.width <= LONGEST_VERBATIM {
                    vec![word]
                } else {
                    break_words([word], width.max(1))
                };
                pieces.extend(parts.into_iter().map(|word| Piece { word, role: *role, spaced: false }));
                if let Some(last) = pieces.last_mut() {
                    last.spaced = true;
                }
            }
        }
        wrap_first_fit(&pieces, &[width as f64]).into_iter().map(|line| self.painted(line)).collect()
    }

    /// One line, with one change of colour per run of words of the same role.
    fn painted(&self, line: &[Piece<'_>]) -> Folded {
        let mut folded = Folded::default();
        for run in line.chunk_by(|a, b| a.role == b.role) {
            let mut text = String::new();
            for piece in run {
                text.push_str(&piece.word.word.replace(TIE, " "));
                text.push_str(if piece.spaced { " " } else { "" });
            }
            let shown = text.trim_end();
            folded.width += display_width(&text);
            folded.painted.push_str(&self.style.paint(run[0].role, shown));
            folded.painted.push_str(&text[shown.len()..]);
        }
        let end = folded.painted.trim_end().len();
        folded.width -= folded.painted.len() - end;
        folded.painted.truncate(end);
        folded
    }
}

/// Arguments in lines no wider than there is room, where they allow it. An option and its value
/// stay together.
fn command_lines(quoted: &[String], room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let fits = |line: &str, more: &str| display_width(line) + 1 + display_width(more) <= room;
    for group in quoted.chunk_by(|_, next| !next.starts_with('-')) {
        let whole = group.join(" ");
        match lines.last_mut() {
            Some(line) if fits(line, &whole) => line.extend([" ", &whole]),
            _ if display_width(&whole) <= room => lines.push(whole),
            _ => {
                for (n, argument) in group.iter().enumerate() {
                    match lines.last_mut().filter(|line| n > 0 && fits(line, argument)) {
                        Some(line) => line.extend([" ", argument]),
                        None => lines.push(argument.clone()),
                    }
                }
            }
        }
    }
    lines
}

/// One line of a folded paragraph.
#[derive(Default)]
struct Folded {
    painted: String,
    width: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_back_whole() {
        let check = |argv: &[&str], expect: &str| {
            let style = Style { width: 40, ..Style::default() };
            let mut page = Page::new(&style);
            page.command(2, Span::plain(""), argv);
            let shown = page.finish();
            assert_eq!(shown, expect);
            // What a shell does before anything else: the sign and the line end are removed.
            assert_eq!(shlex::split(&shown.replace("\\\n", "")).unwrap(), argv);
        };
        check(&["chmod", "600", "a b", "$HOME", "it's"], "  chmod 600 'a b' '$HOME' \"it's\"\n");
        check(&["tool", "make", "--name", "one two", "--force"], "  tool make --name 'one two' --force\n");
        check(
            &["tool", "--first", "aaaaaaaaaaaaaaa", "--second", "bbbbbbbbbbbbbbb"],
            "  tool --first aaaaaaaaaaaaaaa \\\n    --second bbbbbbbbbbbbbbb\n",
        );
        check(
            &["tool", "https://example.com/longer-than-a-line-of-forty-columns", "end"],
            "  tool \\\n    https://example.com/longer-than-a-line-of-forty-columns \\\n    end\n",
        );
    }

    #[test]
    fn width_is_counted_in_columns_and_words_break_only_where_they_must() {
        let check = |text: &str, expect: &[&str]| {
            let style = Style { width: 40, ..Style::default() };
            let mut page = Page::new(&style);
            page.item(20, Span::plain("→ "), &[Span::plain(text)]);
            let shown = page.finish();
            assert_eq!(shown.lines().map(|line| line.trim_start()).collect::<Vec<_>>(), expect);
        };
        check("the quick brown fox jumps", &["→ the quick brown", "fox jumps"]);
        check(&"漢".repeat(12), &[&format!("→ {}", "漢".repeat(9)), "漢漢漢"]);
        check(&"x".repeat(20), &[&format!("→ {}", "x".repeat(18)), "xx"]);
        check("one two three · four five", &["→ one two three", "· four five"]);
    }
}
