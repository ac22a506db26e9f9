//! `git/ssh-key`: whether OpenSSH can use the private key, and what is wrong where it cannot.

use lineman_sdk::prelude::*;

use super::remote_over_ssh;
use crate::Git;
use crate::key::{Flaw, Key, Refusal, Remark};
use crate::ssh::{KeyFile, StoredKey};

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    remote_over_ssh(&cx)?;
    let stored = StoredKey::of(&cx).await?;
    if let Some(file) = &stored.file {
        permissions(&cx, file)?;
    }
    match &stored.verdict {
        Ok(key) => {
            for remark in &key.remarks {
                cx.report(remarked(&cx, key, remark).severity(Severity::Warn).pointer(stored.pointer));
            }
            Ok(())
        }
        Err(refusal) => Err(refused(&cx, refusal, stored.pointer).into()),
    }
}

/// `ssh` looks at the mode of its own user's files, and at no others.
fn permissions(cx: &Cx<Git>, file: &KeyFile) -> Outcome {
    if !file.own || file.mode & 0o077 == 0 {
        return Ok(());
    }
    let mode = format!("{:04o}", file.mode);
    Err(cx
        .finding(
            "key-too-open",
            Cause::SshKeyFilePermissions,
            format!("Others may read the key file (mode {mode}), so `ssh` refuses it."),
        )
        .pointer("/settings/ssh_key_file")
        .evidence(Evidence::File { path: file.path.clone(), seen: format!("mode {mode}") })
        .command("Make it readable by its owner alone.", ["chmod", "600", &file.path])
        .remedy("In a mounted secret, set the mode of the volume: it overrides that of the file.")
        .into())
}

fn remarked(cx: &Cx<Git>, key: &Key, remark: &Remark) -> Finding {
    match remark {
        Remark::Short(bits) => cx
            .finding(
                "key-short",
                Cause::SshAlgorithm,
                format!("The RSA key has {bits} bits; large hosts want 2048 or more."),
            )
            .remedy(NEW_KEY),
        Remark::SecondKey => cx.finding(
            "key-second",
            Cause::SshKeyFormat,
            "The text holds more than one private key; only the first is used.",
        ),
        Remark::NeedlessPassphrase => {
            cx.finding("passphrase-needless", Cause::ConfigInvalid, "A passphrase is given for a key that has none.")
        }
        Remark::Forgiven(flaw) => {
            let words = words(flaw);
            cx.finding(
                "key-untidy",
                Cause::SshKeyFormat,
                format!("OpenSSH forgives it, other programs may not: {}", words.message),
            )
            .remedy(words.remedy)
        }
    }
    .evidence(Evidence::config("/secrets/ssh_key", key.summary()))
}

fn refused(cx: &Cx<Git>, refusal: &Refusal, pointer: &str) -> Finding {
    let words = words(&refusal.flaw);
    let mut finding = cx.finding(words.code, words.cause, words.message).pointer(pointer).remedy(words.remedy);
    if !refusal.also.is_empty() {
        let also: Vec<String> = refusal.also.iter().map(|flaw| self::words(flaw).message).collect();
        finding = finding.evidence(Evidence::config(pointer, also.join(" ")));
    }
    match refusal.mended.as_deref() {
        Some(Ok(key)) => {
            finding = finding.detail(format!("Once that is mended it is a good key: {}.", key.summary()));
        }
        Some(Err(behind)) => {
            let words = self::words(&behind.flaw);
            finding = finding.detail(format!("And once that is mended: {}", words.message)).remedy(words.remedy);
        }
        None => {}
    }
    finding
}

const NEW_KEY: &str = "Make a new key with `ssh-keygen -t ed25519` and register its public half with the host.";
const PASTE_AGAIN: &str =
    "Store the private key file again, whole and unchanged: from -----BEGIN to -----END, with a line end after it.";
const STORE_RAW: &str = "Store the key itself, not a wrapping of it.";
const CONVERT: &str = "Convert it with `ssh-keygen -p -f FILE`, which writes OpenSSH's own format.";

/// What is said of a flaw: one place for code, cause, message and remedy.
struct Words {
    code: &'static str,
    cause: Cause,
    message: String,
    remedy: &'static str,
}

