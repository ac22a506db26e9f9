use std::path::Path;

use lineman_host::{Host, HostOptions};
use lineman_report::wrap;

use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::terminal;

pub(super) fn run(library: &Path, out: &Path, licence: &str, common: &Common) -> Done {
    let library =
        library.canonicalize().map_err(|error| Failure::refused(format_args!("{}: {error}", library.display())))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let manifest = runtime
        .block_on(async { Host::start(HostOptions::new(String::new()))?.pack(&library, licence, out).await })
        .map_err(Failure::refused)?;
    let said = format!("Packed {} {} into {}.", manifest.id, manifest.version, out.display());
    terminal::print(wrap(&said, 0, &terminal::style(common)).as_bytes())?;
    Ok(0)
}
