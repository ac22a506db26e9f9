use std::path::{Path, PathBuf};

use lineman_config::{ConfigError, SecretSource, enabled, load};
use lineman_model::{CaBundle, EndpointPattern};
use serde_json::json;

use crate::{EXAMPLE, env, load_from, machine, write};

const TEAM: &str = "[integration.forge]\nprovider = \"forge\"\nsettings.url = \"ssh://git@forge.example.com/x.git\"\n\
                    secrets = {}\nconnection.proxy = { env = \"PROXY\" }\n";

#[test]
fn the_example_says_what_it_means() {
    let (directory, main) = write(&[("lineman.toml", EXAMPLE.as_bytes()), ("teams/forge.toml", TEAM.as_bytes())]);
    let team = directory.path().join("teams/forge.toml");
    // A plugin without secrets takes an empty table of them.
    let config = load_from(&main, &env(&[("HOME", "/home/me"), ("http_proxy", "other:1")])).unwrap();
    assert_eq!(config.files, [main.clone(), team]);
    assert_eq!(config.vantage.name.as_deref(), Some("platform-eu"));
    let egress: Vec<String> = config.vantage.egress_ips.iter().map(ToString::to_string).collect();
    assert_eq!(egress, ["203.0.113.0/28", "2001:db8::1/128"]);
    assert_eq!(config.vantage.echo_url.as_ref().map(|url| url.as_str()), Some("https://echo.example.com/ip"));
    assert_eq!(config.plugins.enable, ["acme", "forge"]);
    assert_eq!(config.plugins.grants["acme"].allow_env, ["ACME_CONFIG"]);
    let paths = [Path::new("/home/me/.acme").to_owned(), directory.path().join("shared")];
    assert_eq!(config.plugins.grants["acme"].allow_paths, paths);
    let limits = &config.plugins.grants["acme"];
    assert_eq!((limits.memory, limits.timeout_ms, limits.max_parallel), (Some(512 << 20), Some(20_000), Some(4)));
    assert!(config.plugins.require_signatures && config.plugins.trusted_keys[0].starts_with("RWQf6LRC"));
    assert!(config.policy.deny_writes);
    let shown = |patterns: &[EndpointPattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let allowed = config.policy.endpoints.allow.as_deref().map(shown).unwrap_or_default();
    assert_eq!(allowed, ["*.example.com", "*.internal", "127.0.0.0/8"]);
    assert_eq!(shown(&config.policy.endpoints.deny), ["evil.example.com", "203.0.113.7/32"]);
    let history = &config.history;
    assert_eq!((history.enabled, history.keep_days, history.max_mb), (true, 30, 16));
    assert_eq!(history.directory.as_deref(), Some(Path::new("/home/me/state")));
    let key = history.fingerprint_key.as_ref().map(|key| &key.source);
    assert_eq!(key, Some(&SecretSource::Env("LINEMAN_KEY".into())));
    let suppression = &config.suppress[0];
    assert_eq!((suppression.code.as_str(), suppression.until.to_string().as_str()), ("acme/key-old", "2027-01-31"));

    let [forge, acme] = config.integrations.as_slice() else { panic!("{:?}", config.integrations) };
    assert_eq!(forge.integration.name, "forge");
    assert_eq!(forge.proxy.as_ref().map(|proxy| &proxy.source), Some(&SecretSource::Env("PROXY".into())));
    assert!(forge.integration.connection.proxies.is_empty());

    let integration = &acme.integration;
    assert_eq!(integration.labels["team"], "payments");
    let profile = directory.path().join("profiles/prod");
    assert_eq!(
        serde_json::Value::from(integration.settings.clone()),
        json!({
            "region": "eu-west-1",
            "retry": { "attempts": 3 },
            "account_id": "123456789012",
            "profile_file": profile.to_str(),
        })
    );
    assert_eq!(acme.paths, [profile, "/etc/ssl/corp.pem".into()], "what the settings and the connection name");
    assert!(forge.paths.is_empty(), "{:?}", forge.paths);
    let connection = &integration.connection;
    assert_eq!(connection.endpoint("tokens"), Some("https://vpce-1.tokens.internal"));
    assert_eq!(connection.timeout_ms, Some(90_000));
    assert_eq!(connection.no_proxy.as_deref(), Some("localhost,.internal"));
    let proxies: Vec<_> = connection.proxies.iter().map(|p| (&*p.scheme, p.url.expose(), &*p.chosen_by)).collect();
    assert_eq!(proxies, [("all", "http://proxy.internal:3128", "connection.proxy")]);
    let ids: Vec<_> = integration.requires.iter().map(|requirement| &*requirement.id).collect();
    assert_eq!(ids, ["state", "requires[1]"]);
    assert_eq!(integration.requires[0].words["action"], "store:PutObject");

    assert_eq!(acme.secrets["key"].source, SecretSource::File("/run/secrets/prod-acme".into()));
    assert_eq!(acme.secrets["session"].json_pointer.as_deref(), Some("/data/security_token"));
    assert_eq!(acme.required_secrets, ["key_id", "key"]);
    assert_eq!(acme.allow_writes, ["acme/put"]);
    let line = EXAMPLE.lines().position(|line| line == "[integration.prod-acme]").unwrap() + 1;
    assert_eq!((&acme.place.file, acme.place.line, acme.place.column), (&main, line, 14));
}

/// The settings of an integration under defaults, as JSON; `$DIR` is the directory of the file.
fn check_settings(defaults: &str, own: &str, expect: serde_json::Value) {
    let text = format!(
        "version = 1\nplugins.enable = [\"acme\"]\n[defaults.acme.settings]\nregion = \"us-east-1\"\n{defaults}\n\
         [integration.x]\nprovider = \"acme\"\n[integration.x.settings]\naccount_id = \"123456789012\"\n{own}"
    );
    let (directory, main) = write(&[("lineman.toml", text.as_bytes())]);
    let config = load_from(&main, &env(&[("HOME", "/home/me")])).unwrap();
    let settings = serde_json::to_string(&config.integrations[0].integration.settings).unwrap();
    let mut settings: serde_json::Value =
        serde_json::from_str(&settings.replace(directory.path().to_str().unwrap(), "$DIR")).unwrap();
    settings.as_object_mut().unwrap().remove("account_id");
    assert_eq!(settings, expect, "{defaults} under {own}");
}

#[test]
fn settings_lie_over_the_defaults_and_their_paths_are_absolute() {
    check_settings("", "", json!({ "region": "us-east-1" }));
    check_settings("", "region = \"eu-west-1\"", json!({ "region": "eu-west-1" }));
    check_settings(
        "retry = { attempts = 3, log_file = \"log\" }\nports = [1, 2]",
        "retry = { attempts = 5 }\nports = [3]",
        json!({ "region": "us-east-1", "retry": { "attempts": 5, "log_file": "$DIR/log" }, "ports": [3] }),
    );
    check_settings(
        "profile_file = \"a\"",
        "profile_file = \"./b/../c\"",
        json!({ "region": "us-east-1", "profile_file": "$DIR/b/../c" }),
    );
    check_settings("", "profile_file = \"~/x\"", json!({ "region": "us-east-1", "profile_file": "/home/me/x" }));
    check_settings("", "profile_file = \"/x\"", json!({ "region": "us-east-1", "profile_file": "/x" }));
}

/// The proxies as `scheme url chosen_by`, and the certificates, that an environment gives.
fn check_environment(pairs: &[(&str, &str)], proxies: &[&str], ca: Option<CaBundle>, no_proxy: Option<&str>) {
    let text = "version = 1\nplugins.enable = [\"unused\"]\n[integration.x]\nprovider = \"unused\"\n";
    let (_directory, main) = write(&[("lineman.toml", text.as_bytes())]);
    let config = load_from(&main, &env(pairs)).unwrap();
    let connection = &config.integrations[0].integration.connection;
    let found = connection.proxies.iter().map(|p| format!("{} {} {}", p.scheme, p.url.expose(), p.chosen_by));
    assert_eq!(found.collect::<Vec<_>>(), proxies, "{pairs:?}");
    let named: Vec<PathBuf> = ca.iter().flat_map(|ca| ca.file.iter().chain(&ca.directory)).map(PathBuf::from).collect();
    assert_eq!(connection.ca, ca, "{pairs:?}");
    assert_eq!(config.integrations[0].paths, named, "{pairs:?}");
    assert_eq!(connection.no_proxy.as_deref(), no_proxy, "{pairs:?}");
}

#[test]
fn the_environment_speaks_where_the_file_is_silent() {
    check_environment(&[], &[], None, None);
    check_environment(&[("HTTPS_PROXY", "p:3128")], &["https http://p:3128 HTTPS_PROXY"], None, None);
    check_environment(&[("HTTPS_PROXY", "a:1"), ("https_proxy", "b:2")], &["https http://b:2 https_proxy"], None, None);
    // A web server hands a request's `Proxy` header to its programs under this name.
    check_environment(&[("HTTP_PROXY", "p:3128")], &[], None, None);
    check_environment(
        &[("http_proxy", "socks5://p"), ("ALL_PROXY", "q:1"), ("NO_PROXY", "a,.b"), ("https_proxy", "")],
        &["http socks5://p http_proxy", "all http://q:1 ALL_PROXY"],
        None,
        Some("a,.b"),
    );
    let ca = |file: Option<&str>, directory: Option<&str>, chosen_by: &str| {
        let (file, directory) = (file.map(str::to_owned), directory.map(str::to_owned));
        Some(CaBundle { file, directory, chosen_by: chosen_by.to_owned() })
    };
    check_environment(&[("SSL_CERT_FILE", "/a.pem")], &[], ca(Some("/a.pem"), None, "SSL_CERT_FILE"), None);
    check_environment(
        &[("SSL_CERT_FILE", "/a.pem"), ("SSL_CERT_DIR", "/certs")],
        &[],
        ca(Some("/a.pem"), Some("/certs"), "SSL_CERT_FILE, SSL_CERT_DIR"),
        None,
    );
}

#[test]
fn a_plugin_that_is_not_enabled_is_not_looked_at() {
    let text =
        "version = 1\nplugins.enable = [\"forge\"]\n[integration.x]\nprovider = \"forge\"\nsettings.url = \"x\"\n";
    let (_directory, main) = write(&[("lineman.toml", text.as_bytes())]);
    assert_eq!(enabled(&main).unwrap(), ["forge"]);
    let machine = machine();
    load(&main, &machine, &env(&[])).unwrap();
    assert!(machine.asked.borrow().iter().all(|id| id == "forge"), "{:?}", machine.asked);
}

#[test]
fn the_first_step_sees_only_the_mistakes_that_are_in_its_way() {
    let check = |text: &str, expect: Result<&[&str], &str>| {
        let (_directory, main) = write(&[("lineman.toml", text.as_bytes())]);
        let code = |error: ConfigError| miette::Diagnostic::code(&error).map(|code| code.to_string());
        let found = enabled(&main).map_err(|error| code(error).unwrap_or_default());
        let expect = expect.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()).map_err(str::to_owned);
        assert_eq!(found, expect, "{text}");
    };
    check("version = 7\nzzz = 1\n", Ok(&[]));
    check("plugins.enable = [\"a\", \"b\"]\n[integration.x]\n", Ok(&["a", "b"]));
    check("plugins.enable = [\"../a\"]\n", Err("config/bad-name"));
    check("plugins.enable = 1\n", Err("config/wrong-type"));
    check("plugins = \n", Err("config/syntax"));
}

#[test]
fn a_file_is_read_once_however_often_it_is_included() {
    let main = "version = 1\ninclude = [\"a.toml\", \"*/../b.toml\", \"b.toml\", \"sub/*.toml\"]\nplugins.enable = [\"unused\"]\n";
    let (directory, main) = write(&[
        ("lineman.toml", main.as_bytes()),
        ("a.toml", b"include = [\"b.toml\"]\n"),
        ("b.toml", b"[integration.b]\nprovider = \"unused\"\n"),
        ("sub/c.toml", b"[integration.a]\nprovider = \"unused\"\n"),
    ]);
    let config = load_from(&main, &env(&[])).unwrap();
    let names: Vec<_> = config.integrations.iter().map(|configured| &*configured.integration.name).collect();
    assert_eq!(names, ["a", "b"]);
    let files: Vec<_> = config.files.iter().map(|file| file.strip_prefix(directory.path()).unwrap()).collect();
    assert_eq!(files, ["lineman.toml", "a.toml", "b.toml", "sub/c.toml"].map(Path::new));
}
