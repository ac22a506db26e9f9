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

/// The first block with a private key's label that OpenSSL's PEM reader finds (`PEM_read_bio`).
pub(super) fn pem(text: &[u8]) -> Option<Pem> {
    // OpenSSL 3 passes over a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(PEM_LINE)).map(trim_end);
    loop {
        let label = label(lines.find(|line| label(line, b"-----BEGIN ").is_some())?, b"-----BEGIN ")?;
        let (header, body) = block(&mut lines, &label)?;
        if label.ends_with("PRIVATE KEY") {
            return Some(Pem { encryption: encryption(&header)?, content: base64(&body)?, label });
        }
    }
}

type Bytes = Zeroizing<Vec<u8>>;

/// Header and body of a block. An empty line ends the header, whatever stood before it; where
/// there is none, and no line had a colon, all of it is the body.
fn block<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, label_text: &str) -> Option<(Bytes, Bytes)> {
    let (mut header, mut body) = (Bytes::default(), Bytes::default());
    let (mut has_colon, mut after_header, mut last) = (false, false, false);
    for line in lines {
        if line.is_empty() {
            if after_header {
                return None;
            }
            after_header = true;
        } else if line.starts_with(b"-----END ") {
            let whole = label(line, b"-----END ")? == label_text;
            return whole.then(|| match after_header || has_colon {
                true => (header, body),
                false => (Bytes::default(), header),
            });
        } else if after_header {
            // After a header, lines are full but for the last.
            if last || line.len() > 64 {
                return None;
            }
            last = line.len() < 64;
            body.extend_from_slice(line);
        } else {
            has_colon |= header.is_empty() && line.contains(&b':');
            header.extend_from_slice(line);
            header.push(b'\n');
        }
    }
    None
}

/// What a header says of encryption: nothing, or exactly these two fields (`PEM_get_EVP_CIPHER_INFO`).
fn encryption(header: &[u8]) -> Option<Option<(String, String)>> {
    // OpenSSL does not look at a shorter one.
    if header.len() <= 10 {
        return Some(None);
    }
    let text = std::str::from_utf8(header).ok()?;
    let (process, rest) = text.strip_prefix("Proc-Type:")?.split_once('\n')?;
    let kind = process.trim_start_matches([' ', '\t']).strip_prefix("4,")?.trim_start_matches([' ', '\t']);
    kind.strip_prefix("ENCRYPTED").filter(|end| end.trim().is_empty())?;
    let (cipher, iv) = rest.strip_prefix("DEK-Info:")?.trim().split_once(',')?;
    Some(Some((cipher.trim().to_owned(), iv.to_owned())))
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
