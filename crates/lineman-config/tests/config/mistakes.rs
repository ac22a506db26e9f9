use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::{env, load_from, write};

/// A literal that no output may hold.
const LITERAL: &str = "hunter2-hunter2";

/// Loads files with mistakes in them and compares what a person sees.
fn check(name: &str, files: &[(&str, &str)]) {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    check_bytes(name, &files);
}

fn check_bytes(name: &str, files: &[(&str, &[u8])]) {
    let (directory, main) = write(files);
    check_path(name, directory.path(), &main);
}

fn check_path(name: &str, directory: &Path, main: &Path) {
    let error = load_from(main, &env(&[("HOME", "/home/me")])).expect_err(name);
    let mut shown = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        // The directory's name is not the same on every machine, and must not decide where a line ends.
        .with_wrap_lines(false)
        .render_report(&mut shown, &error)
        .unwrap();
    let shown = shown.replace(&format!("{}/", directory.display()), "");
    assert!(!shown.contains(LITERAL), "{name} shows the secret:\n{shown}");
    assert!(!shown.contains("hunter2"), "{name} shows a part of the secret:\n{shown}");
    assert!(!format!("{error:?}").contains("hunter2"), "{name} keeps the secret");
    let shown: String = shown.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

/// A mistake in an integration of one plugin whose other parts are right.
fn check_integration(name: &str, rest: &str) {
    let text = format!(
        "version = 1\nplugins.enable = [\"acme\"]\n\n[integration.prod]\nprovider = \"acme\"\n\
         settings.account_id = \"123456789012\"\nsettings.region = \"eu-west-1\"\n{rest}"
    );
    check(name, &[("lineman.toml", &text)]);
}

/// A mistake in the settings of an integration.
fn check_settings(name: &str, settings: &str) {
    let text = format!(
        "version = 1\nplugins.enable = [\"acme\"]\n\n[integration.prod]\nprovider = \"acme\"\n\n\
         [integration.prod.settings]\n{settings}"
    );
    check(name, &[("lineman.toml", &text)]);
}

/// A mistake outside of integrations.
fn check_main(name: &str, text: &str) {
    check(name, &[("lineman.toml", text)]);
}

#[test]
fn of_syntax_and_files() {
    check_main("syntax", "version = 1\n[plugins]\nenable = [\"acme\"\n\n[vantage]\nname = platform\n");
    check_main("syntax-duplicate-key", "version = 1\nversion = 1\n");
    check_main(
        "syntax-near-secrets",
        &format!(
            "version = 1\n[integration.prod.secrets]\nkey = {LITERAL}\nsession = \"{LITERAL}\nkey_id = {{ env = \"X\"\n"
        ),
    );
    check_main(
        "syntax-in-pasted-key",
        &format!("version = 1\n[integration.prod.secrets]\nkey = \"\"\"\n{LITERAL}\n\"\"\" x\n{LITERAL}==\n"),
    );
    check_main("syntax-control-characters", "version = 1\nname = \"\u{1b}[31mred\u{202e}\"\n");
    check_bytes("not-utf8", &[("lineman.toml", b"version = 1\n# caf\xe9\n")]);
    check_bytes("too-large", &[("lineman.toml", &b"# 1234567890\n".repeat(350_000))]);
    let (directory, inner) = write(&[("lineman.toml/file", b"")]);
    check_path("is-a-directory", directory.path(), inner.parent().unwrap());
    check_path("is-absent", directory.path(), &directory.path().join("absent.toml"));
}

#[test]
fn of_the_main_file() {
    check_main("version-missing", "[plugins]\nenable = []\n");
    check_main("version-unsupported", "version = 2\n");
    check_main("version-type", "version = \"1\"\n");
    check_main("unknown-top-level-key", "version = 1\n[integrations.prod]\nprovider = \"acme\"\n");
    check_main("plugin-unknown", "version = 1\nplugins.enable = [\"acmee\", \"zzz\", \"Acme\"]\n");
    check_main(
        "plugin-broken",
        "version = 1\nplugins.enable = [\"broken\", \"undescribed\"]\n[integration.a]\nprovider = \"broken\"\n",
    );
    check_main(
        "plugin-grants",
        "version = 1\n[plugins]\nenable = [\"acme\"]\n[plugins.acme]\nallow_envs = []\nallow_env = [\"A=B\"]\n[plugins.forge]\n",
    );
    check_main(
        "plugin-signatures",
        "version = 1\n[plugins]\nenable = []\ntrusted_keys = [\"RWQf6LRC\", 3]\nrequire_signatures = 1\n",
    );
    check_main("plugin-signatures-without-keys", "version = 1\n[plugins]\nenable = []\nrequire_signatures = true\n");
    check_main(
        "plugin-limits",
        "version = 1\nplugins.enable = [\"acme\"]\n[plugins.acme]\nmemory = \"2GiB\"\ntimeout = 3\nmax_parallel = 0\n",
    );
    check_main(
        "plugin-limits-odd",
        "version = 1\nplugins.enable = [\"acme\"]\n[plugins.acme]\nmemory = \"512\"\ntimeout = \"soon\"\nmax_parallel = \"4\"\n",
    );
    check_main(
        "policy",
        "version = 1\n[policy]\nallow_endpoint = []\ndeny_writes = \"no\"\nallow_endpoints = [\"https://a.example.com\", \"a.*\"]\ndeny_endpoints = \"*.example.com\"\n",
    );
    check_main(
        "history",
        "version = 1\n[history]\nenabled = \"no\"\nfingerprint_key = \"hunter2\"\nkeep = \"3 months\"\nmax_mb = 0\nmaxmb = 1\n",
    );
    check_main(
        "vantage",
        "version = 1\n[vantage]\nnmae = \"x\"\nname = 3\negress_ips = [\"203.0.113.0/33\", \"here\"]\necho_url = \"ftp://echo.example.com\"\n",
    );
    check_main(
        "defaults-unknown",
        "version = 1\nplugins.enable = [\"acme\"]\n[defaults.forge.settings]\n[defaults.acme.setings]\n",
    );
    check_main(
        "suppress",
        "version = 1\n[[suppress]]\nintegration = \"prdo\"\ncode = \"Key Old\"\nuntil = \"soon\"\n\n[[suppress]]\nuntil = 2027-01-31T00:00:00Z\nwhy = \"x\"\n",
    );
}

#[test]
fn of_includes() {
    check("include-empty", &[("lineman.toml", "version = 1\ninclude = [\"teams/*.toml\"]\n")]);
    check("include-pattern", &[("lineman.toml", "version = 1\ninclude = [\"teams/***\"]\n")]);
    check("include-type", &[("lineman.toml", "version = 1\ninclude = \"teams/*.toml\"\n")]);
    check(
        "include-loop",
        &[("lineman.toml", "version = 1\ninclude = [\"a.toml\"]\n"), ("a.toml", "include = [\"lineman.toml\"]\n")],
    );
    check_bytes(
        "include-not-utf8",
        &[("lineman.toml", b"version = 1\ninclude = [\"a.toml\"]\n"), ("a.toml", b"\n\xff")],
    );
    check("include-itself", &[("lineman.toml", "version = 1\ninclude = [\"*.toml\"]\n")]);
    check(
        "include-main-file-only",
        &[
            ("lineman.toml", "version = 1\ninclude = [\"a.toml\"]\n"),
            ("a.toml", "version = 1\n[plugins]\nenable = []\n[policy]\nallow_endpoints = [\"*.evil.net\"]\n"),
        ],
    );
    let integration = "[integration.prod]\nprovider = \"forge\"\nsettings.url = \"https://forge.example.com\"\n";
    check(
        "duplicate-integration",
        &[
            (
                "lineman.toml",
                &format!("version = 1\ninclude = [\"teams/*.toml\"]\nplugins.enable = [\"forge\"]\n{integration}"),
            ),
            ("teams/a.toml", integration),
            ("teams/b.toml", &format!("# Team B\n{integration}")),
        ],
    );
    check(
        "mistakes-in-several-files",
        &[
            ("lineman.toml", "version = 1\ninclude = [\"teams/*.toml\"]\nplugin.enable = []\n"),
            ("teams/a.toml", "[integration.a]\nprovider = 1\n"),
            ("teams/b.toml", "not toml\n"),
        ],
    );
}

#[test]
fn of_integrations() {
    check_main("provider-missing", "version = 1\n[integration.prod]\nowner = \"me\"\n");
    check_main("provider-not-enabled", "version = 1\n[integration.prod]\nprovider = \"acme\"\n");
    check_main("provider-unknown", "version = 1\n[integration.prod]\nprovider = \"acne\"\n");
    check_main(
        "integration-name",
        "version = 1\nplugins.enable = [\"unused\"]\n[integration.\"my prod\"]\nprovider = \"unused\"\n",
    );
    check_integration("integration-unknown-key", "labls = {}\nSettings = {}\n");
    check_integration("integration-types", "labels = { env = 1 }\nowner = \"\"\nrunbook = \"wiki\"\nrequires = {}\n");
    check_integration("allow-writes", "allow_writes = [\"acme/identity\", \"acme/putt\"]\n");
    check_integration(
        "requirement-twice",
        "requires = [{ id = \"a\", action = \"x\" }, { id = \"a\", action = \"y\" }, { id = 1, action = \"z\" }]\n",
    );
}

#[test]
fn of_requirements() {
    check_integration(
        "requirement-words",
        "[[integration.prod.requires]]\nid = \"a\"\naction = \"store:GetObject\"\nresorce = \"*\"\n[[integration.prod.requires]]\nresource = 1\n",
    );
}

#[test]
fn of_settings() {
    check_settings("settings-missing", "region = \"eu-west-1\"\n");
    check_integration(
        "settings-unknown-key",
        "settings.regoin = \"x\"\nsettings.retry.atempts = 3\nsettings.retry.zzzzzzz = 3\n",
    );
    check_integration("settings-secret-key", &format!("settings.session = \"{LITERAL}\"\n"));
    check_settings(
        "settings-invalid",
        "account_id = \"12\"\nregion = \"eu-wset-1\"\nports = [1, \"2\", 0]\nretry = 3\nconsole = \"no\"\n",
    );
    check_settings("settings-numbers", "account_id = 123456789012\nregion = nan\nports = [99999999999999999999]\n");
    check_settings(
        "settings-password-in-url",
        &format!(
            "account_id = \"123456789012\"\nregion = \"eu-west-1\"\nconsole = \"https://me:{LITERAL}@example.com/\"\n"
        ),
    );
    check_main(
        "settings-wrong-default",
        "version = 1\nplugins.enable = [\"acme\"]\n[defaults.acme.settings]\nregion = 1\n\
         [integration.a]\nprovider = \"acme\"\nsettings.account_id = \"123456789012\"\n\
         [integration.b]\nprovider = \"acme\"\nsettings.account_id = \"123456789012\"\n",
    );
}

#[test]
fn of_secrets() {
    check_integration(
        "secret-literal",
        &format!("[integration.prod.secrets]\nkey_id = \"{LITERAL}\"\nkey = {{ env = \"KEY\" }}\n"),
    );
    check_integration(
        "secret-literal-of-many-lines",
        &format!("[integration.prod.secrets]\nkey = \"\"\"\n{LITERAL}\n{LITERAL}\n\"\"\"\n"),
    );
    check_integration(
        "secret-literal-value-key",
        &format!("[integration.prod.secrets]\nkey = {{ value = \"{LITERAL}\" }}\n"),
    );
    check_integration(
        "secret-literal-everywhere",
        &format!("secrets = \"{LITERAL}\"\npassword = \"{LITERAL}\"\nwhatever = [\"{LITERAL}\"]\n"),
    );
    check_integration("secret-literal-in-context", &format!("ownr = \"me\"\nsecrets.key = \"{LITERAL}\"\n"));
    check_integration(
        "secret-literal-commented-out",
        &format!("[integration.prod.secrets]\n# key = \"{LITERAL}\"\nkei = {{ env = \"KEY\" }} # {LITERAL}\n"),
    );
    check_integration("secret-unknown", "[integration.prod.secrets]\nkeyid = { env = \"KEY\" }\n");
    check_main(
        "secret-none-taken",
        "version = 1\nplugins.enable = [\"forge\"]\n[integration.prod]\nprovider = \"forge\"\nsettings.url = \"https://x.example\"\nsecrets.token = { env = \"T\" }\n",
    );
    check_integration("reference-empty", "[integration.prod.secrets]\nkey = {}\nkey_id = { json_pointer = \"/a\" }\n");
    check_integration("reference-ambiguous", "[integration.prod.secrets]\nkey = { env = \"KEY\", file = \"key\" }\n");
    check_integration(
        "reference-parts",
        "[integration.prod.secrets]\nkey = { env = \"my key\", json_pointer = \"data\" }\nkey_id = { command = \"vault read\" }\nsession = { command = [], files = 1 }\n",
    );
}

#[test]
fn of_connections() {
    check_integration("proxy-password-odd", &format!("connection.proxy = \"http://me:a 'b/{LITERAL}@proxy\"\n"));
    check_integration("proxy-password-escaped", &format!("connection.proxy = \"http://me:{LITERAL}\\u0040proxy\"\n"));
    check_integration("proxy-password-in-broken-file", &format!("connection.proxy = http://me:{LITERAL}@proxy\n"));
    check_integration(
        "connection",
        "[integration.prod.connection]\nendpoint = \"x\"\nendpoint_url = \"127.0.0.1:5000\"\nendpoints = { sotre = \"https://x.example\", tokens = \"nowhere\" }\n\
         proxy = \"proxy.internal:3128\"\ntimeout = \"10 seconds\"\nno_proxy = 1\nallow_link_local = \"yes\"\nca_file = 3\n",
    );
    check_integration("duration-number", "connection.timeout = 10\n");
    check_integration("proxy-password", &format!("connection.proxy = \"http://me:{LITERAL}@proxy.internal:3128\"\n"));
    check_integration("proxy-reference", "connection.proxy = { env = \"P\", file = \"p\" }\n");
    check_integration("endpoint-password", &format!("connection.endpoint_url = \"https://me:{LITERAL}@x.example\"\n"));
}
