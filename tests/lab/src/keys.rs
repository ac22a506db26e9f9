//! SSH keys in every shape that people paste into a settings page.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

/// Which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ed25519.
    Ed25519,
    /// RSA with 2,048 bits.
    Rsa,
    /// ECDSA on NIST's curve P-256.
    Ecdsa,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenSSH's own.
    OpenSsh,
    /// The traditional PEM: PKCS#1 for RSA, SEC1 for ECDSA.
    Pem,
    /// PKCS#8.
    Pkcs8,
}

/// A private key with its public half.
#[derive(Clone)]
pub struct KeyPair {
    /// The private key's text.
    pub private: String,
    /// The line of the public key file.
    pub public: String,
}

/// An unencrypted key in OpenSSH's format.
pub fn generate(kind: Kind) -> Result<KeyPair> {
    generate_as(kind, Format::OpenSsh, None)
}

/// A key in this format, encrypted where a passphrase is given.
///
/// Ed25519 has no traditional PEM, and its PKCS#8 is made unencrypted alone (as openssl writes it;
/// OpenSSH reads it since 9.6). Without `ssh-keygen` on `PATH` other kinds can be made in
/// OpenSSH's format alone, unencrypted.
pub fn generate_as(kind: Kind, format: Format, passphrase: Option<&str>) -> Result<KeyPair> {
    if (kind, format, passphrase) == (Kind::Ed25519, Format::Pkcs8, None) {
        return ed25519_pkcs8();
    }
    ensure!(kind != Kind::Ed25519 || format == Format::OpenSsh, "OpenSSH writes Ed25519 keys in its own format");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key");
    let mut command = keygen();
    command.args(match kind {
        Kind::Ed25519 => ["-t", "ed25519", "-b", "256"],
        Kind::Rsa => ["-t", "rsa", "-b", "2048"],
        Kind::Ecdsa => ["-t", "ecdsa", "-b", "256"],
    });
    match format {
        Format::OpenSsh => &mut command,
        Format::Pem => command.args(["-m", "PEM"]),
        Format::Pkcs8 => command.args(["-m", "PKCS8"]),
    };
    command.args(["-N", passphrase.unwrap_or_default()]).arg("-f").arg(&path);
    if run(&mut command)? {
        let private = std::fs::read_to_string(&path)?;
        return Ok(KeyPair { private, public: std::fs::read_to_string(path.with_extension("pub"))? });
    }
    ensure!(format == Format::OpenSsh && passphrase.is_none(), "this shape of key needs ssh-keygen on PATH");
    generate_here(kind)
}

/// Runs ssh-keygen; false where there is none.
fn run(command: &mut Command) -> Result<bool> {
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        output => output.context("ssh-keygen cannot be started")?,
    };
    ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(true)
}

fn keygen() -> Command {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "lab@example.com"]);
    command
}

fn generate_here(kind: Kind) -> Result<KeyPair> {
    let algorithm = match kind {
        Kind::Ed25519 => Algorithm::Ed25519,
        Kind::Rsa => Algorithm::Rsa { hash: None },
        Kind::Ecdsa => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    };
    let mut key = PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm)?;
    key.set_comment("lab@example.com");
    let private = key.to_openssh(LineEnding::LF)?.to_string();
    Ok(KeyPair { private, public: format!("{}\n", key.public_key().to_openssh()?) })
}

fn ed25519_pkcs8() -> Result<KeyPair> {
    /// Everything of RFC 8410's structure that comes before the seed.
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?;
    let pair = key.key_data().ed25519().context("an Ed25519 key")?;
    let der = BASE64.encode([&HEAD[..], &pair.private.to_bytes()[..]].concat());
    let private = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    Ok(KeyPair { private, public: format!("{}\n", key.public_key().to_openssh()?) })
}

