//! Judges a private key as OpenSSH would, and explains as it does not.
//!
//! OpenSSH answers "error in libcrypto" to a key with Windows line ends, to one that lost its line
//! ends, to a token pasted in its place and to a dozen other things. Here each has its own
//! [`Flaw`]. The verdict itself follows OpenSSH's readers, not a lenient parser: [`judge`] says
//! yes exactly where `ssh-keygen -y` would.

mod armour;
mod openssh;
mod pem;
mod shape;
#[cfg(test)]
mod tests;

use ssh_key::public::RsaPublicKey;
use ssh_key::{HashAlg, PublicKey};
use zeroize::Zeroizing;

pub(crate) use shape::{is_placeholder, token};

/// OpenSSH reads no key file that is larger.
const LARGEST: usize = 1 << 20;
/// OpenSSH refuses shorter RSA keys.
const SHORTEST_RSA: u32 = 1024;
/// Large hosts and every current recommendation refuse shorter RSA keys.
const ADVISABLE_RSA: u32 = 2048;

/// A version of OpenSSH, where versions judge differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenSsh(pub(crate) u32, pub(crate) u32);

impl OpenSsh {
    /// The version in what `ssh -V` prints: `OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19`.
    pub(crate) fn parse(text: &str) -> Option<OpenSsh> {
        let version = text.split("OpenSSH_").nth(1)?.trim_start_matches("for_Windows_");
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(OpenSsh(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// How a private key is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    OpenSsh,
    Pkcs1,
    Sec1,
    Pkcs8,
}

impl Container {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Container::OpenSsh => "OpenSSH",
            Container::Pkcs1 => "PEM (PKCS#1)",
            Container::Sec1 => "PEM (SEC1)",
            Container::Pkcs8 => "PEM (PKCS#8)",
        }
    }
}

/// A private key that OpenSSH can use.
pub(crate) struct Key {
    pub(crate) container: Container,
    /// SSH's name: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`.
    pub(crate) algorithm: String,
    pub(crate) bits: u32,
    /// Absent where a SEC1 file leaves it out.
    pub(crate) public: Option<PublicKey>,
    /// Whether a passphrase opened it.
    pub(crate) encrypted: bool,
    /// What OpenSSH forgives and others may not.
    pub(crate) remarks: Vec<Remark>,
    text: Zeroizing<Vec<u8>>,
}

impl Key {
    /// The file that `ssh` is to read: the very text that was judged or, where it was encrypted,
    /// the opened key, since `ssh` takes a passphrase from a terminal only.
    pub(crate) fn for_ssh(&self) -> &[u8] {
        &self.text
    }

    /// `SHA256:…`, as `ssh-keygen -l` and every host show it.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.public.as_ref().map(|public| public.fingerprint(HashAlg::Sha256).to_string())
    }

    /// The line for the host's list of keys.
    pub(crate) fn public_line(&self) -> Option<String> {
        self.public.as_ref().and_then(|public| public.to_openssh().ok())
    }

    /// One line for people: `OpenSSH, ssh-ed25519, 256 bits, SHA256:…, deploy@example.com`.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![self.container.as_str().to_owned(), self.algorithm.clone(), format!("{} bits", self.bits)];
        parts.extend(self.fingerprint());
        if let Some(public) = self.public.as_ref().filter(|public| !public.comment().is_empty()) {
            parts.push(public.comment().to_owned());
        }
        parts.join(", ")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.summary())
    }
}

/// Something about a usable key that deserves attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// An RSA key below 2048 bits.
    Short(u32),
    /// More than one private key; only the first is used.
    SecondKey,
    /// Damage that OpenSSH forgives in this kind of file.
    Forgiven(Flaw),
    /// A passphrase is stored for a key that needs none.
    NeedlessPassphrase,
}

/// Why OpenSSH cannot use a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    // Something else was pasted.
    Empty,
    Placeholder,
    Token(&'static str),
    PublicKey,
    KnownHosts,
    Certificate,
    X509,
    OtherPem(String),
    Putty,
    FilePath,
    Unrecognised,
    // The key was damaged on its way.
    Utf16,
    ByteOrderMark,
    Json,
    Quoted,
    Base64,
    EscapedLineEnds,
    OneLine,
    CarriageReturns,
    LeadingText,
    Indented,
    BlankLines,
    NoFinalLineEnd,
    // Part of it is gone.
    TooLarge,
    NoHeader,
    Truncated,
    Corrupt,
    // It is whole, and not usable as it is.
    PassphraseMissing,
    PassphraseWrong,
    Undecryptable(String),
    Ed25519InPkcs8,
    Dsa,
    TooShort(u32),
    SecurityKey,
    Unsupported(String),
}

/// The judgement on a key that OpenSSH refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The first thing to mend.
    pub(crate) flaw: Flaw,
    /// What else is wrong with the text.
    pub(crate) also: Vec<Flaw>,
    /// The judgement on the text once the damage is undone: whether it is worth mending, and
    /// which key it is.
    pub(crate) mended: Option<Box<Result<Key, Refusal>>>,
}

