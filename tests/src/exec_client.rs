use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fault::{Answer, Integration};
use crate::namespace::Namespace;
use crate::server::{clean_command, wrap};

/// Seconds that a program may take.
const LIMIT: &str = "6";

/// A monitoring system: it runs the program with every placeholder filled, secrets in the arguments
/// included, as Nagios fills its macros.
#[derive(Debug)]
pub struct ExecClient {
    directory: PathBuf,
}

impl ExecClient {
    /// A client that works in a directory.
    pub fn new(directory: &Path) -> Result<ExecClient> {
        let client = ExecClient { directory: directory.join("exec-client") };
        fs::create_dir_all(&client.directory)?;
        Ok(client)
    }

    /// Runs the program: only OK is good.
    pub fn ask(&self, id: &str, integration: &Integration, namespace: Option<&Namespace>) -> Result<Answer> {
        let program = integration.setting("program").context("the integration has a `program`")?;
        let own = self.directory.join(id);
        fs::create_dir_all(&own)?;
        let fill = |text: &str| self.fill(text, &own, integration);
        let files = integration.settings.get("files").and_then(toml::Value::as_table);
        for (name, content) in files.into_iter().flatten() {
            fs::write(own.join(name), fill(content.as_str().unwrap_or_default())?)?;
        }
        let args = integration.settings.get("args").and_then(toml::Value::as_array);
        let args = args.into_iter().flatten().map(|arg| fill(arg.as_str().unwrap_or_default()));
        let mut command = clean_command(program);
        command.args(args.collect::<Result<Vec<_>>>()?).current_dir(&own);
        let mut limited = wrap(&["timeout", "--kill-after=1", LIMIT], &command);
        if let Some(namespace) = namespace {
            limited = namespace.enter(&limited);
        }
        let output = limited.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(match output.status.success() {
            true => Answer::Works,
            false => Answer::Fails(format!("{program} ({}): {}", output.status, String::from_utf8_lossy(&said))),
        })
    }

    fn fill(&self, text: &str, own: &Path, integration: &Integration) -> Result<String> {
        let mut filled = text.to_owned();
        for name in integration.secrets.keys() {
            let value = integration.secret(name)?.unwrap_or_default();
            filled = filled.replace(&format!("{{secret:{name}}}"), &value);
        }
        while let Some((before, (name, after))) =
            filled.split_once("{file:").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            filled = format!("{before}{}{after}", own.join(name).display());
        }
        Ok(filled)
    }
}
