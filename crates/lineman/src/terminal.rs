//! What the terminal can show, and what is shown on it while a run takes its time.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lineman_model::Event;
use lineman_report::Style;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use crate::cli::Common;

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// See <https://no-color.org>.
    fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                !forbidden && !dumb && stream.is_terminal()
            }
        }
    }
}

/// How to print for people on standard output.
pub(crate) fn style(common: &Common) -> Style {
    style_of(common, &std::io::stdout())
}

/// How to print for people on a stream.
pub(crate) fn style_of(common: &Common, stream: &(impl IsTerminal + AsFd)) -> Style {
    Style { width: width(stream), colour: common.color.on(stream), unicode: unicode(stream), verbose: common.verbose }
}

fn width(stream: &impl AsFd) -> usize {
    let asked = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    asked.filter(|width| *width > 0).or_else(columns).unwrap_or(80)
}

/// Everything shows Unicode today but a terminal whose locale says otherwise.
fn unicode(stream: &impl IsTerminal) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    !(matches!(locale.as_deref(), Some("C" | "POSIX")) && stream.is_terminal())
}

/// A mistake in the configuration, with its place.
pub(crate) fn diagnostic(error: &dyn Diagnostic, colour: Colour) -> String {
    let theme = match (colour.on(&std::io::stderr()), unicode(&std::io::stdout())) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::ascii(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (false, false) => GraphicalTheme::none(),
    };
    let mut text = String::new();
    let shown = GraphicalReportHandler::new_themed(theme)
        .with_width(width(&std::io::stdout()).clamp(60, 120))
        .render_report(&mut text, error);
    if shown.is_err() {
        text = format!("{error}\n");
    }
    text
}

/// Writes to standard output at once.
pub(crate) fn print(text: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

/// Writes to standard error, beside an output that is not ours. Who does not listen has no need to.
pub(crate) fn tell(text: &[u8]) {
    let _ = std::io::stderr().lock().write_all(text);
}

/// Shows how far a run has come, on stderr, when that is a terminal; and takes itself away.
pub(crate) struct Progress {
    bar: ProgressBar,
    running: Mutex<Vec<String>>,
}

impl Progress {
    /// Shown only where somebody looks.
    pub(crate) fn new(shown: bool) -> Progress {
        Progress::of("checks", shown)
    }

    /// The same, of things that are no checks.
    pub(crate) fn of(what: &str, shown: bool) -> Progress {
        let target = if shown && std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) =
            ProgressStyle::with_template(&format!("{{spinner}} {{pos}}/{{len}} {what} · {{elapsed}} · {{wide_msg}}"))
        {
            bar.set_style(style);
        }
        Progress { bar, running: Mutex::default() }
    }

    /// So many are done, of so many.
    pub(crate) fn count(&self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
        match done < of {
            true => self.bar.enable_steady_tick(Duration::from_millis(120)),
            false => self.bar.finish_and_clear(),
        }
    }

    /// Takes note of what happened.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::RunStarted { checks, .. } => {
                self.bar.set_length(*checks as u64);
                self.bar.enable_steady_tick(Duration::from_millis(120));
            }
            Event::CheckStarted { integration, check } => {
                self.change(|running| running.push(format!("{integration} {check}")))
            }
            Event::CheckFinished { integration, check } => {
                let name = format!("{integration} {}", check.id);
                self.change(|running| running.retain(|other| *other != name));
                self.bar.inc(1);
            }
            Event::CheckProgress { integration, text, .. } => self.bar.set_message(format!("{integration}: {text}")),
            Event::IntegrationFinished { .. } => {}
            Event::RunFinished { .. } => self.bar.finish_and_clear(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut running);
        self.bar.set_message(running.first().cloned().unwrap_or_default());
    }
}