impl Refusal {
    /// Whether a newer OpenSSH would judge otherwise.
    pub(crate) fn depends_on_client(&self) -> bool {
        let behind = self.mended.as_deref().and_then(|mended| mended.as_ref().err());
        self.flaw == Flaw::Ed25519InPkcs8 || behind.is_some_and(Refusal::depends_on_client)
    }
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Refusal {
        Refusal { flaw, also: Vec::new(), mended: None }
    }
}

/// Judges the text of a private key, byte for byte as `ssh` would find it in a file.
///
/// `client` is the OpenSSH that will read it; without one the oldest in use counts.
pub(crate) fn judge(text: &[u8], passphrase: Option<&str>, client: Option<OpenSsh>) -> Result<Key, Refusal> {
    if text.len() > LARGEST {
        return Err(Flaw::TooLarge.into());
    }
    let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
    let flaw = match read(text, passphrase, client) {
        Ok(key) => return Ok(remarked(key, text, passphrase)),
        Err(flaw) => flaw,
    };
    let repaired = shape::repair(text);
    if flaw.is_none() && !repaired.undone.is_empty() && !repaired.text.trim().is_empty() {
        let mended = judge(repaired.text.as_bytes(), passphrase, client);
        let mut undone = repaired.undone.into_iter();
        // A token in quotes is a token: damage counts only where a key is behind it.
        let worth_mending = mended.as_ref().err().is_none_or(|refusal| refusal.flaw.is_about_a_whole_key());
        return match (undone.next(), mended) {
            (Some(flaw), mended) if worth_mending => {
                Err(Refusal { flaw, also: undone.collect(), mended: Some(Box::new(mended)) })
            }
            (_, Err(refusal)) => Err(refusal),
            (_, Ok(_)) => Err(Flaw::Unrecognised.into()),
        };
    }
    // A block that holds a placeholder may well be base64.
    match flaw {
        Some(flaw) if flaw != Flaw::Corrupt => Err(flaw.into()),
        _ => Err(shape::identify(&repaired.text).into()),
    }
}

/// Reads as OpenSSH reads. `Err(None)`: neither of its readers finds a key.
fn read(text: &[u8], passphrase: Option<&str>, client: Option<OpenSsh>) -> Result<Key, Option<Flaw>> {
    let parsed = if let Some(content) = armour::openssh(text) {
        openssh::read(&content, passphrase)
    } else {
        // OpenSSL knows no OpenSSH format: a block of that name was refused for good.
        let pem = armour::pem(text).filter(|pem| pem.label != "OPENSSH PRIVATE KEY").ok_or(None)?;
        pem::read(&pem, passphrase)
    };
    let parsed = parsed.map_err(Some)?;
    let in_pkcs8 = parsed.container == Container::Pkcs8;
    if in_pkcs8 && parsed.algorithm == "ssh-ed25519" && client.is_none_or(|client| client < OpenSsh(9, 6)) {
        return Err(Some(Flaw::Ed25519InPkcs8));
    }
    if parsed.algorithm == "ssh-rsa" && parsed.bits < SHORTEST_RSA {
        return Err(Some(Flaw::TooShort(parsed.bits)));
    }
    Ok(Key {
        container: parsed.container,
        algorithm: parsed.algorithm,
        bits: parsed.bits,
        public: parsed.public,
        encrypted: parsed.opened.is_some(),
        remarks: Vec::new(),
        text: parsed.opened.map_or_else(|| text.to_vec().into(), |opened| opened.as_bytes().to_vec().into()),
    })
}

/// What either format holds.
struct Parsed {
    container: Container,
    algorithm: String,
    bits: u32,
    public: Option<PublicKey>,
    /// The key without its passphrase, when it had one.
    opened: Option<Zeroizing<String>>,
}

fn remarked(mut key: Key, text: &[u8], passphrase: Option<&str>) -> Key {
    if key.algorithm == "ssh-rsa" && key.bits < ADVISABLE_RSA {
        key.remarks.push(Remark::Short(key.bits));
    }
    if passphrase.is_some() && !key.encrypted {
        key.remarks.push(Remark::NeedlessPassphrase);
    }
    let headers = text.windows(b"PRIVATE KEY-----\n".len()).filter(|window| *window == b"PRIVATE KEY-----\n");
    // A header and a footer for each.
    if headers.count() > 2 || armour::after_openssh(text).windows(11).any(|window| window == b"-----BEGIN ") {
        key.remarks.push(Remark::SecondKey);
    }
    key.remarks.extend(shape::repair(text).undone.into_iter().map(Remark::Forgiven));
    key
}

fn rsa_bits(key: &RsaPublicKey) -> u32 {
    let modulus = key.n.as_positive_bytes().unwrap_or_default();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
    modulus.len() as u32 * 8 - leading
}

impl Flaw {
    /// Whether the flaw is about a key that is there, rather than about another thing in its place.
    fn is_about_a_whole_key(&self) -> bool {
        matches!(
            self,
            Flaw::PassphraseMissing
                | Flaw::PassphraseWrong
                | Flaw::Undecryptable(_)
                | Flaw::Ed25519InPkcs8
                | Flaw::Dsa
                | Flaw::TooShort(_)
                | Flaw::SecurityKey
                | Flaw::Unsupported(_)
        )
    }
}
