//! Marks by which a credential is recognised, and which tell nothing else of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use hmac::{Hmac, Mac};
use lineman_model::{Integration, Secret, SecretMap};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::HistoryError;
use crate::file::make_directory;

/// Bytes of a key that is made here.
const LENGTH: usize = 32;
/// The shortest key that is taken from elsewhere, characters: sixteen bytes in hexadecimal.
const SHORTEST: usize = 32;
/// Bytes of a fingerprint, and of what tells its key: enough to be the same by chance never.
const MARK: usize = 8;
const KEY_MARK: usize = 4;
/// The file of the machine's key.
const FILE: &str = "fingerprint.key";

/// The key under which fingerprints are made.
///
/// A short or simple secret can be guessed from any hash of it, but not from an HMAC without its
/// key. The fingerprint of a secret depends on its provider, its name and its value: one token in
/// two integrations is seen to be the same, and nothing else can be compared. It begins with a mark
/// of the key, so that those of different keys are never taken for different secrets.
pub struct FingerprintKey {
    key: Zeroizing<Vec<u8>>,
    mark: String,
}

/// What one integration was given in a run, as fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Its secrets, by name.
    pub secrets: BTreeMap<String, String>,
    /// Its settings, what is said of its connection and its requirements: `settings.region`.
    pub settings: BTreeMap<String, String>,
}

impl FingerprintKey {
    /// The key of this machine's user, made where there is none.
    ///
    /// # Errors
    /// When it cannot be read or made, or others may read it.
    pub fn of_this_machine(directory: &Path) -> Result<FingerprintKey, HistoryError> {
        let path = directory.join(FILE);
        let unusable = |error| HistoryError::Unusable { path: path.clone(), error };
        if let Some(key) = read(&path)? {
            return Ok(key);
        }
        make_directory(directory)?;
        let key = random().map_err(unusable)?;
        // Moved in place whole, and only where no other process was first.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(unusable)?;
        file.write_all(&key).and_then(|()| file.as_file().sync_all()).map_err(unusable)?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(FingerprintKey::new(key)),
            Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => {
                read(&path)?.ok_or(HistoryError::KeyMalformed { path })
            }
            Err(lost) => Err(unusable(lost.error)),
        }
    }

    /// A key that several machines share.
    ///
    /// # Errors
    /// When it is so short that it could be guessed.
    pub fn shared(secret: &Secret) -> Result<FingerprintKey, HistoryError> {
        let length = secret.expose().chars().count();
        if length < SHORTEST {
            return Err(HistoryError::KeyShort { length, least: SHORTEST });
        }
        Ok(FingerprintKey::new(Zeroizing::new(secret.expose().as_bytes().to_vec())))
    }

    /// A key for as long as this process runs.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn passing() -> Result<FingerprintKey, HistoryError> {
        let key = random().map_err(|error| HistoryError::Unusable { path: RANDOM.into(), error })?;
        Ok(FingerprintKey::new(key))
    }

    fn new(key: Zeroizing<Vec<u8>>) -> FingerprintKey {
        let mut made = FingerprintKey { key, mark: String::new() };
        made.mark = hexadecimal(&made.mac(&["key"], b"")[..KEY_MARK]);
        made
    }

    /// What an integration is given.
    pub fn given(&self, integration: &Integration, secrets: &SecretMap) -> Given {
        let secret = |(name, secret): (&String, &Secret)| {
            let of = ["secret", &integration.provider, name];
            (name.clone(), self.fingerprint(&of, secret.expose().as_bytes()))
        };
        let requires =
            integration.requires.iter().map(|it| (format!("requires.{}", it.id), Value::from(it.words.clone())));
        let settings = integration.settings.iter().map(|(name, value)| (format!("settings.{name}"), value.clone()));
        // It never fails: a connection is plain data.
        let connection = serde_json::to_value(&integration.connection).unwrap_or_default();
        let connection = connection.as_object().into_iter().flatten();
        let connection = connection.map(|(name, value)| (format!("connection.{name}"), value.clone()));
        let setting = |(name, value): (String, Value)| {
            let of = ["setting", &integration.provider, &name];
            let mark = self.fingerprint(&of, value.to_string().as_bytes());
            (name, mark)
        };
        Given {
            secrets: secrets.0.iter().map(secret).collect(),
            settings: settings.chain(connection).chain(requires).filter(|(_, it)| is_said(it)).map(setting).collect(),
        }
    }

    fn fingerprint(&self, of: &[&str], value: &[u8]) -> String {
        format!("{}:{}", self.mark, hexadecimal(&self.mac(of, value)[..MARK]))
    }

    /// An HMAC of a value for a purpose. The parts are set apart by their lengths.
    fn mac(&self, of: &[&str], value: &[u8]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length will do");
        for part in ["lineman"].iter().chain(of) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.update(value);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FingerprintKey").field("mark", &self.mark).finish_non_exhaustive()
    }
}

