use std::collections::BTreeMap;
use std::fmt::Write as _;

use lineman_catalog::Catalog;
use lineman_model::{Cause, CheckInfo, Description, Finding, clean, clean_line};
use serde_json::{Map, Value};

/// Longest text in one place of a page.
const LONGEST: usize = 4_000;
const LONGEST_EXAMPLE: usize = 10_000;
/// How deep tables within settings are shown.
const DEEPEST: usize = 4;

/// The page of a plugin in a site's documentation, as Markdown: what it checks, what that takes,
/// what can be configured, and every failure that its catalog knows. It is made of what the plugin
/// says of itself, and so cannot be out of date.
pub fn reference(plugin: &Description, catalog: &Catalog) -> String {
    let mut page = String::new();
    let id = &plugin.id;
    _ = writeln!(page, "# {}\n", prose(&plugin.title));
    _ = writeln!(
        page,
        "<!-- Written by `lineman plugin info {id} --format markdown`: change the plugin instead. -->\n"
    );
    _ = writeln!(page, "Plugin `{id}`, by {}.", prose(&plugin.publisher));
    if let Some(url) = &plugin.docs_url {
        _ = writeln!(page, "Its own documentation: {}.", link(url, url));
    }
    if !plugin.example.is_empty() {
        let example = clean(&plugin.example, LONGEST_EXAMPLE).replace("```", "");
        _ = writeln!(page, "\n```toml\n{}\n```", example.trim_end());
    }
    section(&mut page, "Checks", &["level", "check", "a pass proves", "after"], checks(plugin));
    section(&mut page, "Permissions", &["check", "call", "needs"], calls(plugin));
    let least = least(plugin);
    if !least.is_empty() {
        _ = writeln!(page, "\nAll in all: {}.", least.join(", "));
    }
    section(&mut page, "Settings", &["setting", "what it is", ""], properties(&plugin.settings));
    section(&mut page, "Secrets", &["secret", "what it is", ""], properties(&plugin.secrets));
    section(&mut page, "Requirements", &["word", "what it is", ""], properties(&plugin.requires));
    let services = plugin.services.iter().map(|service| vec![code(&service.name), cell(&service.about)]);
    section(&mut page, "Endpoints", &["`connection.endpoints`", "what it is"], services.collect());
    section(&mut page, "What it reaches", &["kind", "what"], reaches(plugin));
    failures(&mut page, catalog);
    page
}

fn section(page: &mut String, title: &str, headers: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    _ = writeln!(page, "\n## {title}\n");
    // A column in which nothing stands says nothing.
    let shown: Vec<usize> =
        (0..headers.len()).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
    let mut line = |cells: &[String]| {
        let cells: Vec<&str> = shown.iter().map(|column| cells[*column].as_str()).collect();
        _ = writeln!(page, "| {} |", cells.join(" | "));
    };
    line(&headers.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); headers.len()]);
    rows.iter().for_each(|row| line(row));
}

fn checks(plugin: &Description) -> Vec<Vec<String>> {
    let row = |check: &CheckInfo| {
        let needs: Vec<String> = check.needs.iter().map(|need| code(need)).collect();
        vec![check.level.to_string(), code(&check.id), cell(&(check.title.clone() + &remarks(check))), needs.join(", ")]
    };
    plugin.checks.iter().map(row).collect()
}

/// What is not usual about a check.
fn remarks(check: &CheckInfo) -> String {
    let mut remarks = Vec::new();
    if check.explains {
        remarks.push("runs where it could explain a failure".to_owned());
    } else if !check.required {
        remarks.push("optional".to_owned());
    }
    if check.writes {
        remarks.push("writes, and so runs only where the configuration allows it".to_owned());
    }
    if check.deprecated {
        let instead = check.replaced_by.as_ref().map(|other| format!(": use {other}")).unwrap_or_default();
        remarks.push(format!("deprecated{instead}"));
    }
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) }
}

fn calls(plugin: &Description) -> Vec<Vec<String>> {
    let calls = plugin.checks.iter().flat_map(|check| check.calls.iter().map(move |call| (check, call)));
    let row = |(check, call): (&CheckInfo, &lineman_model::ProviderCall)| {
        let needs = call.permission.as_deref().map_or_else(|| "no permission".to_owned(), permission);
        vec![code(&check.id), code(&call.call), needs]
    };
    calls.map(row).collect()
}

