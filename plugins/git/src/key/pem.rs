//! Keys in PEM: PKCS#1, SEC1 and PKCS#8, open or encrypted in either of PEM's two ways.

use md5::{Digest, Md5};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo};
use sec1::{EcParameters, EcPrivateKey};
use ssh_cipher::Cipher;
use ssh_key::Mpint;
use ssh_key::private::Ed25519Keypair;
use ssh_key::public::{EcdsaPublicKey, KeyData, RsaPublicKey};
use zeroize::Zeroizing;

use super::armour::Pem;
use super::{Container, Flaw, Parsed};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The curves that SSH knows: object identifier, SSH's name, bits.
const CURVES: [(ObjectIdentifier, &str, u32); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), "ecdsa-sha2-nistp256", 256),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "ecdsa-sha2-nistp384", 384),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "ecdsa-sha2-nistp521", 521),
];

/// Above these a passphrase takes longer to try than a check may take.
const MOST_ITERATIONS: u32 = 10_000_000;
const MOST_SCRYPT_MEMORY: u64 = 256 << 20;

/// Reads a PEM key as OpenSSH does.
pub(super) fn read(pem: &Pem, passphrase: Option<&str>) -> Result<Parsed, Flaw> {
    if let Some((cipher, iv)) = &pem.encryption {
        let der = open_traditional(cipher, iv, passphrase.ok_or(Flaw::PassphraseMissing)?, &pem.content)?;
        let parsed = plain(&pem.label, &der).map_err(garbage_is_a_wrong_passphrase)?;
        return Ok(Parsed { opened: armoured(&pem.label, &der), ..parsed });
    }
    if pem.label == "ENCRYPTED PRIVATE KEY" {
        let der = open_pkcs8(&pem.content, passphrase)?;
        let parsed = plain("PRIVATE KEY", &der).map_err(garbage_is_a_wrong_passphrase)?;
        return Ok(Parsed { opened: armoured("PRIVATE KEY", &der), ..parsed });
    }
    plain(&pem.label, &pem.content)
}

/// CBC without a tag: a wrong passphrase shows only in that nothing sensible comes out.
fn garbage_is_a_wrong_passphrase(flaw: Flaw) -> Flaw {
    if flaw == Flaw::Corrupt { Flaw::PassphraseWrong } else { flaw }
}

fn armoured(label: &str, der: &[u8]) -> Option<Zeroizing<String>> {
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).ok().map(Zeroizing::new)
}

fn plain(label: &str, der: &[u8]) -> Result<Parsed, Flaw> {
    match label {
        "RSA PRIVATE KEY" => rsa(Container::Pkcs1, der),
        "EC PRIVATE KEY" => ec(Container::Sec1, der, None),
        "DSA PRIVATE KEY" => Err(Flaw::Dsa),
        "PRIVATE KEY" => pkcs8(der),
        "OPENSSH PRIVATE KEY" => Err(Flaw::Corrupt),
        other => Err(Flaw::Unsupported(other.trim_end_matches(" PRIVATE KEY").to_owned())),
    }
}

fn pkcs8(der: &[u8]) -> Result<Parsed, Flaw> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| Flaw::Corrupt)?;
    match info.algorithm.oid {
        RSA => rsa(Container::Pkcs8, info.private_key),
        EC => ec(Container::Pkcs8, info.private_key, info.algorithm.parameters_oid().ok()),
        DSA => Err(Flaw::Dsa),
        ED25519 => ed25519(info.private_key),
        other => Err(Flaw::Unsupported(other.to_string())),
    }
}

fn rsa(container: Container, der: &[u8]) -> Result<Parsed, Flaw> {
    let key = pkcs1::RsaPrivateKey::try_from(der).map_err(|_| Flaw::Corrupt)?;
    let mpint = |uint: pkcs1::UintRef<'_>| Mpint::from_positive_bytes(uint.as_bytes()).map_err(|_| Flaw::Corrupt);
    let public = RsaPublicKey { e: mpint(key.public_exponent)?, n: mpint(key.modulus)? };
    let bits = super::rsa_bits(&public);
    Ok(Parsed {
        container,
        algorithm: "ssh-rsa".to_owned(),
        bits,
        public: Some(KeyData::Rsa(public).into()),
        opened: None,
    })
}

/// The seed is an octet string within the octet string.
fn ed25519(der: &[u8]) -> Result<Parsed, Flaw> {
    let seed = der.strip_prefix(&[0x04, 0x20]).and_then(|seed| seed.try_into().ok()).ok_or(Flaw::Corrupt)?;
    let public = KeyData::from(Ed25519Keypair::from_seed(seed).public);
    Ok(Parsed {
        container: Container::Pkcs8,
        algorithm: "ssh-ed25519".to_owned(),
        bits: 256,
        public: Some(public.into()),
        opened: None,
    })
}

