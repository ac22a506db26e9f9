use anstyle::{AnsiColor, Style as Ansi};
use lineman_model::{Status, clean};

use crate::page::TIE;

/// Longest text that is shown of one foreign string, bytes.
const LONGEST: usize = 4_000;

/// How output for people looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal; kept between 40 and 120, where lines can still be read.
    pub width: usize,
    /// Whether colours are written. Nothing is said by colour alone.
    pub colour: bool,
    /// Whether the terminal shows more than ASCII.
    pub unicode: bool,
    /// Whether everything is shown: each check, all evidence, whatever is counted otherwise.
    pub verbose: bool,
}

impl Default for Style {
    /// Eighty columns, no colour, Unicode, not verbose.
    fn default() -> Style {
        Style { width: 80, colour: false, unicode: true, verbose: false }
    }
}

/// What a piece of text is, from which its colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Strong,
    Dim,
    /// Never broken over lines, so that it can be copied.
    Verbatim,
    Status(Status),
}

impl Style {
    pub(crate) fn columns(&self) -> usize {
        self.width.clamp(40, 120)
    }

    /// Foreign text made safe for this terminal, on one line, spaces kept.
    pub(crate) fn safe(&self, text: &str) -> String {
        let cleaned = clean(text, LONGEST).replace(['\n', '\t'], " ");
        if self.unicode || cleaned.is_ascii() {
            return cleaned;
        }
        let mut ascii = String::with_capacity(cleaned.len());
        cleaned.chars().for_each(|c| push_ascii(&mut ascii, c));
        ascii
    }

    pub(crate) fn paint(&self, role: Role, text: &str) -> String {
        let ansi = role.ansi();
        if !self.colour || ansi.is_plain() || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("{ansi}{text}{ansi:#}")
    }
}

impl Role {
    fn ansi(self) -> Ansi {
        match self {
            Role::Plain => Ansi::new(),
            Role::Strong => Ansi::new().bold(),
            Role::Dim => Ansi::new().dimmed(),
            Role::Verbatim => AnsiColor::Cyan.on_default(),
            Role::Status(Status::Fail) => AnsiColor::Red.on_default().bold(),
            Role::Status(Status::Error) => AnsiColor::Magenta.on_default().bold(),
            Role::Status(Status::Unknown) => AnsiColor::Cyan.on_default().bold(),
            Role::Status(Status::Warn) => AnsiColor::Yellow.on_default().bold(),
            Role::Status(Status::Pass) => AnsiColor::Green.on_default(),
            Role::Status(Status::Skip) => Ansi::new().dimmed(),
        }
    }
}

/// Symbol and word of a status; the word alone is enough to read it.
pub(crate) fn mark(status: Status) -> &'static str {
    match status {
        Status::Pass => "✓ pass",
        Status::Warn => "! warn",
        Status::Fail => "✗ FAIL",
        Status::Unknown => "? unknown",
        Status::Skip => "- skip",
        Status::Error => "‼ error",
    }
}

fn push_ascii(out: &mut String, c: char) {
    match c {
        c if c.is_ascii() || c == TIE => out.push(c),
        '✓' => out.push('+'),
        '✗' => out.push('x'),
        '‼' => out.push('*'),
        '→' => out.push_str("->"),
        '·' | '•' => out.push('|'),
        '…' => out.push_str("..."),
        '–' | '—' | '‑' => out.push('-'),
        '‘' | '’' => out.push('\''),
        '“' | '”' => out.push('"'),
        _ => out.push('?'),
    }
}
