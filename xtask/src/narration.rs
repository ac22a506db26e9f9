//! What a chore says while it works: its story on standard output, its progress on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a step that takes long says so where no line can be drawn again.
const PATIENCE: Duration = Duration::from_secs(10);

/// One line, or several, of the story.
pub(crate) fn say(text: impl AsRef<str>) {
    // Whoever does not listen any more is told nothing; the work goes on and its exit code counts.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
}

/// A step of the work that may take a while: a line that moves on a terminal, lines now and then
/// elsewhere, gone when it is dropped.
pub(crate) struct Step {
    bar: ProgressBar,
    doing: String,
    started: Instant,
    said: Instant,
}

impl Step {
    pub(crate) fn new(doing: impl Into<String>) -> Step {
        let doing = doing.into();
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} · {elapsed} {wide_msg:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(doing.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            let _ = writeln!(std::io::stderr().lock(), "  {doing} …");
            ProgressBar::hidden()
        };
        Step { bar, doing, started: Instant::now(), said: Instant::now() }
    }

    /// What it is at now.
    pub(crate) fn at(&mut self, detail: &str) {
        self.bar.set_message(format!("· {detail}"));
        if self.bar.is_hidden() && self.said.elapsed() >= PATIENCE {
            self.said = Instant::now();
            let _ = writeln!(std::io::stderr().lock(), "  {} · {} s · {detail}", self.doing, self.seconds());
        }
    }

    /// How long it has taken.
    pub(crate) fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
