//! The C header of the C door, written from its definition in Rust.

use std::fs;

use anyhow::{Context, Result};
use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use lineman_tests::workspace;

use crate::say;

/// The definition.
const SOURCE: &str = "crates/lineman-abi/src/c.rs";
/// The header.
pub(crate) const HEADER: &str = "crates/lineman-abi/include/lineman_plugin.h";

/// How the types are called in C; everything else is a constant, and gets `LINEMAN_`.
const NAMES: [(&str, &str); 3] =
    [("Bytes", "lineman_bytes"), ("HostV1", "lineman_host_v1"), ("PluginV1", "lineman_plugin_v1")];

/// What Rust has no words for: the object that the plugin defines, seen from outside.
const TRAILER: &str = "\
#ifdef __cplusplus
extern \"C\" {
#endif

// What a plugin defines. It is to be seen from outside even where symbols are hidden.
#if defined(__GNUC__)
__attribute__((visibility(\"default\")))
#endif
extern const struct lineman_plugin_v1 lineman_plugin_c_v1;

#ifdef __cplusplus
}
#endif

#endif  /* LINEMAN_PLUGIN_H */
";

/// Writes the header into its place.
pub(crate) fn write() -> Result<()> {
    fs::write(workspace().join(HEADER), generate()?)?;
    say(&format!("written: {HEADER}"));
    Ok(())
}

/// The header as its source has it.
pub(crate) fn generate() -> Result<String> {
    let source = workspace().join(SOURCE);
    let text = fs::read_to_string(&source).with_context(|| format!("{SOURCE} cannot be read"))?;
    let mut config = Config {
        language: Language::C,
        style: Style::Tag,
        documentation: true,
        documentation_style: DocumentationStyle::C99,
        usize_is_size_t: true,
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        header: Some(front(&text)),
        trailer: Some(TRAILER.to_owned()),
        tab_width: 4,
        line_length: 100,
        ..Config::default()
    };
    config.export.prefix = Some("LINEMAN_".to_owned());
    config.export.renaming_overrides_prefixing = true;
    config.export.rename = NAMES.map(|(rust, c)| (rust.to_owned(), c.to_owned())).into();
    config.export.include = NAMES.map(|(rust, _)| rust.to_owned()).into();
    // Not for C: how Rust looks the object up.
    config.export.exclude = vec!["SYMBOL".to_owned(), "Plugin".to_owned()];
    let bindings = Builder::new().with_config(config).with_src(&source).generate()?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    Ok(String::from_utf8(header)?)
}

/// What the source says of itself: it is the first page of the header too.
fn front(source: &str) -> String {
    let prose = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut front = String::from("/*\n");
    for line in prose {
        front += &format!(" *{line}\n");
    }
    front += " *\n * Written by `cargo xtask header`; what is changed here is lost.\n */\n";
    front + "\n#ifndef LINEMAN_PLUGIN_H\n#define LINEMAN_PLUGIN_H"
}
