use lineman_config::schema;
use serde_json::Value;

use crate::{EXAMPLE, acme, forge};

/// Whether an editor with the schema finds the text good.
fn accepts(text: &str) -> bool {
    let schema = schema(&[&acme(), &forge()]);
    jsonschema::meta::validate(&schema).unwrap();
    let document: toml::Table = toml::from_str(text).unwrap();
    jsonschema::validator_for(&schema).unwrap().is_valid(&json(toml::Value::Table(document)))
}

/// The document as an editor sees it: dates are text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(entries) => entries.into_iter().map(|(key, value)| (key, json(value))).collect(),
        other => serde_json::to_value(other).unwrap(),
    }
}

#[test]
fn the_schema_takes_the_example_and_no_mistake_in_it() {
    assert!(accepts(EXAMPLE));
    let check = |right: &str, wrong: &str| {
        let text = EXAMPLE.replacen(right, wrong, 1);
        assert_ne!(text, EXAMPLE, "{right}");
        assert!(!accepts(&text), "{right} → {wrong}");
    };
    check("version = 1", "version = 2");
    check("[plugins]\n", "[plugin]\n");
    check("enable = [\"acme\"", "enable = [\"acmee\"");
    check("allow_env", "allow_envs");
    check("\"512MiB\"", "\"512MB\"");
    check("\"20s\"", "20");
    check("max_parallel = 4", "max_parallel = 0");
    check("\"RWQf6", "\"RWQf6=");
    check("require_signatures = true", "require_signatures = \"yes\"");
    check("deny_writes = true", "deny_write = true");
    check("\"*.internal\"", "\"https://a.internal\"");
    check("egress_ips = [", "egress_ips = [1,");
    check("fingerprint_key = {", "fingerprint_keys = {");
    check("keep = \"30d\"", "keep = \"30 days\"");
    check("max_mb = 16", "max_mb = 0");
    check("[defaults.acme.settings]", "[defaults.acne.settings]");
    check("region = \"eu-west-1\"", "region = \"eu-wset-1\"");
    check("attempts = 3", "atempts = 3");
    check("[integration.prod-acme]\n", "[integration.\"my prod\"]\nprovider = \"acme\"\n[integration.prod-acme]\n");
    check("provider = \"acme\"", "provider = \"acne\"");
    check("provider = \"acme\"", "");
    check("owner =", "ownr =");
    check("\"acme/put\"", "\"acme/identity\"");
    check("account_id = \"123456789012\"", "account_id = 12");
    check("account_id =", "acount_id =");
    check("{ env = \"PROD_ACME_KEY_ID\" }", "\"literal\"");
    check("{ env = \"PROD_ACME_KEY_ID\" }", "{}");
    check("{ env = \"PROD_ACME_KEY_ID\" }", "{ env = \"A\", file = \"b\" }");
    check("key_id = {", "keyid = {");
    check("\"/data/security_token\"", "\"data\"");
    check("endpoints = { tokens", "endpoints = { tokns");
    check("proxy = \"http://", "proxy = \"");
    check("\"1m30s\"", "\"90 seconds\"");
    check("id = \"state\"", "id = 1");
    check("action = \"store:GetObject\"", "");
    check("resource = \"acme:", "resorce = \"acme:");
    check("code = \"acme/key-old\"", "code = \"key old\"");
    check("until = 2027-01-31", "until = \"soon\"");
    check("reason = \"rotation planned\"", "");
}

#[test]
fn without_plugins_any_provider_is_taken() {
    let schema = schema(&[]);
    let document: toml::Table = toml::from_str(EXAMPLE).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&json(toml::Value::Table(document))));
}