/// Whether two fingerprints are of the same secret; nothing where their keys differ.
pub(crate) fn is_same(one: &str, other: &str) -> Option<bool> {
    let key = |mark: &str| mark.split_once(':').map(|(key, _)| key.to_owned());
    (key(one).is_some() && key(one) == key(other)).then_some(one == other)
}

/// Whether a setting says something: what is left out is written as nothing.
fn is_said(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn read(path: &Path) -> Result<Option<FingerprintKey>, HistoryError> {
    let unusable = |error| HistoryError::Unusable { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error)),
    };
    let about = file.metadata().map_err(unusable)?;
    if !about.is_file() || about.size() != LENGTH as u64 {
        return Err(HistoryError::KeyMalformed { path: path.to_owned() });
    }
    if about.permissions().mode() & 0o077 != 0 {
        return Err(HistoryError::KeyExposed { path: path.to_owned() });
    }
    let mut key = Zeroizing::new(Vec::with_capacity(LENGTH));
    file.take(LENGTH as u64).read_to_end(&mut key).map_err(unusable)?;
    Ok(Some(FingerprintKey::new(key)))
}

const RANDOM: &str = "/dev/urandom";

fn random() -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; LENGTH]);
    fs::File::open(RANDOM)?.read_exact(&mut key)?;
    Ok(key)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(key: &FingerprintKey, provider: &str, name: &str, value: &str) -> String {
        let integration = Integration { provider: provider.into(), ..Integration::default() };
        let secrets = SecretMap(BTreeMap::from([(name.to_owned(), Secret::new(value))]));
        key.given(&integration, &secrets).secrets.remove(name).unwrap()
    }

    #[test]
    fn a_fingerprint_is_the_secrets_own_under_its_key_alone() {
        let directory = tempfile::tempdir().unwrap();
        let machine = FingerprintKey::of_this_machine(directory.path()).unwrap();
        let again = FingerprintKey::of_this_machine(directory.path()).unwrap();
        let mark = given(&machine, "p", "pin", "1234");
        assert_eq!(mark, given(&again, "p", "pin", "1234"));
        for (provider, name, value) in [("p", "pin", "1235"), ("p", "pi", "n1234"), ("q", "pin", "1234")] {
            assert_eq!(
                is_same(&mark, &given(&machine, provider, name, value)),
                Some(false),
                "{provider} {name} {value}"
            );
        }
        let elsewhere = FingerprintKey::passing().unwrap();
        assert_eq!(is_same(&mark, &given(&elsewhere, "p", "pin", "1234")), None);
        assert_eq!(is_same("", ""), None);
    }

    #[test]
    fn a_key_that_others_read_or_could_guess_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        FingerprintKey::of_this_machine(directory.path()).unwrap();
        let file = directory.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = FingerprintKey::of_this_machine(directory.path()).unwrap_err();
        assert!(matches!(refused, HistoryError::KeyExposed { .. }), "{refused}");
        fs::write(&file, "short").unwrap();
        let refused = FingerprintKey::of_this_machine(directory.path()).unwrap_err();
        assert!(matches!(refused, HistoryError::KeyMalformed { .. }), "{refused}");
        assert!(matches!(FingerprintKey::shared(&Secret::new("hunter2")), Err(HistoryError::KeyShort { .. })));
    }

    #[test]
    fn only_settings_that_are_said_have_a_fingerprint() {
        let key = FingerprintKey::passing().unwrap();
        let mut integration = Integration { provider: "p".into(), ..Integration::default() };
        integration.settings.insert("region".into(), Value::from("eu"));
        integration.connection.timeout_ms = Some(100);
        let names: Vec<String> = key.given(&integration, &SecretMap::default()).settings.into_keys().collect();
        assert_eq!(names, ["connection.timeout_ms", "settings.region"]);
    }
}
