//! What a monitoring plugin writes: the modules of the plugin `exec`, which is a dynamic library.

#![no_main]

#[path = "../../plugins/exec/src/perfdata.rs"]
mod perfdata;
#[path = "../../plugins/exec/src/placeholder.rs"]
mod placeholder;
#[path = "../../plugins/exec/src/said.rs"]
mod said;

use placeholder::Piece;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let said = said::Said::read(data);
    assert!(said.summary().is_none_or(|summary| !summary.is_empty()));
    for measure in &said.measures {
        assert!(!measure.to_string().is_empty() && measure.complaint().is_none_or(|complaint| !complaint.is_empty()));
    }
    // A text is the sum of its pieces.
    let text = String::from_utf8_lossy(data);
    let whole = placeholder::pieces(&text).into_iter().map(|piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Secret(name) => format!("{{secret:{name}}}"),
        Piece::File(name) => format!("{{file:{name}}}"),
    });
    assert_eq!(whole.collect::<String>(), text);
    assert!(placeholder::foreign_macro(&text).is_none_or(|found| text.contains(found) && found.len() > 2));
});
