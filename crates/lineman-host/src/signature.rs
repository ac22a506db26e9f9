//! Signatures of publishers: minisign, over the manifest, which names the hash of everything else.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};

use crate::discover::Installed;
use crate::manifest::{MANIFEST, Manifest, ManifestError, read_limited};

/// What is appended to the manifest's name.
const EXTENSION: &str = "minisig";
/// A signature larger than this is none.
const SIGNATURE_LIMIT: u64 = 4096;

/// The keys whose signatures count, and whether there must be one.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    keys: Vec<PublicKey>,
    required: bool,
}

impl TrustedKeys {
    /// From public keys as `minisign.pub` has them on its second line. What is no key is left out
    /// and so trusts nobody.
    pub fn new(keys: &[String], required: bool) -> TrustedKeys {
        TrustedKeys { keys: keys.iter().filter_map(|key| PublicKey::from_base64(key).ok()).collect(), required }
    }

    /// The trusted key that signed an installed plugin; nothing when none is asked for.
    pub fn signer(&self, plugin: &Installed) -> Result<Option<String>, ManifestError> {
        let (_, manifest) = Manifest::read_with_bytes(&plugin.directory)?;
        self.verify(&plugin.directory, &manifest)
    }

    /// Holds the signature of a plugin's directory against these keys, and gives the id of the key
    /// that made it; `manifest` is the signed bytes. Without keys no signature is looked at.
    pub(crate) fn verify(&self, directory: &Path, manifest: &[u8]) -> Result<Option<String>, ManifestError> {
        let path = directory.join(file_name());
        if self.keys.is_empty() && !self.required {
            return Ok(None);
        }
        if !path.exists() {
            return match self.required {
                true => Err(ManifestError::untrusted(&directory.join(MANIFEST), "is not signed")),
                false => Ok(None),
            };
        }
        let (signature, key) = read(&path)?;
        if self.keys.iter().any(|trusted| trusted.verify(manifest, &signature, true).is_ok()) {
            return Ok(Some(key));
        }
        let problem = format!("is signed by {key}, and that is no signature of a trusted key over this manifest");
        Err(ManifestError::untrusted(&path, problem))
    }
}

/// Who says to have signed a plugin's directory, by the id of the key, as `minisign` shows it.
/// Nothing is verified.
pub fn signer(directory: &Path) -> Option<String> {
    Some(read(&directory.join(file_name())).ok()?.1)
}

/// The name of the signature beside the manifest.
pub(crate) fn file_name() -> String {
    format!("{MANIFEST}.{EXTENSION}")
}

fn read(path: &Path) -> Result<(Signature, String), ManifestError> {
    let none = |_| ManifestError::untrusted(path, "is not a signature of minisign");
    let bytes = read_limited(path, SIGNATURE_LIMIT).map_err(|error| ManifestError { untrusted: true, ..error })?;
    let text = String::from_utf8(bytes).map_err(|_| none(()))?;
    let signature = Signature::decode(&text).map_err(|_| none(()))?;
    // Two bytes of algorithm, then the id, lowest byte first.
    let id = text.lines().nth(1).and_then(|line| STANDARD.decode(line).ok());
    let id = id.and_then(|bytes| Some(u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?)));
    Ok((signature, format!("{:016X}", id.ok_or_else(|| none(()))?)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// From the documentation of minisign-verify: over the four bytes `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const OTHER: &str = "RWTAPRW58Ec62UmFT6+cX8qj7WrV8pe3k1yqSUK2YO6aVKOmvBqFwPPG";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1556193335\tfile:test\n\
        y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";

    #[test]
    fn a_signature_counts_when_a_trusted_key_made_it_over_these_bytes() {
        let check =
            |keys: &[&str], required: bool, signature: Option<&str>, manifest: &str, expect: Result<bool, &str>| {
                let place = tempfile::tempdir().unwrap();
                if let Some(signature) = signature {
                    fs::write(place.path().join(file_name()), signature).unwrap();
                }
                let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
                let held = TrustedKeys::new(&keys, required).verify(place.path(), manifest.as_bytes());
                match (&held, expect) {
                    (Ok(key), Ok(signed)) => {
                        assert_eq!(key.as_deref(), signed.then_some("E7620F1842B4E81F"), "{signature:?}");
                    }
                    (Err(error), Err(problem)) => {
                        assert!(error.untrusted && error.problem.contains(problem), "{error}")
                    }
                    _ => panic!("{held:?} for {signature:?}, not {expect:?}"),
                }
            };
        check(&[KEY], true, Some(SIGNATURE), "test", Ok(true));
        check(&[OTHER, KEY], false, Some(SIGNATURE), "test", Ok(true));
        check(&[KEY], false, None, "test", Ok(false));
        check(&[KEY], true, None, "test", Err("is not signed"));
        check(&[], true, Some(SIGNATURE), "test", Err("no signature of a trusted key"));
        check(&[], false, Some("anything"), "test", Ok(false));
        check(&[KEY], false, Some(SIGNATURE), "tesu", Err("is signed by E7620F1842B4E81F"));
        check(&[OTHER], false, Some(SIGNATURE), "test", Err("is signed by E7620F1842B4E81F"));
        check(&[KEY], false, Some(&SIGNATURE.replace("file:test", "file:tess")), "test", Err("no signature of"));
        check(&[KEY], false, Some(&SIGNATURE.replace("qNyJDApGip8M", "qNyJDApGip8N")), "test", Err("no signature of"));
        check(&[KEY], false, Some("nonsense"), "test", Err("is not a signature of minisign"));
        check(&[KEY], false, Some(&"x".repeat(5000)), "test", Err("more than the 4096 allowed"));
    }
}
