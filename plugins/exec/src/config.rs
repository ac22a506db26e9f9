//! `exec/config`: whether the program is there and the settings are whole. Nothing is run.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use lineman_sdk::prelude::*;

use crate::placeholder::{Piece, foreign_macro, pieces};
use crate::{Exec, Settings, name};

pub(crate) async fn check(cx: Cx<Exec>) -> Outcome {
    if let Some(finding) = program(&cx) {
        return Err(finding.into());
    }
    files(&cx);
    placeholders(&cx);
    causes(&cx);
    unused_secrets(&cx);
    Ok(())
}

/// What keeps the program from being run.
fn program(cx: &Cx<Exec>) -> Option<Finding> {
    let path = &cx.settings().program;
    let about = |code, cause, message: String| {
        cx.finding(code, cause, message).subject("program", name(cx)).pointer("/settings/program")
    };
    let seen = |text: String| Evidence::File { path: path.clone(), seen: text };
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => None,
        Ok(file) => {
            let what = if file.is_file() { "is not executable" } else { "is not a file" };
            let mode = format!("mode {:04o}", file.permissions().mode() & 0o7777);
            let finding = about("program-not-executable", Cause::ConfigInvalid, format!("{path} {what}."));
            Some(finding.evidence(seen(mode)).command("Let it be executed.", ["chmod", "+x", path]))
        }
        Err(error) => {
            let missing = error.kind() == ErrorKind::NotFound;
            let message = if missing { "is not there".to_owned() } else { format!("cannot be looked at: {error}") };
            let finding = about("program-missing", Cause::HostToolMissing, format!("{path} {message}."))
                .evidence(seen(error.to_string()));
            let (first, _) = path.split_once(' ').unwrap_or_default();
            Some(if std::fs::metadata(first).is_ok_and(|file| file.is_file()) {
                finding.remedy("Put the arguments into `args`, one text for each: no shell takes `program` apart.")
            } else {
                let on_debian = ["apt-get", "install", "monitoring-plugins-basic"];
                finding
                    .command("Install the program where Lineman runs; those of Debian are in a package.", on_debian)
                    .remedy("Or correct `program`.")
            })
        }
    }
}

/// Names of `files` become names of files.
fn files(cx: &Cx<Exec>) {
    let is_good = |name: &str| {
        let chars = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        name.len() <= 100 && name.chars().all(chars) && !name.trim_matches('.').is_empty()
    };
    for name in cx.settings().files.keys().filter(|name| !is_good(name)) {
        let message = format!("`{name}` cannot be the name of a file.");
        cx.report(cx.finding("file-name", Cause::ConfigInvalid, message).pointer("/settings/files"));
    }
}

/// A text of the settings: the JSON pointer to it, whether others can read it, and itself.
struct Text<'s> {
    pointer: String,
    is_public: bool,
    text: &'s str,
}

fn texts(settings: &Settings) -> impl Iterator<Item = Text<'_>> {
    let of = |pointer: String, is_public, text| Text { pointer, is_public, text };
    let args = settings.args.iter().enumerate().map(move |(at, text)| of(format!("/settings/args/{at}"), true, text));
    let env = settings.env.iter().map(move |(name, text)| of(format!("/settings/env/{name}"), true, text));
    let files = settings.files.iter().map(move |(name, text)| of(format!("/settings/files/{name}"), false, text));
    let stdin = settings.stdin.iter().map(move |text| of("/settings/stdin".to_owned(), false, text));
    args.chain(env).chain(files).chain(stdin)
}

