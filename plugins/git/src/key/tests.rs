//! The verdict against the ground truth: `ssh-keygen -y` reads every text that is judged here.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const PASSPHRASE: &str = "correct horse";

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("these tests compare with {program}, which must be installed: {error}"))
}

static CLIENT: LazyLock<OpenSsh> = LazyLock::new(|| {
    let output = run("ssh", &["-V"]);
    OpenSsh::parse(&String::from_utf8_lossy(&output.stderr)).expect("ssh -V says its version")
});

/// A fresh key of `ssh-keygen`, and its public half.
fn generate(arguments: &[&str]) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let path = path.to_str().unwrap();
    let output = run("ssh-keygen", &[&["-q", "-C", "deploy", "-a", "1", "-f", path], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (fs::read_to_string(path).unwrap(), fs::read_to_string(format!("{path}.pub")).unwrap())
}

static ED25519: LazyLock<(String, String)> = LazyLock::new(|| generate(&["-t", "ed25519", "-N", ""]));
static RSA_PEM: LazyLock<(String, String)> =
    LazyLock::new(|| generate(&["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]));
static SEALED: LazyLock<(String, String)> = LazyLock::new(|| generate(&["-t", "ed25519", "-N", PASSPHRASE]));
static SEALED_PEM: LazyLock<(String, String)> =
    LazyLock::new(|| generate(&["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", PASSPHRASE]));

/// The public half that OpenSSH finds in a key file, if it can use the file.
fn openssh_reads(text: &[u8], passphrase: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    write(&path, text);
    let output = run("ssh-keygen", &["-y", "-P", passphrase, "-f", path.to_str().unwrap()]);
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn write(path: &Path, text: &[u8]) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text).unwrap();
}

/// Judges a text and demands that OpenSSH agrees: on whether it is usable, and on which key it is;
/// and that what is handed to `ssh` is the same key without a passphrase.
fn verdict(name: &str, text: &[u8], passphrase: Option<&str>) -> Result<Key, Refusal> {
    let verdict = judge(text, passphrase, Some(*CLIENT));
    let truth = openssh_reads(text, passphrase.unwrap_or(""));
    match (&verdict, &truth) {
        (Ok(key), Some(public)) => {
            let blob = |line: &str| line.split(' ').nth(1).map(str::to_owned);
            if let Some(line) = key.public_line() {
                assert_eq!(blob(&line), blob(public), "{name}");
            }
            assert_eq!(openssh_reads(key.for_ssh(), "").as_deref().and_then(blob), blob(public), "{name}");
        }
        (Err(_), None) => {}
        (Ok(_), None) => panic!("{name}: OpenSSH refuses what was judged usable"),
        (Err(refusal), Some(_)) => panic!("{name}: OpenSSH reads what was refused with {:?}", refusal.flaw),
    }
    verdict
}

fn flaw(name: &str, text: impl AsRef<[u8]>, passphrase: Option<&str>) -> Flaw {
    match verdict(name, text.as_ref(), passphrase) {
        Ok(_) => panic!("{name}: judged usable"),
        Err(refusal) => refusal.flaw,
    }
}

#[test]
fn every_kind_of_key_is_read() {
    let check = |arguments: &[&str], container: Container, algorithm: &str, bits: u32| {
        for passphrase in ["", PASSPHRASE] {
            let (text, public) = generate(&[arguments, &["-N", passphrase]].concat());
            let name = format!("{arguments:?} {passphrase}");
            let key = verdict(&name, text.as_bytes(), Some(passphrase));
            let key = key.unwrap_or_else(|refusal| panic!("{name}: {:?}", refusal.flaw));
            assert_eq!((key.container, key.algorithm.as_str(), key.bits), (container, algorithm, bits), "{name}");
            assert_eq!((key.encrypted, &key.remarks), (!passphrase.is_empty(), &vec![]), "{name}");
            let expect = PublicKey::from_openssh(&public).unwrap().fingerprint(HashAlg::Sha256).to_string();
            assert_eq!(key.fingerprint(), Some(expect), "{name}");
            if container == Container::OpenSsh {
                assert!(key.summary().ends_with(", deploy"), "{}", key.summary());
            }
            if !passphrase.is_empty() {
                assert_eq!(flaw(&name, &text, None), Flaw::PassphraseMissing);
                assert_eq!(flaw(&name, &text, Some("wrong")), Flaw::PassphraseWrong);
            }
        }
    };
    use Container::*;
    check(&["-t", "ed25519"], OpenSsh, "ssh-ed25519", 256);
    check(&["-t", "ed25519", "-Z", "chacha20-poly1305@openssh.com"], OpenSsh, "ssh-ed25519", 256);
    check(&["-t", "ed25519", "-Z", "aes128-cbc"], OpenSsh, "ssh-ed25519", 256);
    check(&["-t", "ed25519", "-Z", "aes256-gcm@openssh.com"], OpenSsh, "ssh-ed25519", 256);
    check(&["-t", "ecdsa", "-b", "256"], OpenSsh, "ecdsa-sha2-nistp256", 256);
    check(&["-t", "ecdsa", "-b", "384"], OpenSsh, "ecdsa-sha2-nistp384", 384);
    check(&["-t", "ecdsa", "-b", "521"], OpenSsh, "ecdsa-sha2-nistp521", 521);
    check(&["-t", "rsa", "-b", "2048"], OpenSsh, "ssh-rsa", 2048);
    check(&["-t", "rsa", "-b", "2048", "-m", "PEM"], Pkcs1, "ssh-rsa", 2048);
    check(&["-t", "rsa", "-b", "2048", "-m", "PKCS8"], Pkcs8, "ssh-rsa", 2048);
    check(&["-t", "ecdsa", "-b", "256", "-m", "PEM"], Sec1, "ecdsa-sha2-nistp256", 256);
    check(&["-t", "ecdsa", "-b", "384", "-m", "PKCS8"], Pkcs8, "ecdsa-sha2-nistp384", 384);
    check(&["-t", "ecdsa", "-b", "521", "-m", "PKCS8"], Pkcs8, "ecdsa-sha2-nistp521", 521);
}

/// What happens to keys on their way, applied to a key that OpenSSH reads itself and to one that
/// OpenSSL reads for it, which forgives more; `None` where it does.
#[test]
fn every_damage_has_its_name_and_the_key_behind_it_is_told() {
    type Damage = fn(&str) -> Vec<u8>;
    type Case = (&'static str, Damage, (Option<Flaw>, Option<Flaw>));
    let check = |name: &str, damage: Damage, openssh: Option<Flaw>, pem: Option<Flaw>| {
        for (kind, (text, public), expect) in [("OpenSSH", &*ED25519, &openssh), ("PEM", &*RSA_PEM, &pem)] {
            let name = format!("{name}, {kind}");
            let fingerprint = PublicKey::from_openssh(public).unwrap().fingerprint(HashAlg::Sha256).to_string();
            let key = match (verdict(&name, &damage(text), None), expect) {
                (Ok(key), None) => {
                    assert!(key.remarks.iter().any(|remark| matches!(remark, Remark::Forgiven(_))), "{name}");
                    key
                }
                (Err(refusal), Some(flaw)) => {
                    assert_eq!(refusal.flaw, *flaw, "{name}");
                    let mended = refusal.mended.unwrap_or_else(|| panic!("{name}: could be mended"));
                    mended.unwrap_or_else(|refusal| panic!("{name}, mended: {:?}", refusal.flaw))
                }
                (Ok(_), Some(flaw)) => panic!("{name}: usable, not {flaw:?}"),
                (Err(refusal), None) => panic!("{name}: {:?}", refusal.flaw),
            };
            assert_eq!(key.fingerprint(), Some(fingerprint), "{name}");
        }
    };
    let both = |flaw: Flaw| (Some(flaw.clone()), Some(flaw));
    let strict = |flaw: Flaw| (Some(flaw), None);
    let cases: Vec<Case> = vec![
        ("CRLF", |key| key.replace('\n', "\r\n").into(), strict(Flaw::CarriageReturns)),
        ("old Macintosh line ends", |key| key.replace('\n', "\r").into(), both(Flaw::CarriageReturns)),
        ("no final newline", |key| key.trim_end().into(), strict(Flaw::NoFinalLineEnd)),
        ("spaces for newlines", |key| key.trim_end().replace('\n', " ").into(), both(Flaw::OneLine)),
        ("newlines removed", |key| key.replace('\n', "").into(), both(Flaw::OneLine)),
        ("literal \\n", |key| key.replace('\n', "\\n").into(), both(Flaw::EscapedLineEnds)),
        ("literal \\r\\n", |key| key.replace('\n', "\\r\\n").into(), both(Flaw::EscapedLineEnds)),
        ("byte order mark", |key| format!("\u{feff}{key}").into(), strict(Flaw::ByteOrderMark)),
        (
            "indented",
            |key| key.lines().map(|line| format!("  {line}\n")).collect::<String>().into(),
            both(Flaw::Indented),
        ),
        ("body indented", |key| key.replace("\n", "\n ").replace("\n -----END", "\n-----END").into(), (None, None)),
        ("blank lines between", |key| key.replace('\n', "\n\n").into(), (None, Some(Flaw::BlankLines))),
        ("trailing spaces", |key| key.replace('\n', "  \n").into(), strict(Flaw::Indented)),
        ("blank line before", |key| format!("\n{key}").into(), strict(Flaw::Indented)),
        ("text before", |key| format!("the key:\n{key}").into(), strict(Flaw::LeadingText)),
        ("double quotes", |key| format!("\"{key}\"").into(), (Some(Flaw::Quoted), Some(Flaw::Quoted))),
        ("single quotes", |key| format!("'{}'", key.trim_end()).into(), both(Flaw::Quoted)),
        ("JSON string", |key| serde_json::to_vec(key).unwrap(), both(Flaw::Quoted)),
        (
            "JSON object",
            |key| serde_json::to_vec(&serde_json::json!({ "data": { "ssh_key": key } })).unwrap(),
            both(Flaw::Json),
        ),
        ("base64", |key| STANDARD.encode(key).into(), both(Flaw::Base64)),
        ("base64 of base64", |key| STANDARD.encode(STANDARD.encode(key)).into(), both(Flaw::Base64)),
        (
            "UTF-16",
            |key| [0xff, 0xfe].into_iter().chain(key.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
            both(Flaw::Utf16),
        ),
    ];
    for (name, damage, (openssh, pem)) in cases {
        check(name, damage, openssh, pem);
    }
}

#[test]
fn a_damaged_key_may_want_a_passphrase_too() {
    for (kind, (text, _)) in [("OpenSSH", &*SEALED), ("PEM", &*SEALED_PEM)] {
        type Damage = (Flaw, fn(&str) -> String);
        let damages: [Damage; 4] = [
            (Flaw::OneLine, |key| key.trim_end().replace('\n', " ")),
            (Flaw::OneLine, |key| key.replace('\n', "")),
            (Flaw::EscapedLineEnds, |key| key.replace('\n', "\\n")),
            (Flaw::Indented, |key| key.replace('\n', "\n ")),
        ];
        for (flaw, damage) in damages {
            let refusal = verdict(kind, damage(text).as_bytes(), Some(PASSPHRASE)).err().unwrap();
            assert_eq!(refusal.flaw, flaw, "{kind}");
            assert!(refusal.mended.unwrap().is_ok(), "{kind}");
            let refusal = verdict(kind, damage(text).as_bytes(), None).err().unwrap();
            let mended = refusal.mended.and_then(|mended| mended.err()).unwrap();
            assert_eq!(mended.flaw, Flaw::PassphraseMissing, "{kind}");
        }
    }
}

#[test]
fn what_is_no_private_key_is_recognised() {
    let check = |text: &str, expect: Flaw| assert_eq!(flaw(text, text, None), expect, "{text}");
    check("", Flaw::Empty);
    check(" \n\t\n", Flaw::Empty);
    check(&ED25519.1, Flaw::PublicKey);
    check(&format!("\"{}\"", ED25519.1.trim()), Flaw::Unrecognised);
    check("ecdsa-sha2-nistp256 AAAAE2VjZHNh me@host", Flaw::PublicKey);
    check("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n", Flaw::PublicKey);
    check("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", Flaw::PublicKey);
    check(&format!("github.com {}", ED25519.1), Flaw::KnownHosts);
    check(&format!("# github.com:22 SSH-2.0-x\n[github.com]:22,1.2.3.4 {}", ED25519.1), Flaw::KnownHosts);
    check("ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5 deploy", Flaw::Certificate);
    check("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", Flaw::X509);
    check(
        "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
        Flaw::OtherPem("CERTIFICATE REQUEST".into()),
    );
    check(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----\n",
        Flaw::OtherPem("PGP PRIVATE KEY BLOCK".into()),
    );
    check("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 2\n", Flaw::Putty);
    check("ghp_0123456789abcdefghijABCDEFGHIJ012345", Flaw::Token("a GitHub personal access token"));
    check("glpat-0123456789abcdefghij", Flaw::Token("a GitLab personal access token"));
    check("AKIAIOSFODNN7EXAMPLE\n", Flaw::Token("an AWS access key id"));
    check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", Flaw::Token("a JSON web token"));
    for placeholder in ["***", "********", "<private key>", "[REDACTED]", "changeme", "REDACTED", "xxxx", "${SSH_KEY}"]
    {
        check(placeholder, Flaw::Placeholder);
        check(
            &format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{placeholder}\n-----END OPENSSH PRIVATE KEY-----\n"),
            Flaw::Placeholder,
        );
    }
    check("/home/deploy/.ssh/id_ed25519", Flaw::FilePath);
    check("~/.ssh/id_rsa\n", Flaw::FilePath);
    check("hunter2", Flaw::Unrecognised);
    check("{\"key\": \"value\"}", Flaw::Unrecognised);
}

#[test]
fn a_key_of_which_a_part_is_gone_is_told_from_a_damaged_one() {
    for (kind, (text, _)) in [("OpenSSH", &*ED25519), ("PEM", &*RSA_PEM)] {
        let lines: Vec<&str> = text.lines().collect();
        let check = |lines: &[&str], expect: Flaw| {
            assert_eq!(flaw(kind, lines.join("\n") + "\n", None), expect, "{kind}");
        };
        check(&lines[..lines.len() - 1], Flaw::Truncated);
        check(&lines[..1], Flaw::Truncated);
        check(&lines[1..], Flaw::NoHeader);
        check(&lines[1..lines.len() - 1], Flaw::NoHeader);
        check(&[&lines[..1], &lines[2..]].concat(), Flaw::Corrupt);
        check(&[&lines[..2], &lines[lines.len() - 1..]].concat(), Flaw::Corrupt);
        let mut typo = text.clone();
        typo.insert(100, '!');
        assert_eq!(flaw(kind, typo, None), Flaw::Corrupt);
    }
    assert_eq!(flaw("huge", vec![b'x'; LARGEST + 1], None), Flaw::TooLarge);
}

#[test]
fn whole_keys_that_openssh_does_not_use() {
    let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[7; 32]].concat();
    let pkcs8 = pem_rfc7468::encode_string("PRIVATE KEY", pem_rfc7468::LineEnding::LF, &der).unwrap();
    match verdict("Ed25519 in PKCS#8", pkcs8.as_bytes(), None) {
        Err(refusal) => assert!(*CLIENT < OpenSsh(9, 6) && refusal.flaw == Flaw::Ed25519InPkcs8),
        Ok(key) => assert!(*CLIENT >= OpenSsh(9, 6) && key.algorithm == "ssh-ed25519"),
    }
    assert!(judge(pkcs8.as_bytes(), None, Some(OpenSsh(9, 6))).is_ok());
    assert_eq!(judge(pkcs8.as_bytes(), None, Some(OpenSsh(9, 5))).err().unwrap().flaw, Flaw::Ed25519InPkcs8);
    assert_eq!(judge(pkcs8.as_bytes(), None, None).err().unwrap().flaw, Flaw::Ed25519InPkcs8);

    // No tool makes an RSA key that OpenSSH finds too short; only its public numbers count here.
    let short =
        RsaPublicKey { e: 65537u32.to_be_bytes()[1..].try_into().unwrap(), n: [0x7f; 64][..].try_into().unwrap() };
    assert_eq!(rsa_bits(&short), 511);

    let (short, _) = generate(&["-t", "rsa", "-b", "1024", "-N", ""]);
    assert_eq!(verdict("RSA 1024", short.as_bytes(), None).unwrap().remarks, [Remark::Short(1024)]);
}

#[test]
fn a_second_key_in_the_file_is_remarked() {
    for (kind, (text, _)) in [("OpenSSH", &*ED25519), ("PEM", &*RSA_PEM)] {
        let key = verdict(kind, text.repeat(2).as_bytes(), None).unwrap();
        assert_eq!(key.remarks, [Remark::SecondKey], "{kind}");
    }
    let key = verdict("passphrase", ED25519.0.as_bytes(), Some("needless")).unwrap();
    assert_eq!(key.remarks, [Remark::NeedlessPassphrase]);
}

/// OpenSSL is not needed to run the plugin, but it makes the kinds of file that people have.
#[test]
fn files_that_openssl_makes() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    write(&plain, RSA_PEM.0.as_bytes());
    let convert = |arguments: &[&str]| {
        let (program, rest) = arguments.split_first().unwrap();
        let input = [program, "-in", plain.to_str().unwrap(), "-passout", "pass:correct horse"];
        let output = run("openssl", &[&input, rest].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let check = |arguments: &[&str]| {
        let text = convert(arguments);
        let name = format!("{arguments:?}");
        assert!(verdict(&name, text.as_bytes(), Some(PASSPHRASE)).is_ok_and(|key| key.encrypted), "{name}");
        assert_eq!(flaw(&name, &text, Some("wrong")), Flaw::PassphraseWrong, "{name}");
        assert_eq!(flaw(&name, &text, None), Flaw::PassphraseMissing, "{name}");
    };
    check(&["rsa", "-traditional", "-des3"]);
    check(&["rsa", "-traditional", "-aes192"]);
    check(&["rsa", "-traditional", "-aes256"]);
    check(&["pkcs8", "-topk8", "-v2", "des3"]);
    check(&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"]);
    check(&["pkcs8", "-topk8", "-scrypt"]);
}
