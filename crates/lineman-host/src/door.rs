//! The doors into a plugin: what stands in its manifest, and what a bare file shows of it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::str::FromStr;

use object::read::elf::{ElfFile32, ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSymbol, ReadCache, ReadRef, SymbolKind, elf};

/// How a plugin is entered. Every door has the same meaning: the same calls, the same events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Door {
    /// A library with the root module of [`lineman_abi`], made by the SDK.
    #[serde(rename = "rust-1")]
    Rust1,
    /// A library with the table of [`lineman_abi::c`], in any language.
    #[serde(rename = "c-1")]
    C1,
    /// A program that speaks the protocol of workers on its standard input and output.
    #[serde(rename = "exec-1")]
    Exec1,
}

impl Door {
    /// Every door.
    pub const ALL: [Door; 3] = [Door::Rust1, Door::C1, Door::Exec1];

    /// How manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Rust1 => "rust-1",
            Door::C1 => "c-1",
            Door::Exec1 => "exec-1",
        }
    }

    /// Which door a file is entered by. Reads the file's symbols and runs nothing of it.
    pub fn of(path: &Path) -> Result<Door, NoDoor> {
        let mut file = File::open(path)?;
        let mut first = Vec::new();
        file.by_ref().take(4).read_to_end(&mut first)?;
        match first.as_slice() {
            first if first == elf::ELFMAG => Exports::read(&file)?.door(),
            first if first.starts_with(SCRIPT) => Ok(Door::Exec1),
            _ => Err(NoDoor::NoPlugin),
        }
    }
}

/// How a program begins that an interpreter runs; it serves every target.
pub(crate) const SCRIPT: &[u8] = b"#!";

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Door {
    type Err = UnknownDoor;

    fn from_str(word: &str) -> Result<Door, UnknownDoor> {
        Door::ALL
            .into_iter()
            .find(|door| door.as_str() == word)
            .ok_or_else(|| UnknownDoor(lineman_model::clean_line(word, 40)))
    }
}

/// A door that this Lineman does not know.
#[derive(Debug, thiserror::Error)]
#[error("is entered by the door `{0}`, which this Lineman does not know")]
pub struct UnknownDoor(String);

/// Why a file is entered by no door. Each kind has a stable code; each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum NoDoor {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is damaged.
    #[error("the file begins as a library and goes on as none: {0}")]
    Damaged(#[from] object::Error),
    /// It is a library that exports no plugin.
    #[error(
        "the library exports no Lineman plugin: neither `{}` nor `{}`",
        lineman_abi::EXPORT_NAME,
        lineman_abi::c::SYMBOL
    )]
    NoSymbol,
    /// It is neither a library nor something that can be run.
    #[error("the file is neither a library, nor a program, nor a script that begins with `#!`")]
    NoPlugin,
}

impl NoDoor {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            NoDoor::Unreadable(_) => "unreadable",
            NoDoor::Damaged(_) | NoDoor::NoPlugin => "not-a-library",
            NoDoor::NoSymbol => "no-symbol",
        }
    }
}

/// What an ELF file shows of itself, as far as it matters here.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    rust: bool,
    /// The object that the C door wants: whether it is one, and its size in bytes.
    pub(crate) c: Option<(bool, u64)>,
    /// Whether the kernel can run it.
    program: bool,
}

impl Exports {
    /// Reads as little of the file as tells.
    pub(crate) fn read(file: impl Read + Seek) -> Result<Exports, object::Error> {
        let cache = ReadCache::new(file);
        let class = cache.read_bytes_at(4, 1).map(|ident| ident[0]);
        match class {
            Ok(class) if class == elf::ELFCLASS32.0 => exports(&ElfFile32::<Endianness, _>::parse(&cache)?),
            _ => exports(&ElfFile64::<Endianness, _>::parse(&cache)?),
        }
    }

    fn door(&self) -> Result<Door, NoDoor> {
        match self {
            Exports { rust: true, .. } => Ok(Door::Rust1),
            Exports { c: Some(_), .. } => Ok(Door::C1),
            Exports { program: true, .. } => Ok(Door::Exec1),
            _ => Err(NoDoor::NoSymbol),
        }
    }
}

fn exports<'data, H: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(
    file: &object::read::elf::ElfFile<'data, H, R>,
) -> Result<Exports, object::Error> {
    use object::read::elf::{Dyn, ProgramHeader};

    let (endian, data) = (file.endian(), file.data());
    let mut seen = Exports { program: file.elf_header().e_type(endian) == elf::ET_EXEC, ..Exports::default() };
    for header in file.elf_program_headers() {
        // A program that may lie anywhere is a library to the format, but for these.
        seen.program |= header.p_type(endian) == elf::PT_INTERP;
        for entry in header.dynamic(endian, data)?.unwrap_or_default() {
            seen.program |= entry.tag(endian) == elf::DT_FLAGS_1 && entry.val(endian) & elf::DF_1_PIE.0 != 0;
        }
    }
    for symbol in file.dynamic_symbols().filter(ObjectSymbol::is_definition) {
        match symbol.name_bytes()? {
            name if name == lineman_abi::EXPORT_NAME.as_bytes() => seen.rust = true,
            name if name == lineman_abi::c::SYMBOL.as_bytes() => {
                seen.c = Some((symbol.kind() == SymbolKind::Data, symbol.size()));
            }
            _ => {}
        }
    }
    Ok(seen)
}
