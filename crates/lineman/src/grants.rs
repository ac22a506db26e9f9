//! What a plugin wants to reach beyond what every plugin may, and what the configuration grants it.

use std::path::{Path, PathBuf};

use lineman_config::{Config, Environment, Grants};
use lineman_model::Description;
use serde::Serialize;

/// One thing that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Wish {
    /// The variable or the path, as the plugin writes it.
    pub(crate) what: String,
    /// Whether the configuration grants it.
    pub(crate) granted: bool,
}

/// A plugin's wishes held against the grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Access {
    /// Environment variables that it would like to see.
    pub(crate) environment: Vec<Wish>,
    /// Paths that it would like to read.
    pub(crate) paths: Vec<Wish>,
    /// What is granted and was not asked for.
    pub(crate) unasked: Vec<String>,
}

impl Access {
    /// Compares what a plugin declares with what it is granted; a granted directory grants what is
    /// below it.
    pub(crate) fn of(plugin: &Description, granted: Option<&Grants>, env: &dyn Environment) -> Access {
        let none = Grants::default();
        let Grants { allow_env, allow_paths, .. } = granted.unwrap_or(&none);
        let wanted: Vec<PathBuf> = plugin.paths.iter().map(|path| at_home(path, env)).collect();
        let wish = |what: &String, granted| Wish { what: what.clone(), granted };
        let paths = plugin.paths.iter().zip(&wanted);
        let unasked_env = allow_env.iter().filter(|name| !plugin.environment.contains(name)).cloned();
        let related = |granted: &Path| wanted.iter().any(|path| path.starts_with(granted) || granted.starts_with(path));
        let unasked_paths = allow_paths.iter().filter(|path| !related(path)).map(|path| path.display().to_string());
        Access {
            environment: plugin.environment.iter().map(|name| wish(name, allow_env.contains(name))).collect(),
            paths: paths
                .map(|(what, path)| wish(what, allow_paths.iter().any(|granted| path.starts_with(granted))))
                .collect(),
            unasked: unasked_env.chain(unasked_paths).collect(),
        }
    }

    /// What is granted to enabled plugins that did not ask for it: perhaps a mistyped name.
    pub(crate) fn warnings<'a>(
        config: &Config,
        description: impl Fn(&str) -> Option<&'a Description>,
        env: &dyn Environment,
    ) -> Vec<String> {
        let plugins = config.plugins.grants.iter().filter_map(|(id, grants)| Some((id, grants, description(id)?)));
        let unasked = plugins.flat_map(|(id, grants, plugin)| {
            let unasked = Access::of(plugin, Some(grants), env).unasked;
            unasked.into_iter().map(move |what| {
                format!(
                    "`plugins.{id}` grants `{what}`, which the plugin does not ask for; see `lineman plugin info {id}`"
                )
            })
        });
        unasked.collect()
    }
}

/// Plugins do not know where home is: they say `~/`.
fn at_home(path: &str, env: &dyn Environment) -> PathBuf {
    let home = path.strip_prefix("~/").and_then(|rest| Some(Path::new(&env.var("HOME")?).join(rest)));
    home.unwrap_or_else(|| path.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn wishes_are_held_against_grants() {
        let plugin: Description = serde_json::from_value(json!({
            "id": "acme", "version": "1.0.0", "title": "Acme", "protocol": { "min": 1, "max": 1 },
            "operations": [], "checks": [],
            "environment": ["ACME_HOME", "ACME_PROFILE"], "paths": ["~/.acme/config", "/var/lib/acme"],
        }))
        .unwrap();
        let env = BTreeMap::from([("HOME".to_owned(), "/home/me".to_owned())]);
        let check = |allow_env: &[&str], allow_paths: &[&str], granted: &[&str], unasked: &[&str]| {
            let grants = Grants {
                allow_env: allow_env.iter().map(ToString::to_string).collect(),
                allow_paths: allow_paths.iter().map(PathBuf::from).collect(),
                ..Grants::default()
            };
            let access = Access::of(&plugin, Some(&grants), &env);
            let wishes = access.environment.iter().chain(&access.paths);
            let seen: Vec<&str> = wishes.filter(|wish| wish.granted).map(|wish| wish.what.as_str()).collect();
            assert_eq!(
                (seen.as_slice(), access.unasked.as_slice()),
                (granted, &unasked.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
        };
        check(&[], &[], &[], &[]);
        check(&["ACME_HOME"], &["/home/me/.acme"], &["ACME_HOME", "~/.acme/config"], &[]);
        check(&["ACME_HOM"], &["/home/me/.acm"], &[], &["ACME_HOM", "/home/me/.acm"]);
        // A part of what is wanted is no mistake, and not all that is wanted.
        check(&[], &["/var/lib/acme/keys"], &[], &[]);
        check(&[], &["/"], &["~/.acme/config", "/var/lib/acme"], &[]);
    }
}