/// Every permission that a check of the plugin needs, once.
fn least(plugin: &Description) -> Vec<String> {
    let permissions = plugin.checks.iter().flat_map(|check| &check.calls).filter_map(|call| call.permission.as_deref());
    let mut least: Vec<String> = permissions.map(permission).collect();
    least.sort();
    least.dedup();
    least
}

/// A permission as the provider spells it, or what is said of one.
fn permission(text: &str) -> String {
    if text.contains(char::is_whitespace) { cell(text) } else { code(text) }
}

fn reaches(plugin: &Description) -> Vec<Vec<String>> {
    let kinds = [
        ("host", &plugin.hosts),
        ("program", &plugin.programs),
        ("variable, if granted", &plugin.environment),
        ("path, if granted", &plugin.paths),
    ];
    let filled = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    filled
        .map(|(kind, names)| {
            let names: Vec<String> = names.iter().map(|name| code(name)).collect();
            vec![kind.to_owned(), names.join(", ")]
        })
        .collect()
}

/// What a schema takes: name, what it is, and whether it must be there or what it is otherwise.
fn properties(schema: &Map<String, Value>) -> Vec<Vec<String>> {
    let schema = Value::Object(schema.clone());
    let mut rows = Vec::new();
    table(&schema, &schema, "", DEEPEST, &mut rows);
    rows
}

fn table(root: &Value, schema: &Value, prefix: &str, deep: usize, rows: &mut Vec<Vec<String>>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in properties {
        let shape = resolved(root, property);
        let text = |word: &str| property.get(word).or(shape.get(word)).and_then(Value::as_str);
        let mut about = text("description").unwrap_or_default().to_owned();
        let choices = choices(shape);
        if !choices.is_empty() {
            about += &format!(" One of {}.", choices.join(", "));
        }
        if property.get("deprecated").and_then(Value::as_bool) == Some(true) {
            about += " Deprecated";
            about += &text("replaced_by").map_or_else(|| ".".to_owned(), |other| format!(": use `{other}`."));
        }
        let otherwise = match property.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::String(text)) => code(text),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => code(&value.to_string()),
            _ => String::new(),
        };
        rows.push(vec![code(&format!("{prefix}{name}")), cell(about.trim_start()), otherwise]);
        if deep > 0 {
            table(root, shape, &format!("{prefix}{name}."), deep - 1, rows);
        }
    }
}

/// What a schema refers to within its document, through what only makes it optional.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEEPEST {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|at| root.pointer(at.strip_prefix('#')?));
        let some = || {
            let mut options = schema.get("anyOf")?.as_array()?.iter();
            options.find(|option| option.get("type").and_then(Value::as_str) != Some("null"))
        };
        match target.or_else(some) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The words that a schema chooses from, each with what it says of them.
fn choices(schema: &Value) -> Vec<String> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let mut choices: Vec<String> = plain.filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    for option in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        if let Some(word) = option.get("const").and_then(Value::as_str) {
            let about = option.get("description").and_then(Value::as_str).map(|about| about.trim_end_matches('.'));
            choices.push(about.map_or_else(|| format!("`{word}`"), |about| format!("`{word}` ({about})")));
        } else {
            choices.extend(self::choices(option));
        }
    }
    choices
}

fn failures(page: &mut String, catalog: &Catalog) {
    let mut by_cause: BTreeMap<&Cause, Vec<Finding>> = BTreeMap::new();
    let alive = catalog.rules().iter().filter(|rule| !rule.deprecated);
    for rule in alive {
        by_cause.entry(&rule.cause).or_default().extend(catalog.describe(&rule.code));
    }
    if by_cause.is_empty() {
        return;
    }
    _ = writeln!(page, "\n## Failures it knows\n");
    _ = writeln!(page, "The same in a check's findings and in `lineman explain`; `…` stands for what is seen then.");
    for (cause, findings) in by_cause {
        _ = writeln!(page, "\n### `{cause}`\n\n{}.", capitalised(cause.holds_when()));
        for finding in findings {
            failure(page, &finding);
        }
    }
}