fn words(flaw: &Flaw) -> Words {
    use Cause::{CredentialMalformed, CredentialMissing, SshAlgorithm, SshKeyEncrypted, SshKeyFormat};
    let words = |code, cause, message: &str, remedy| Words { code, cause, message: message.to_owned(), remedy };
    let private = "Store the private key: the file without `.pub`.";
    match flaw {
        Flaw::Empty => words("key-empty", CredentialMissing, "The private key is empty.", PASTE_AGAIN),
        Flaw::Placeholder => words(
            "key-placeholder",
            CredentialMalformed,
            "A placeholder stands in place of the private key.",
            PASTE_AGAIN,
        ),
        Flaw::Token(kind) => words(
            "key-is-token",
            CredentialMalformed,
            &format!("In place of the private key there is {kind}."),
            "Store it as `token` with an https address, or give a private key.",
        ),
        Flaw::PublicKey => words("key-is-public", SshKeyFormat, "This is a public key, not the private one.", private),
        Flaw::KnownHosts => {
            words("key-is-known-host", SshKeyFormat, "This is a line of known_hosts, not a private key.", private)
        }
        Flaw::Certificate => {
            words("key-is-certificate", SshKeyFormat, "This is an SSH certificate, not a private key.", private)
        }
        Flaw::X509 => words(
            "key-is-x509",
            SshKeyFormat,
            "This is an X.509 certificate, not a private key.",
            "Store the private key; SSH has no use for the certificate.",
        ),
        Flaw::OtherPem(label) => words(
            "key-is-other",
            SshKeyFormat,
            &format!("This is a block of the kind {label}, not an SSH private key."),
            private,
        ),
        Flaw::Putty => words(
            "key-is-putty",
            SshKeyFormat,
            "This is a PuTTY key, which OpenSSH does not read.",
            "Convert it: `puttygen key.ppk -O private-openssh -o key`, or PuTTYgen's Conversions, Export OpenSSH key.",
        ),
        Flaw::FilePath => words(
            "key-is-path",
            CredentialMalformed,
            "This is the path of a file, not a private key.",
            "Give it as `ssh_key = { file = \"…\" }`, or as the setting `ssh_key_file`.",
        ),
        Flaw::Unrecognised => words("key-unrecognised", SshKeyFormat, "This is not a private key.", PASTE_AGAIN),
        Flaw::Utf16 => words(
            "key-utf16",
            SshKeyFormat,
            "The key is stored as UTF-16, as Windows PowerShell writes files.",
            "Save it as UTF-8 without a mark, or plain ASCII.",
        ),
        Flaw::ByteOrderMark => words(
            "key-bom",
            SshKeyFormat,
            "An invisible byte order mark stands before the key.",
            "Save it as UTF-8 without a byte order mark.",
        ),
        Flaw::Json => words(
            "key-json",
            SshKeyFormat,
            "The key is wrapped in JSON.",
            "Point the reference at the field, with `json_pointer`.",
        ),
        Flaw::Quoted => words("key-quoted", SshKeyFormat, "Quotation marks stand around the key.", STORE_RAW),
        Flaw::Base64 => words("key-base64", SshKeyFormat, "The whole key is wrapped in base64.", STORE_RAW),
        Flaw::EscapedLineEnds => words(
            "key-escaped",
            SshKeyFormat,
            "The line ends are written as the two characters \\n.",
            "Store real line ends: a value of several lines, or a file.",
        ),
        Flaw::OneLine => words(
            "key-one-line",
            SshKeyFormat,
            "The key has lost its line ends.",
            "Store it with its line ends: a field of several lines, or a file; quote the variable in shell scripts.",
        ),
        Flaw::CarriageReturns => words(
            "key-crlf",
            SshKeyFormat,
            "The lines end with carriage returns, as on Windows.",
            "Store it with Unix line ends: `tr -d '\\r' < key > fixed`.",
        ),
        Flaw::LeadingText => words("key-leading-text", SshKeyFormat, "Other text stands before the key.", PASTE_AGAIN),
        Flaw::Indented => {
            words("key-indented", SshKeyFormat, "White space stands around the lines of the key.", PASTE_AGAIN)
        }
        Flaw::BlankLines => {
            words("key-blank-lines", SshKeyFormat, "Blank lines stand between the lines of the key.", PASTE_AGAIN)
        }
        Flaw::NoFinalLineEnd => words(
            "key-no-final-line-end",
            SshKeyFormat,
            "The last line of the key has no line end, without which OpenSSH does not see it.",
            "Store it with a line end after the last line.",
        ),
        Flaw::TooLarge => words("key-too-large", SshKeyFormat, "The text is larger than any key.", PASTE_AGAIN),
        Flaw::NoHeader => words(
            "key-no-header",
            SshKeyFormat,
            "The key has lost its first line, -----BEGIN … PRIVATE KEY-----.",
            PASTE_AGAIN,
        ),
        Flaw::Truncated => words("key-truncated", SshKeyFormat, "The end of the key is missing.", PASTE_AGAIN),
        Flaw::Corrupt => words("key-corrupt", SshKeyFormat, "The content of the key is damaged.", PASTE_AGAIN),
        Flaw::PassphraseMissing => words(
            "key-passphrase-missing",
            SshKeyEncrypted,
            "The key is encrypted, and no passphrase is given.",
            "Give the secret `ssh_key_passphrase` if the platform can use one; else store the key without: `ssh-keygen -p -f FILE`.",
        ),
        Flaw::PassphraseWrong => words(
            "key-passphrase-wrong",
            SshKeyEncrypted,
            "The key is encrypted, and the passphrase given does not open it.",
            "Correct `ssh_key_passphrase`.",
        ),
        Flaw::Undecryptable(scheme) => words(
            "key-undecryptable",
            SshKeyEncrypted,
            &format!("The key is encrypted with {scheme}, so the passphrase cannot be verified."),
            CONVERT,
        ),
        Flaw::Ed25519InPkcs8 => words(
            "key-ed25519-pkcs8",
            SshKeyFormat,
            "An Ed25519 key in PKCS#8, as openssl writes it: OpenSSH before 9.6 does not read it.",
            NEW_KEY,
        ),
        Flaw::Dsa => words(
            "key-dsa",
            SshAlgorithm,
            "This is a DSA key, which OpenSSH and the large hosts have given up.",
            NEW_KEY,
        ),
        Flaw::TooShort(bits) => words(
            "key-too-short",
            SshAlgorithm,
            &format!("The RSA key has {bits} bits; OpenSSH wants 1024 at least, hosts 2048."),
            NEW_KEY,
        ),
        Flaw::SecurityKey => words(
            "key-security-key",
            SshAlgorithm,
            "This key works only with the hardware it was made on (a FIDO security key).",
            NEW_KEY,
        ),
        Flaw::Unsupported(what) => {
            words("key-unsupported", SshAlgorithm, &format!("OpenSSH does not use keys of the kind {what}."), NEW_KEY)
        }
    }
}