/// Placeholders that nothing fills, and what must not be where others read it.
fn placeholders(cx: &Cx<Exec>) {
    let settings = cx.settings();
    for Text { pointer, is_public, text } in texts(settings) {
        for piece in pieces(text) {
            let finding = match piece {
                Piece::Secret(name) if is_public => in_public(cx, name),
                Piece::Secret(name) if cx.secrets().0.get(name).is_none_or(Secret::is_empty) => {
                    let message = format!("The secret `{name}` is used and not given.");
                    cx.finding("secret-missing", Cause::CredentialMissing, message)
                        .remedy("Give it by reference, such as { env = \"NAME\" }.")
                }
                Piece::File(name) if !settings.files.contains_key(name) => {
                    let message = format!("There is no file `{name}` in `files`.");
                    cx.finding("file-unknown", Cause::ConfigInvalid, message)
                        .remedy(format!("Say under `files` what stands in `{name}`."))
                }
                _ => continue,
            };
            cx.report(finding.pointer(&pointer));
        }
        if let Some(found) = foreign_macro(text).filter(|_| is_public) {
            let message = format!("`{found}` is a macro of another system, and nothing fills it here.");
            cx.report(cx.finding("macro-unfilled", Cause::ConfigInvalid, message).pointer(&pointer));
        }
    }
    for at in 0..settings.args.len() {
        if let Some(option) = password_at(&settings.args, at) {
            let message = format!("The value of {option} looks like a secret, and every process can read arguments.");
            cx.report(
                with_file_remedies(cx.finding("secret-in-arguments", Cause::ConfigInvalid, message))
                    .confidence(Confidence::Likely)
                    .severity(Severity::Warn)
                    .pointer(format!("/settings/args/{at}")),
            );
        }
    }
}

fn in_public(cx: &Cx<Exec>, name: &str) -> Finding {
    let message = format!("The secret `{name}` would stand where every process can read it, so nothing is run.");
    with_file_remedies(cx.finding("secret-in-public", Cause::ConfigInvalid, message))
}

fn with_file_remedies(finding: Finding) -> Finding {
    finding
        .remedy("Put it into a file of `files`, with `{secret:NAME}`, and hand over the path with `{file:NAME}`.")
        .remedy(
            "The programs of the Monitoring Plugins read every option from a file: `--extra-opts=SECTION@{file:NAME}`.",
        )
        .remedy("Or hand it over on standard input, with `stdin`.")
}

/// The option whose value, in the argument or in the one after it, is a secret by its name.
fn password_at(args: &[String], at: usize) -> Option<&str> {
    let (option, value) = match args[at].split_once('=') {
        Some((option, value)) => (option, value),
        None => (args[at].as_str(), args.get(at + 1).filter(|next| !next.starts_with('-'))?.as_str()),
    };
    let words = ["password", "passwd", "passphrase", "authpass", "authpassword", "privpasswd", "secret", "token"];
    let tells = option.strip_prefix("--")?.split(['-', '_']).any(|part| words.contains(&part.to_lowercase().as_str()));
    let is_literal = !value.is_empty() && pieces(value).iter().all(|piece| matches!(piece, Piece::Text(_)));
    // The path of a file that holds it is the way to do it.
    (tells && is_literal && !value.starts_with('/')).then_some(option)
}

/// Causes that no reader of the report knows.
fn causes(cx: &Cx<Exec>) {
    let causes = &cx.settings().causes;
    for (status, cause) in [("warning", &causes.warning), ("critical", &causes.critical), ("unknown", &causes.unknown)]
    {
        let Some(cause) = cause.as_ref().filter(|cause| matches!(cause, Cause::Other(_)) || cause.is_ours()) else {
            continue;
        };
        let message = format!("`{cause}` is no cause that a check can name.");
        cx.report(
            cx.finding("cause-unknown", Cause::ConfigInvalid, message).pointer(format!("/settings/causes/{status}")),
        );
    }
}

/// Secrets that go nowhere: somebody would rotate them and wonder.
fn unused_secrets(cx: &Cx<Exec>) {
    let parts = texts(cx.settings()).flat_map(|text| pieces(text.text));
    let used: BTreeSet<&str> =
        parts.filter_map(|piece| if let Piece::Secret(name) = piece { Some(name) } else { None }).collect();
    for name in cx.secrets().0.keys().filter(|name| !used.contains(name.as_str())) {
        let message = format!("The secret `{name}` is given and not used.");
        cx.report(
            cx.finding("secret-unused", Cause::ConfigInvalid, message)
                .severity(Severity::Warn)
                .pointer(format!("/secrets/{name}"))
                .remedy(format!("Put `{{secret:{name}}}` into a file of `files` or into `stdin`, or take it out.")),
        );
    }
}
