//! Private keys as people store them, damaged in every way: the module of the plugin `git`, which
//! is a dynamic library.

#![no_main]

#[path = "../../plugins/git/src"]
mod git {
    #![expect(dead_code, reason = "the plugin uses the rest")]

    pub(crate) mod key;
}

use git::key;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for passphrase in [None, Some("passphrase")] {
        match key::judge(data, passphrase, None) {
            Ok(key) => {
                // What is handed to ssh is a key, and nothing is said of it that shows it.
                assert!(key::judge(key.for_ssh(), None, None).is_ok());
                assert!(!key.summary().is_empty());
                _ = (key.fingerprint(), key.public_line());
            }
            Err(refusal) => _ = refusal.depends_on_client(),
        }
    }
    let text = String::from_utf8_lossy(data);
    _ = (key::is_placeholder(&text), key::token(&text));
});
