use std::path::Path;

use lineman_host::{Arrival, Host, HostOptions};
use lineman_report::{next_command, wrap};

use super::enable;
use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::{terminal, trust};

pub(super) fn run(common: &Common, package: &Path, enable: bool) -> Done {
    let destination = trust::destination(common)?;
    let table = trust::table(common)?;
    let trust = trust::of(common, &table);
    let path = package
        .canonicalize()
        .map_err(|error| Failure::refused(format_args!("{} cannot be read: {error}", package.display())))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let arrival = runtime.block_on(async {
        let host = Host::start(HostOptions::new(String::new()))?;
        let (package, source) = host.open(&path).await?;
        host.install(package.directory(), &source, &destination, trust.keys()).await
    });
    let arrival = arrival.map_err(|error| Failure::refused(format_args!("{error}; nothing was installed")))?;
    let id = arrival.installed.id().to_owned();
    let style = terminal::style(common);
    let mut text = wrap(&announcement(&arrival), 0, &style);

    let plugins = Plugins::find(common);
    if let Some(first) = plugins.installed(&id).filter(|first| first.directory != arrival.installed.directory) {
        text += &wrap(&format!("! It is hidden by the one in {}.", first.directory.display()), 0, &style);
    }
    let enabled = table.enable.contains(&id);
    if enable && !enabled {
        terminal::print(text.as_bytes())?;
        return enable::run(common, &[id]);
    }
    let next = match enabled {
        true => {
            trust::accept(&trust, &plugins, &table.enable, std::slice::from_ref(&id))
                .map_err(|error| trust::refusal(&error, common))?;
            text += &wrap(&format!("Accepted it in {}.", trust.lock_file().display()), 0, &style);
            trust::words(common, &["check", "--provider", &id])
        }
        false => trust::words(common, &["plugin", "enable", &id]),
    };
    let next: Vec<&str> = next.iter().map(String::as_str).collect();
    terminal::print((text + &next_command(&next, &style)).as_bytes())?;
    Ok(0)
}

fn announcement(arrival: &Arrival) -> String {
    let it = &arrival.installed;
    let mut text = format!("Installed {} {} into {}", it.id(), it.manifest.version, it.directory.display());
    match &arrival.replaced {
        Some(version) if *version == it.manifest.version => text += ", in place of the same version",
        Some(version) => text += &format!(", in place of {version}"),
        None => {}
    }
    text += match &arrival.signed_by {
        Some(_) => "; signed by ",
        None => ".",
    };
    text + &arrival.signed_by.as_ref().map(|key| format!("{key}.")).unwrap_or_default()
}
