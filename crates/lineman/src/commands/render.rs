//! `lineman render`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::cli::{Common, RenderArgs};
use crate::failure::{Done, Failure};
use crate::terminal;

pub(crate) fn run(common: &Common, args: &RenderArgs) -> Done {
    let name = args.report.display();
    let bytes = read(&args.report).map_err(|error| Failure::refused(format_args!("{name} cannot be read: {error}")))?;
    let report = lineman_report::read(&bytes).map_err(|error| Failure::refused(format_args!("{name}: {error}")))?;
    let mut out = Vec::new();
    lineman_report::render(&report, args.format, &terminal::style(common), &mut out)?;
    terminal::print(&out)?;
    Ok(0)
}

pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    // One byte more than is allowed, so that too much is seen to be too much.
    let limit = lineman_report::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
