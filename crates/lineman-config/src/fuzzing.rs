//! Ways for the fuzz targets into what this crate keeps to itself. No other build has them.

use std::collections::BTreeMap;
use std::path::Path;

use lineman_model::Description;

use crate::error::Mistakes;
use crate::source::Source;
use crate::{Config, ConfigError, Installed};

/// A machine on which these plugins are installed.
struct Machine<'a>(&'a [Description]);

impl Installed for Machine<'_> {
    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|plugin| plugin.id.clone()).collect()
    }

    fn description(&self, id: &str) -> Option<&Description> {
        self.0.iter().find(|plugin| plugin.id == id)
    }
}

/// [`load`](crate::load()), on a text that stands in no file; includes are not followed.
pub fn load(text: &str, plugins: &[Description]) -> Result<Config, ConfigError> {
    let mistakes = Mistakes::default();
    let source =
        Source::given(Path::new("/etc/lineman.toml"), 0, "lineman.toml".to_owned(), text.to_owned(), &mistakes);
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
    crate::load::read(&[source], mistakes, &Machine(plugins), &environment)
}

/// Draws the mistakes as a person sees them.
pub fn show(error: &ConfigError) -> String {
    let mut drawn = String::new();
    // Writing into a text cannot fail.
    _ = miette::GraphicalReportHandler::new().with_width(80).render_report(&mut drawn, error);
    drawn
}
