use std::fmt;
use std::sync::LazyLock;

use lineman_model::clip;
use regex::Regex;

use crate::pattern::constant;

/// Longest address or path that is kept, in bytes.
const LONGEST: usize = 250;

/// Where in a configuration a failure arose, as provisioning tools tell it beside the provider's
/// own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The resource, `module.net.acme_subnet.a[0]`.
    pub address: Option<String>,
    /// The file that declares it.
    pub file: Option<String>,
    /// The line in the file, counted from one.
    pub line: Option<usize>,
    /// The provider as the tool calls it: `acme` of `acme_subnet` and of `registry.example.com/corp/acme`.
    pub(crate) provider: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map(|file| match self.line {
            Some(line) => format!("{file} line {line}"),
            None => file.clone(),
        });
        let parts: Vec<String> = self.address.iter().cloned().chain(file).collect();
        f.write_str(&parts.join(", "))
    }
}

/// `with module.net.acme_subnet.a["x"],`
static WITH: LazyLock<Regex> = LazyLock::new(|| constant(r"(?m)^with ([\w-]+[.\[].*),$"));

/// `on net/main.tf line 12, in resource "acme_subnet" "a":`; older tools name no block.
static ON: LazyLock<Regex> = LazyLock::new(|| {
    constant(r#"(?m)^on (\S.*?) line ([0-9]{1,9})(?:, in (\w+)(?: "([\w-]+)")?(?: "([\w-]+)")?:|:|,|$)"#)
});

/// `* acme_subnet.a.0: Error …` and `acme_subnet.a: Error …`, of the oldest tools.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?m)^(?:\* |Error: )?((?:module\.[\w-]+\.)*(?:data\.)?[a-z][a-z0-9]*_\w+\.[\w.-]*\w): .*(?:[Ee]rror|[Ff]ail|[A-Z]\w+[a-z]: )",
    )
});

/// Lines of a diagnostic that the tool wrote as JSON.
static FIELDS: LazyLock<[Regex; 3]> =
    LazyLock::new(|| [r"(?m)^address: (.+)$", r"(?m)^filename: (.+)$", r"(?m)^line: ([0-9]{1,9})$"].map(constant));

/// Which one of several, in an address: `[0]`, `["a.b"]`.
static INDEX: LazyLock<Regex> = LazyLock::new(|| constant(r#"\[(?:"[^"]*"|[0-9]*)\]"#));

impl Origin {
    /// Reads a failure's text: lines without frames and with single blanks.
    pub(crate) fn of(text: &str) -> Option<Origin> {
        let mut origin = Origin::default();
        let first = |regex: &Regex| Some(clip(regex.captures(text)?.get(1)?.as_str(), LONGEST));
        if text.contains("severity: ") {
            let [address, file, line] = &*FIELDS;
            origin.address = first(address);
            origin.file = first(file);
            origin.line = origin.file.as_ref().and_then(|_| first(line)?.parse().ok());
        }
        if origin.address.is_none() {
            origin.address = first(&WITH);
        }
        if let Some(on) = ON.captures(text).filter(|_| origin.file.is_none()) {
            let group = |at| on.get(at).map(|found| found.as_str());
            origin.file = group(1).map(str::to_owned);
            origin.line = group(2).and_then(|line| line.parse().ok());
            let named = match (group(3), group(4), group(5)) {
                (Some("resource"), Some(kind), Some(name)) => Some(format!("{kind}.{name}")),
                (Some(block @ ("data" | "ephemeral")), Some(kind), Some(name)) => {
                    Some(format!("{block}.{kind}.{name}"))
                }
                (Some("module"), Some(name), None) => Some(format!("module.{name}")),
                (Some("provider"), Some(name), None) => {
                    origin.provider = Some(name.to_owned());
                    None
                }
                _ => None,
            };
            origin.address = origin.address.or(named);
        }
        if origin.address.is_none() {
            origin.address = first(&BEFORE);
        }
        origin.provider = origin.provider.or_else(|| origin.address.as_deref().and_then(provider_of));
        (origin != Origin::default()).then_some(origin)
    }
}

/// The tool's name for the provider of a resource, or of a configured provider.
fn provider_of(address: &str) -> Option<String> {
    // provider["registry.example.com/corp/acme"], provider.acme
    if let Some((_, name)) = address.split_once("provider[\"") {
        return name.split('"').next()?.rsplit('/').next().map(str::to_owned);
    }
    let plain = INDEX.replace_all(address, "");
    let mut words = plain.split('.');
    let kind = loop {
        match words.next()? {
            // The next word is the module's name.
            "module" => drop(words.next()?),
            "data" | "ephemeral" => {}
            "provider" => return words.next().map(str::to_owned),
            kind => break kind,
        }
    };
    kind.split_once('_').map(|(provider, _)| provider.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_where_it_arose() {
        let check = |text: &str, address: &str, file: &str, line: Option<usize>, provider: &str| {
            let origin = Origin::of(text).unwrap_or_else(|| panic!("nothing seen in {text}"));
            let word = |word: &Option<String>| word.clone().unwrap_or_default();
            assert_eq!(
                (word(&origin.address), word(&origin.file), origin.line, word(&origin.provider)),
                (address.to_owned(), file.to_owned(), line, provider.to_owned()),
                "{text}"
            );
        };
        check(
            "Error: making it\n\nwith module.net[\"a.b\"].acme_subnet.a[0],\non net/main.tf line 12, in resource \"acme_subnet\" \"a\":\n12: resource \"acme_subnet\" \"a\" {",
            "module.net[\"a.b\"].acme_subnet.a[0]",
            "net/main.tf",
            Some(12),
            "acme",
        );
        check(
            "Error: x\non main.tf line 3, in data \"acme_image\" \"i\":",
            "data.acme_image.i",
            "main.tf",
            Some(3),
            "acme",
        );
        check("Error: x\non main.tf line 3, in provider \"acme\":", "", "main.tf", Some(3), "acme");
        check("Error: x\non main.tf line 3, in terraform:", "", "main.tf", Some(3), "");
        check("Error: x\non main.tf line 3:", "", "main.tf", Some(3), "");
        check(
            "Error: x\nwith provider[\"registry.example.com/corp/acme\"],\non main.tf line 1, in provider \"acme\":",
            "provider[\"registry.example.com/corp/acme\"]",
            "main.tf",
            Some(1),
            "acme",
        );
        check("* acme_subnet.a.1: Error making it: no", "acme_subnet.a.1", "", None, "acme");
        check("acme_subnet.a: NoKey: gone", "acme_subnet.a", "", None, "acme");
        check(
            "severity: error\nsummary: making it\naddress: acme_subnet.a\nfilename: main.tf\nline: 7\nline: 9",
            "acme_subnet.a",
            "main.tf",
            Some(7),
            "acme",
        );
        for text in ["", "with all due respect,", "on line 3", "acme_subnet.a: Creating...", "address: 1 Main Street"] {
            assert_eq!(Origin::of(text), None, "{text}");
        }
    }
}