/// What becomes of a key on its way into a settings page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Lines end as on Windows.
    CrLf,
    /// Line ends became spaces.
    OneLine,
    /// Line ends became the two characters `\n`.
    LiteralNewlines,
    /// The last third is missing.
    Truncated,
    /// Without the line end after the last line (OpenSSH refuses its own format so).
    NoFinalNewline,
    /// A byte order mark before the first line.
    ByteOrderMark,
    /// Every line is indented, as in YAML.
    Indented,
    /// Within quotation marks.
    Quoted,
    /// Encoded as base64 once more.
    Base64,
    /// The public key instead.
    PublicKey,
    /// The certificate of the key instead.
    Certificate,
    /// A key in PuTTY's own format.
    Putty,
    /// The fingerprint of the key instead.
    Fingerprint,
    /// A token instead.
    Token,
    /// What a settings page shows in place of a stored secret.
    Placeholder,
    /// Nothing at all.
    Empty,
}

impl Damage {
    /// All of them.
    pub const ALL: [Damage; 16] = [
        Damage::CrLf,
        Damage::OneLine,
        Damage::LiteralNewlines,
        Damage::Truncated,
        Damage::NoFinalNewline,
        Damage::ByteOrderMark,
        Damage::Indented,
        Damage::Quoted,
        Damage::Base64,
        Damage::PublicKey,
        Damage::Certificate,
        Damage::Putty,
        Damage::Fingerprint,
        Damage::Token,
        Damage::Placeholder,
        Damage::Empty,
    ];

    /// What is stored in place of the private key.
    pub fn apply(self, key: &KeyPair) -> Result<String> {
        let private = key.private.as_str();
        Ok(match self {
            Damage::CrLf => private.replace('\n', "\r\n"),
            Damage::OneLine => private.trim_end().replace('\n', " "),
            Damage::LiteralNewlines => private.replace('\n', "\\n"),
            Damage::Truncated => private[..private.len() * 2 / 3].to_owned(),
            Damage::NoFinalNewline => private.trim_end().to_owned(),
            Damage::ByteOrderMark => format!("\u{feff}{private}"),
            Damage::Indented => private.lines().map(|line| format!("    {line}\n")).collect(),
            Damage::Quoted => format!("\"{}\"\n", private.trim_end()),
            Damage::Base64 => format!("{}\n", BASE64.encode(private)),
            Damage::PublicKey => key.public.clone(),
            Damage::Certificate => certificate(&key.public)?,
            Damage::Putty => putty(key)?,
            Damage::Fingerprint => {
                let public = russh::keys::PublicKey::from_openssh(key.public.trim())?;
                format!("{}\n", public.fingerprint(russh::keys::HashAlg::Sha256))
            }
            // Split so that no scanner takes this source for a leak.
            Damage::Token => concat!("ghp_", "LabLabLabLabLabLabLabLabLabLabLabLab0\n").to_owned(),
            Damage::Placeholder => "********".to_owned(),
            Damage::Empty => String::new(),
        })
    }
}

/// The public key signed by an authority made for it.
fn certificate(public: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("ca"), generate(Kind::Ed25519)?.private)?;
    restrict(&at("ca"))?;
    std::fs::write(at("key.pub"), public)?;
    let mut command = keygen();
    command.arg("-s").arg(at("ca")).args(["-I", "lab", "-n", "git"]).arg(at("key.pub"));
    if !run(&mut command)? {
        bail!("a certificate needs ssh-keygen on PATH");
    }
    Ok(std::fs::read_to_string(at("key-cert.pub"))?)
}

/// The shape of a PuTTY key (version 3, unencrypted); its private part is not a working key.
fn putty(key: &KeyPair) -> Result<String> {
    let mut fields = key.public.split_whitespace();
    let algorithm = fields.next().context("a public key line")?;
    let blob = fields.next().context("a public key line")?;
    let lines = blob.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>();
    Ok(format!(
        "PuTTY-User-Key-File-3: {algorithm}\nEncryption: none\nComment: lab@example.com\nPublic-Lines: {}\n{}\n\
         Private-Lines: 1\n{}\nPrivate-MAC: {}\n",
        lines.len(),
        lines.join("\n"),
        BASE64.encode([0_u8; 36]),
        "00".repeat(32),
    ))
}

