//! The two readers of key files that OpenSSH has, to the letter.
//!
//! OpenSSH reads its own format itself and is strict about line ends; everything else goes to
//! OpenSSL's PEM reader, which forgives much. What is usable for one is refused for the other, so
//! a verdict that is to agree with `ssh` must read as they read.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const OPENSSH_BEGIN: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----\n";
const OPENSSH_END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----\n";
/// OpenSSL reads lines into a buffer of this size, without the terminator.
const PEM_LINE: usize = 254;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The content of an OpenSSH private key file (`sshkey_parse_private2`): the first line is exactly
/// the header, the footer is a whole line of its own, and whatever follows it is not looked at.
pub(super) fn openssh(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let body = text.strip_prefix(OPENSSH_BEGIN)?;
    let end = (0..body.len()).find(|&at| at > 0 && body[at - 1] == b'\n' && body[at..].starts_with(OPENSSH_END))?;
    base64(&body[..end])
}

/// What stands after the OpenSSH footer, which `ssh` ignores.
pub(super) fn after_openssh(text: &[u8]) -> &[u8] {
    let end = text.windows(OPENSSH_END.len()).position(|window| window == OPENSSH_END);
    end.map_or(&[], |at| &text[at + OPENSSH_END.len()..])
}

/// One block between a PEM header and its footer.
pub(super) struct Pem {
    /// `RSA PRIVATE KEY`.
    pub(super) label: String,
    /// `DEK-Info` of a block that is encrypted as a whole: cipher and initialisation vector.
    pub(super) encryption: Option<(String, String)>,
    /// The decoded content.
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// The first block with a private key's label that OpenSSL's PEM reader finds.
pub(super) fn pem(text: &[u8]) -> Option<Pem> {
    // OpenSSL 3 passes over a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(PEM_LINE)).map(trim_end);
    loop {
        let label = label(lines.find(|line| label(line, b"-----BEGIN ").is_some())?, b"-----BEGIN ")?;
        let block = block(&mut lines, label)?;
        if block.label.ends_with("PRIVATE KEY") {
            return Some(block);
        }
    }
}

fn block<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, label_text: String) -> Option<Pem> {
    let mut encryption = None;
    let mut encrypted = false;
    let mut in_header = false;
    let mut body = Zeroizing::new(Vec::new());
    for (index, line) in lines.enumerate() {
        if line.starts_with(b"-----END ") {
            if label(line, b"-----END ")? != label_text {
                return None;
            }
            let content = base64(&body)?;
            return (encrypted == encryption.is_some()).then_some(Pem { label: label_text, encryption, content });
        }
        if index == 0 && line.contains(&b':') {
            in_header = true;
        }
        if !in_header {
            body.extend_from_slice(line);
            continue;
        }
        let text = String::from_utf8_lossy(line);
        match text.split_once(':') {
            Some(("Proc-Type", value)) => encrypted = value.contains("ENCRYPTED"),
            Some(("DEK-Info", value)) => {
                let (cipher, iv) = value.split_once(',')?;
                encryption = Some((cipher.trim().to_owned(), iv.trim().to_owned()));
            }
            _ if text.trim().is_empty() => in_header = false,
            _ => {}
        }
    }
    None
}

fn label(line: &[u8], marker: &[u8]) -> Option<String> {
    let label = line.strip_prefix(marker)?.strip_suffix(b"-----")?;
    String::from_utf8(label.to_vec()).ok()
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte > b' ').map_or(0, |last| last + 1);
    &line[..end]
}

/// Base64 with white space anywhere.
pub(super) fn base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let packed: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let decoded = BASE64.decode(packed.as_slice()).ok()?;
    (!decoded.is_empty()).then(|| Zeroizing::new(decoded))
}
