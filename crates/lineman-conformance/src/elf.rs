//! What a library needs and offers, read from the file: it is never loaded for that.

use std::collections::BTreeMap;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, Sym};
use object::{Endianness, SymbolIndex};

/// The oldest glibc that Lineman runs on, and so the newest that a plugin may need: that of RHEL 9,
/// Amazon Linux 2023, Ubuntu 22.04 and Debian 12, or older.
pub const GLIBC_FLOOR: (u32, u32) = (2, 34);

/// What a library says of itself to the dynamic linker.
#[derive(Debug, Default)]
pub(crate) struct Elf {
    /// The versions of glibc that must be there, each with the symbols that need it.
    pub(crate) glibc: BTreeMap<(u32, u32), Vec<String>>,
    /// The symbols that others can see.
    pub(crate) exports: Vec<String>,
}

/// Reads a 64-bit ELF library.
pub(crate) fn read(bytes: &[u8]) -> Result<Elf, String> {
    parse(bytes).map_err(|error| format!("it is no 64-bit ELF library: {error}"))
}

fn parse(bytes: &[u8]) -> object::Result<Elf> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
    let mut found = Elf::default();
    if let Some((needs, _)) = sections.gnu_verneed(endian, bytes)? {
        for need in needs {
            for version in need?.1 {
                let version = version?;
                // A need that is weak is no need: the linker goes on without.
                if version.vna_flags.get(endian) != elf::VER_FLG_WEAK
                    && let Some(number) = glibc(version.name(endian, symbols.strings())?)
                {
                    found.glibc.entry(number).or_default();
                }
            }
        }
    }
    let versions = sections.versions(endian, bytes)?;
    for (index, symbol) in symbols.iter().enumerate() {
        let name = String::from_utf8_lossy(symbols.symbol_name(endian, symbol)?).into_owned();
        if symbol.is_undefined(endian) {
            let Some(versions) = &versions else { continue };
            let version = versions.version(versions.version_index(endian, SymbolIndex(index)).into())?;
            if let Some(users) = version.and_then(|version| found.glibc.get_mut(&glibc(version.name())?)) {
                users.push(name);
            }
        } else if matches!(symbol.st_bind(), elf::STB_GLOBAL | elf::STB_WEAK)
            && symbol.st_visibility() == elf::STV_DEFAULT
            // A name of a version stands nowhere in the library.
            && symbol.st_shndx(endian) != elf::SHN_ABS
        {
            found.exports.push(name);
        }
    }
    found.exports.sort();
    Ok(found)
}

/// `GLIBC_2.34`, as a number.
fn glibc(version: &[u8]) -> Option<(u32, u32)> {
    let number = std::str::from_utf8(version).ok()?.strip_prefix("GLIBC_")?;
    let mut parts = number.split('.').map(str::parse);
    match (parts.next()?, parts.next()?) {
        (Ok(major), Ok(minor)) => Some((major, minor)),
        _ => None,
    }
}
