//! OpenSSH's own format (PROTOCOL.key).
//!
//! Ciphers, key derivation and public keys are the `ssh-key` crate's. The private part is read
//! here: that crate, at 0.6, refuses private numbers that begin with a zero byte, as those of
//! every second P-521 key do, and it is not needed beyond knowing that it is whole.

use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Cipher, Kdf, PublicKey};
use zeroize::Zeroizing;

use super::{Container, Flaw, Parsed, pem, rsa_bits};

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Each round of bcrypt costs about five milliseconds; `ssh-keygen -a 100` is the usual strong choice.
const MOST_ROUNDS: u32 = 2000;

/// Reads the content of a key file.
pub(super) fn read(content: &[u8], passphrase: Option<&str>) -> Result<Parsed, Flaw> {
    let mut rest = content.strip_prefix(MAGIC).ok_or(Flaw::Corrupt)?;
    let cipher = text(&mut rest)?;
    let kdf = text(&mut rest)?;
    let options = string(&mut rest)?;
    if number(&mut rest)? != 1 {
        return Err(Flaw::Corrupt);
    }
    let blob = string(&mut rest)?;
    let sealed = string(&mut rest)?;
    let cipher = Cipher::new(cipher).map_err(|_| Flaw::Undecryptable(cipher.to_owned()))?;
    let (section, encrypted) = if cipher.is_none() {
        (Zeroizing::new(sealed.to_vec()), false)
    } else {
        (open(cipher, kdf, options, sealed, rest, passphrase.ok_or(Flaw::PassphraseMissing)?)?, true)
    };
    if section.len() % cipher.block_size() != 0 {
        return Err(Flaw::Corrupt);
    }
    let mut private = section.as_slice();
    if number(&mut private)? != number(&mut private)? {
        return Err(if encrypted { Flaw::PassphraseWrong } else { Flaw::Corrupt });
    }
    let (algorithm, bits, comment) = parts(blob, private)?;
    let mut public = PublicKey::from_bytes(blob).map_err(|_| Flaw::Corrupt)?;
    public.set_comment(comment);
    let opened = encrypted.then(|| armoured(blob, &section)).flatten();
    Ok(Parsed { container: Container::OpenSsh, algorithm, bits, public: Some(public), opened })
}

fn open(
    cipher: Cipher,
    kdf: &str,
    mut options: &[u8],
    sealed: &[u8],
    tag: &[u8],
    passphrase: &str,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let salt = string(&mut options)?.to_vec();
    let rounds = number(&mut options)?;
    if kdf != "bcrypt" || rounds > MOST_ROUNDS {
        return Err(Flaw::Undecryptable(format!("{kdf} with {rounds} rounds")));
    }
    let kdf = Kdf::Bcrypt { salt, rounds };
    let (key, iv) = kdf.derive_key_and_iv(cipher, passphrase).map_err(|_| Flaw::Corrupt)?;
    let tag = cipher.has_tag().then(|| tag.try_into().map_err(|_| Flaw::Corrupt)).transpose()?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    // An unencrypted length, a length that does not fit the cipher and a wrong key look alike here.
    cipher.decrypt(&key, &iv, &mut opened, tag).map_err(|_| Flaw::PassphraseWrong)?;
    Ok(opened)
}

/// Algorithm, size and comment, once the private part is whole and belongs to the public one.
fn parts(blob: &[u8], mut private: &[u8]) -> Result<(String, u32, String), Flaw> {
    let mut public = blob;
    let algorithm = text(&mut public)?;
    if text(&mut private)? != algorithm {
        return Err(Flaw::Corrupt);
    }
    let key = PublicKey::from_bytes(blob).map_err(|_| Flaw::Corrupt)?;
    let bits = match key.key_data() {
        KeyData::Ed25519(key) => {
            let halves = (string(&mut private)?, string(&mut private)?);
            if halves.0 != key.0 || halves.1.len() != 64 {
                return Err(Flaw::Corrupt);
            }
            256
        }
        KeyData::Ecdsa(key) => {
            let curve = text(&mut public)?;
            if text(&mut private)? != curve || string(&mut private)? != key.as_sec1_bytes() {
                return Err(Flaw::Corrupt);
            }
            let scalar = string(&mut private)?;
            if scalar.len() > key.as_sec1_bytes().len() / 2 + 1 {
                return Err(Flaw::Corrupt);
            }
            match pem::on_curve(key.as_sec1_bytes())? {
                EcdsaPublicKey::NistP256(_) => 256,
                EcdsaPublicKey::NistP384(_) => 384,
                EcdsaPublicKey::NistP521(_) => 521,
            }
        }
        KeyData::Rsa(key) => {
            let (n, e) = (string(&mut private)?, string(&mut private)?);
            if n != key.n.as_bytes() || e != key.e.as_bytes() {
                return Err(Flaw::Corrupt);
            }
            for _number in ["d", "iqmp", "p", "q"] {
                string(&mut private)?;
            }
            rsa_bits(key)
        }
        KeyData::Dsa(_) => return Err(Flaw::Dsa),
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => return Err(Flaw::SecurityKey),
        _ => return Err(Flaw::Unsupported(algorithm.to_owned())),
    };
    let comment = String::from_utf8_lossy(string(&mut private)?).into_owned();
    let padded = private.iter().zip(1u8..).all(|(byte, expect)| *byte == expect);
    if padded { Ok((algorithm.to_owned(), bits, comment)) } else { Err(Flaw::Corrupt) }
}

/// The same file with the cipher `none`. Its padding is longer than it need be, which is allowed.
fn armoured(blob: &[u8], section: &[u8]) -> Option<Zeroizing<String>> {
    let mut content = Zeroizing::new(MAGIC.to_vec());
    let (none, one) = (b"none".as_slice(), 1u32.to_be_bytes());
    for (before, string) in [(&[][..], none), (&[], none), (&[], &[]), (&one, blob), (&[], section)] {
        content.extend_from_slice(before);
        content.extend_from_slice(&(string.len() as u32).to_be_bytes());
        content.extend_from_slice(string);
    }
    let ending = pem_rfc7468::LineEnding::LF;
    pem_rfc7468::encode_string("OPENSSH PRIVATE KEY", ending, &content).ok().map(Zeroizing::new)
}

fn number(rest: &mut &[u8]) -> Result<u32, Flaw> {
    let (number, after) = rest.split_first_chunk().ok_or(Flaw::Corrupt)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Flaw> {
    let length = number(rest)?;
    let (string, after) = rest.split_at_checked(length as usize).ok_or(Flaw::Corrupt)?;
    *rest = after;
    Ok(string)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Flaw> {
    std::str::from_utf8(string(rest)?).map_err(|_| Flaw::Corrupt)
}
