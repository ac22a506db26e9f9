//! `plugin.toml`: no file that it names lies outside of its directory.

#![no_main]

use lineman_host::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = fuzzing::manifest(data) else { return };
    for file in manifest.target.values().chain([&manifest.description]) {
        let path = std::path::Path::new(&file.file);
        assert_eq!(path.file_name(), Some(path.as_os_str()), "{}", file.file);
    }
    _ = manifest.library(std::path::Path::new("/"));
});