fn failure(page: &mut String, finding: &Finding) {
    _ = writeln!(page, "\n**`{}`** · {}\n", clean_line(&finding.code, LONGEST), prose(&finding.message));
    for remedy in &finding.remedies {
        _ = writeln!(page, "- {}", prose(&remedy.text));
    }
    if !finding.also_possible.is_empty() {
        let others: Vec<String> = finding.also_possible.iter().map(|other| code(other.cause.as_str())).collect();
        _ = writeln!(page, "- It could also be {}.", others.join(", "));
    }
    let docs: Vec<String> = finding.docs.iter().map(|doc| link(&doc.title, &doc.url)).collect();
    if !docs.is_empty() {
        _ = writeln!(page, "- See {}.", docs.join(", "));
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Text of a plugin in a paragraph: no markup but its code in backticks.
fn prose(text: &str) -> String {
    let text = clean_line(text, LONGEST);
    let outside = |part: &str| {
        let mut escaped = String::new();
        let mut letters = part.chars().peekable();
        let mut in_word = false;
        while let Some(letter) = letters.next() {
            // An underscore within a word is none of Markdown's business.
            let within = letter == '_' && in_word && letters.peek().is_some_and(|next| next.is_alphanumeric());
            if "\\*_[]<>".contains(letter) && !within {
                escaped.push('\\');
            }
            escaped.push(letter);
            in_word = letter.is_alphanumeric() || within;
        }
        escaped
    };
    // A backtick without its other half opens nothing.
    let halves = text.matches('`').count();
    let parts = text.split('`').enumerate().map(|(at, part)| match at {
        at if at % 2 == 1 && at < halves => format!("`{part}`"),
        _ => outside(part),
    });
    parts.collect()
}

fn cell(text: &str) -> String {
    prose(text).replace('|', "\\|")
}

fn code(text: &str) -> String {
    format!("`{}`", clean_line(text, LONGEST).replace('`', "").replace('|', "\\|"))
}

fn link(title: &str, url: &str) -> String {
    let url = clean_line(url, LONGEST).replace(['<', '>', ' '], "");
    match url {
        url if !url.starts_with("https://") => prose(title),
        url if url.contains(['(', ')']) => format!("[{}](<{url}>)", prose(title)),
        url => format!("[{}]({url})", prose(title)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(plugin: Value, catalog: &str) -> String {
        let mut plugin = plugin;
        plugin["id"] = "acme".into();
        plugin["version"] = "1.0.0".into();
        plugin["protocol"] = json!({ "min": 1, "max": 1 });
        plugin["operations"] = json!(["check", "close"]);
        let plugin: Description = serde_json::from_value(plugin).unwrap();
        reference(&plugin, &Catalog::parse("acme", catalog).unwrap())
    }

    const CATALOG: &str = r#"
        [[rule]]
        code = "expired"
        cause = "credential.expired"
        message = "The token {token} expired."
        remedies = ["Make a new one in *Settings*."]
        docs = [{ title = "Tokens", url = "https://acme.example/tokens" }]
        also_possible = [{ cause = "clock.skew" }]
        example = ["token t1 expired"]
        near_miss = ["a token"]
        [rule.match]
        text = ["token (?<token>\\w+) expired"]
    "#;

    #[test]
    fn a_page_tells_all_that_a_plugin_says_of_itself() {
        let plugin = json!({
            "title": "Acme", "publisher": "Acme", "example": "version = 1\n",
            "checks": [
                { "id": "acme/reach", "title": "It answers", "level": "reach" },
                { "id": "acme/identity", "title": "The token is accepted", "level": "identity", "needs": ["acme/reach"],
                  "calls": [{ "call": "GET /me", "permission": "me:read" }, { "call": "GET /" }] },
            ],
            "settings": { "properties": {
                "site": { "type": "string", "description": "Which site." },
                "mode": { "$ref": "#/$defs/Mode", "description": "How.", "default": "fast" },
                "proxy": { "anyOf": [{ "$ref": "#/$defs/Proxy" }, { "type": "null" }] },
            }, "required": ["site"], "$defs": {
                "Mode": { "oneOf": [{ "const": "fast", "description": "At once." }, { "const": "slow" }] },
                "Proxy": { "properties": { "port": { "type": "integer", "description": "Its port." } } },
            } },
        });
        insta::assert_snapshot!(page(plugin, CATALOG));
    }

    #[test]
    fn no_plugin_writes_markup() {
        let hostile = json!({
            "title": "<script>|`\u{1b}[31m", "publisher": "[x](javascript:y)", "docs_url": "javascript:z",
            "example": "```\n<b>", "checks": [{ "id": "acme/a|b`c", "title": "*a*|`b", "level": "reach" }],
        });
        let page = page(hostile, "");
        for refused in ["<script>", "[x]", "\u{1b}", " *a*", "```\n<b>"] {
            assert!(!page.contains(refused), "{refused}: {page}");
        }
        assert!(page.contains("| reach | `acme/a\\|bc` | \\*a\\*\\|b |"), "{page}");
    }
}
