use std::fs;

use lineman_host::Door;
use lineman_host::probe::ProbeError;
use sha2::{Digest, Sha256};

use crate::kit::{Fault, Kit, Verdict, none};
use crate::subject::Shipped;
use crate::{GLIBC_FLOOR, elf};

/// The symbols that the doors of libraries export.
const DOORS: [&str; 2] = ["_1as_0lib_1header_0root_bmodule_bloader", "lineman_plugin_c_v1"];
/// A library larger than this is not read.
const LARGEST: u64 = 1 << 30;

fn shipped<'a>(kit: &'a Kit<'_>) -> Result<&'a Shipped, Fault> {
    let bare = || Fault::Skip("a bare library has no manifest: give the directory that `plugin pack` made".to_owned());
    kit.subject.shipped.as_ref().ok_or_else(bare)
}

pub(super) fn manifest(kit: &Kit<'_>) -> Verdict {
    let shipped = shipped(kit)?;
    let manifest = shipped.manifest.as_ref().map_err(|error| Fault::fail(error.to_string()))?;
    let mut seen = Vec::new();
    for (target, file) in &manifest.target {
        match fs::read(shipped.directory.join(&file.file)) {
            Ok(bytes) if hex(&bytes) == file.sha256 => {}
            Ok(_) => seen.push(format!("{} for {target} has another SHA-256 than the manifest says", file.file)),
            Err(error) => seen.push(format!("{} for {target} cannot be read: {error}", file.file)),
        }
    }
    if let Err(error) = manifest.library(&shipped.directory) {
        seen.push(error.to_string());
    }
    if let Err(error) = manifest.description(&shipped.directory) {
        seen.push(error.to_string());
    }
    if let Ok(description) = kit.description() {
        let pairs = [
            ("id", &manifest.id, &description.id),
            ("version", &manifest.version, &description.version),
            ("publisher", &manifest.publisher, &description.publisher),
        ];
        let differing = pairs.into_iter().filter(|(_, manifest, description)| manifest != description);
        seen.extend(differing.map(|(what, manifest, description)| {
            format!("the manifest says {what} `{manifest}`, the plugin `{description}`")
        }));
        if manifest.protocol != description.protocol {
            seen.push("the manifest says another protocol range than the plugin".to_owned());
        }
    }
    none(seen)
}

pub(super) fn described_as_shipped(kit: &Kit<'_>) -> Verdict {
    let shipped = shipped(kit)?;
    let Ok(manifest) = &shipped.manifest else {
        return Err(Fault::see("the manifest cannot be read", crate::Case::Manifest));
    };
    let path = shipped.directory.join(&manifest.description.file);
    let file = fs::read(&path).map_err(|error| Fault::fail(format!("{}: {error}", path.display())))?;
    if kit.said()?.as_bytes() == file {
        return Ok(());
    }
    Err(Fault::fail(format!("the library says something else of itself than {}", manifest.description.file)))
}

/// The library as a file of the dynamic linker.
fn library(kit: &Kit<'_>) -> Result<elf::Elf, Fault> {
    if kit.subject.door() == Door::Exec1 {
        return Err(Fault::Skip("a program is no library".to_owned()));
    }
    let Ok(library) = &kit.subject.library else {
        return Err(Fault::see("there is no library for this target", crate::Case::Manifest));
    };
    let size = fs::metadata(library)?.len();
    if size > LARGEST {
        return Err(Fault::fail(format!("the library has {size} bytes")));
    }
    elf::read(&fs::read(library)?).map_err(Fault::fail)
}

pub(super) fn glibc(kit: &Kit<'_>) -> Verdict {
    let newer = library(kit)?.glibc.into_iter().filter(|(version, _)| *version > GLIBC_FLOOR);
    none(
        newer
            .map(|((major, minor), symbols)| {
                let users = match symbols.as_slice() {
                    [] => "something that it links".to_owned(),
                    symbols => symbols.join(", "),
                };
                format!("{users}: needs glibc {major}.{minor}, newer than {}.{}", GLIBC_FLOOR.0, GLIBC_FLOOR.1)
            })
            .collect(),
    )
}

pub(super) fn exports(kit: &Kit<'_>) -> Verdict {
    let found = library(kit)?.exports;
    let known = |name: &String| DOORS.contains(&name.as_str());
    none(found.iter().filter(|name| !known(name)).map(|name| format!("it exports `{name}`")).collect())
}

pub(super) fn loads(kit: &Kit<'_>) -> Verdict {
    match kit.not_loaded() {
        None => Ok(()),
        Some(error @ ProbeError::Died { stderr, .. }) => {
            let last = stderr.last().map(|line| format!(", after `{line}`")).unwrap_or_default();
            Err(Fault::Crash(format!("{error}{last}")))
        }
        Some(ProbeError::Refused(why)) => Err(Fault::Skip(format!("this machine gives no worker: {why}"))),
        Some(error) => Err(Fault::fail(error.to_string())),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