/// Makes a file readable by its owner alone, as ssh demands of a private key.
pub fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}

#[cfg(test)]
mod tests {
    use std::process::Output;

    use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

    use super::*;

    /// What ssh-keygen makes of a private key.
    fn read(text: &str, passphrase: &str) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, text).unwrap();
        restrict(&path).unwrap();
        Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f"]).arg(&path).output().unwrap()
    }

    fn blob(public: &str) -> &str {
        public.split_whitespace().nth(1).unwrap()
    }

    #[test]
    fn every_shape_is_a_key_that_openssh_reads() {
        let check = |kind: Kind, format: Format, passphrase: Option<&str>, label: &str| {
            let key = generate_as(kind, format, passphrase).unwrap();
            let header = format!("-----BEGIN {label}-----\n");
            assert!(key.private.starts_with(&header), "{kind:?} {format:?}: {}", &key.private[..30]);
            let output = read(&key.private, passphrase.unwrap_or_default());
            assert_eq!(blob(&String::from_utf8(output.stdout).unwrap()), blob(&key.public), "{kind:?} {format:?}");
            if passphrase.is_some() {
                assert!(!read(&key.private, "wrong").status.success(), "{kind:?} {format:?}");
            }
        };
        for kind in [Kind::Ed25519, Kind::Rsa, Kind::Ecdsa] {
            check(kind, Format::OpenSsh, None, "OPENSSH PRIVATE KEY");
            check(kind, Format::OpenSsh, Some("open sesame"), "OPENSSH PRIVATE KEY");
        }
        check(Kind::Rsa, Format::Pem, None, "RSA PRIVATE KEY");
        check(Kind::Rsa, Format::Pem, Some("open sesame"), "RSA PRIVATE KEY");
        check(Kind::Ecdsa, Format::Pem, None, "EC PRIVATE KEY");
        check(Kind::Rsa, Format::Pkcs8, None, "PRIVATE KEY");
        check(Kind::Ecdsa, Format::Pkcs8, None, "PRIVATE KEY");
        check(Kind::Ecdsa, Format::Pkcs8, Some("open sesame"), "ENCRYPTED PRIVATE KEY");
    }

    #[test]
    fn keys_made_without_ssh_keygen_are_keys_too() {
        for kind in [Kind::Ed25519, Kind::Ecdsa] {
            let key = generate_here(kind).unwrap();
            let output = read(&key.private, "");
            assert_eq!(blob(&String::from_utf8(output.stdout).unwrap()), blob(&key.public), "{kind:?}");
        }
        let key = generate_as(Kind::Ed25519, Format::Pkcs8, None).unwrap();
        let read: PrivateKeyDer<'_> = PrivateKeyDer::from_pem_slice(key.private.as_bytes()).unwrap();
        let signing = any_eddsa_type(&PrivatePkcs8KeyDer::from(read.secret_der())).unwrap();
        let line = russh::keys::PublicKey::from_openssh(key.public.trim()).unwrap();
        assert!(signing.public_key().unwrap().ends_with(&line.key_data().ed25519().unwrap().0));
    }

    #[test]
    fn damage_makes_something_else_of_a_key() {
        let key = generate(Kind::Ed25519).unwrap();
        for damage in Damage::ALL {
            let damaged = damage.apply(&key).unwrap();
            assert_ne!(damaged, key.private, "{damage:?}");
            // What OpenSSH makes of the others has changed from version to version.
            if !matches!(damage, Damage::CrLf | Damage::NoFinalNewline | Damage::ByteOrderMark) {
                assert!(!read(&damaged, "").status.success(), "{damage:?}: {damaged}");
            }
        }
    }
}