/// The curve stands in the key itself or, in PKCS#8, beside it.
fn ec(container: Container, der: &[u8], outer: Option<ObjectIdentifier>) -> Result<Parsed, Flaw> {
    let key = EcPrivateKey::try_from(der).map_err(|_| Flaw::Corrupt)?;
    let curve = key.parameters.and_then(EcParameters::named_curve).or(outer).ok_or(Flaw::Corrupt)?;
    let known = CURVES.iter().find(|(oid, _, _)| *oid == curve);
    let (_, algorithm, bits) = known.ok_or_else(|| Flaw::Unsupported(format!("elliptic curve {curve}")))?;
    let public = match key.public_key {
        Some(point) => Some(KeyData::Ecdsa(on_curve(point)?).into()),
        None => None,
    };
    Ok(Parsed { container, algorithm: (*algorithm).to_owned(), bits: *bits, public, opened: None })
}

/// A public point, once it lies on its curve.
pub(super) fn on_curve(point: &[u8]) -> Result<EcdsaPublicKey, Flaw> {
    let key = EcdsaPublicKey::from_sec1_bytes(point).map_err(|_| Flaw::Corrupt)?;
    let lies = match key {
        EcdsaPublicKey::NistP256(_) => p256::PublicKey::from_sec1_bytes(point).is_ok(),
        EcdsaPublicKey::NistP384(_) => p384::PublicKey::from_sec1_bytes(point).is_ok(),
        EcdsaPublicKey::NistP521(_) => p521::PublicKey::from_sec1_bytes(point).is_ok(),
    };
    if lies { Ok(key) } else { Err(Flaw::Corrupt) }
}

/// PKCS#8's own encryption.
fn open_pkcs8(der: &[u8], passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let sealed = EncryptedPrivateKeyInfo::try_from(der);
    let passphrase = passphrase.ok_or(Flaw::PassphraseMissing)?;
    let sealed = sealed.map_err(|_| Flaw::Undecryptable("an encryption scheme that is not PBES2".to_owned()))?;
    let EncryptionScheme::Pbes2(scheme) = &sealed.encryption_algorithm else {
        return Err(Flaw::Undecryptable("PBES1".to_owned()));
    };
    let affordable = match &scheme.kdf {
        Kdf::Pbkdf2(params) => params.iteration_count <= MOST_ITERATIONS,
        Kdf::Scrypt(params) => {
            let memory = params.cost_parameter.saturating_mul(128).saturating_mul(u64::from(params.block_size));
            memory.saturating_mul(u64::from(params.parallelization)) <= MOST_SCRYPT_MEMORY
        }
        _ => false,
    };
    if !affordable {
        return Err(Flaw::Undecryptable("an extreme key derivation".to_owned()));
    }
    let opened = scheme.decrypt(passphrase, sealed.encrypted_data).map_err(|_| Flaw::PassphraseWrong)?;
    Ok(Zeroizing::new(opened))
}

/// The encryption of PEM before PKCS#8: MD5 of passphrase and salt makes the key
/// (`EVP_BytesToKey`), and the salt is the beginning of the initialisation vector.
fn open_traditional(cipher: &str, iv: &str, passphrase: &str, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let algorithm = match cipher {
        "AES-128-CBC" => Cipher::Aes128Cbc,
        "AES-192-CBC" => Cipher::Aes192Cbc,
        "AES-256-CBC" => Cipher::Aes256Cbc,
        "DES-EDE3-CBC" => Cipher::TDesCbc,
        other => return Err(Flaw::Undecryptable(other.to_owned())),
    };
    let iv = unhex(iv).ok_or(Flaw::Corrupt)?;
    let (key_size, iv_size) = algorithm.key_and_iv_size().ok_or(Flaw::Corrupt)?;
    let salt = iv.get(..8).filter(|_| iv.len() == iv_size).ok_or(Flaw::Corrupt)?;
    let mut key = Zeroizing::new(Vec::new());
    while key.len() < key_size {
        let mut hash = Md5::new();
        hash.update(key.rchunks(16).next().unwrap_or_default());
        hash.update(passphrase);
        hash.update(salt);
        key.extend_from_slice(&hash.finalize());
    }
    let mut opened = Zeroizing::new(content.to_vec());
    algorithm.decrypt(&key[..key_size], &iv, &mut opened, None).map_err(|_| Flaw::Corrupt)?;
    let padding = usize::from(opened.last().copied().unwrap_or_default());
    let good = (1..=algorithm.block_size()).contains(&padding)
        && opened.iter().rev().take(padding).all(|byte| usize::from(*byte) == padding);
    if !good || padding > opened.len() {
        return Err(Flaw::PassphraseWrong);
    }
    let length = opened.len() - padding;
    opened.truncate(length);
    Ok(opened)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
