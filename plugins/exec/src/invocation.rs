//! The program as it is run: its files written, its placeholders filled.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use lineman_sdk::ProgramOutput;
use lineman_sdk::prelude::*;
use tempfile::TempDir;

use crate::placeholder::{Piece, pieces};
use crate::{Exec, name};

/// Where programs find others. Workers have no `PATH` of their own.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the program to its end, or to that of its time.
pub(crate) async fn run(cx: &Cx<Exec>) -> Result<ProgramOutput, Stop> {
    let settings = cx.settings();
    let unwritable = |error: std::io::Error| {
        let message = format!("The private directory cannot be written: {error}.");
        cx.finding("directory-unwritable", Cause::Undetermined, message)
    };
    let directory = tempfile::Builder::new().prefix("files-").tempdir_in(cx.directory()).map_err(unwritable)?;
    for (name, content) in &settings.files {
        let content = filled(cx, &directory, content);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.path().join(name));
        file.and_then(|mut file| file.write_all(content.expose().as_bytes())).map_err(unwritable)?;
    }
    let public = |text: &str| filled_in_public(&directory, text);
    // The catalog knows the words that programs use where nobody set a language.
    let mut program =
        cx.program_at(&settings.program).env("PATH", PATH).env("HOME", directory.path()).env("LC_ALL", "C");
    for (name, value) in &settings.env {
        program = program.env(name, public(value));
    }
    program = program.args(settings.args.iter().map(|arg| public(arg)));
    if let Some(text) = &settings.stdin {
        program = program.stdin(filled(cx, &directory, text).expose());
    }
    let time = time(cx);
    let ended = tokio::time::timeout(time, program.output()).await;
    ended.unwrap_or_else(|_| Err(timed_out(cx, time).into()))
}

/// How long it may take: a little less than the check, so that its own finding tells.
fn time(cx: &Cx<Exec>) -> Duration {
    let left = cx.time_left().mul_f64(0.95);
    cx.connection().timeout_ms.map_or(left, |limit| Duration::from_millis(limit).min(left))
}

fn timed_out(cx: &Cx<Exec>, time: Duration) -> Finding {
    let message = format!("`{}` did not end within {time:.1?}, and was ended.", name(cx));
    cx.finding("timed-out", Cause::NetworkTimeout, message)
        .confidence(Confidence::Likely)
        .severity(Severity::Unknown)
        .subject("program", name(cx))
}

/// A text with secrets in it.
fn filled(cx: &Cx<Exec>, directory: &TempDir, text: &str) -> Secret {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Secret(name) => filled.push_str(cx.secrets().0.get(name).map_or("", Secret::expose)),
            Piece::File(name) => filled.push_str(&path(directory.path(), name)),
        }
    }
    Secret::new(filled)
}

/// A text that others can read: the check of the settings refuses secrets here.
fn filled_in_public(directory: &TempDir, text: &str) -> String {
    let shown = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::File(name) => path(directory.path(), name),
        Piece::Secret(name) => format!("{{secret:{name}}}"),
    };
    pieces(text).into_iter().map(shown).collect()
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}
