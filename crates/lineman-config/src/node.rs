use std::ops::Range;

use lineman_model::clean_line;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::{At, Mistakes};
use crate::nearest::suggestion;
use crate::problem::Problem;
use crate::source::Source;

/// A value of a configuration file together with where it is. What reads it reports what is
/// wrong and goes on, so that every mistake of a file is found at once.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) source: &'a Source,
    pub(crate) mistakes: &'a Mistakes,
    /// The keys that lead here, as messages show them; empty for the document.
    pub(crate) path: String,
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    pub(crate) fn at(&self) -> At {
        self.source.at(self.span.clone())
    }

    /// Reports a problem of this value.
    pub(crate) fn report(&self, problem: Problem) {
        self.mistakes.add(Some(self.at()), problem);
    }

    /// Reports that the value should have been something else.
    pub(crate) fn wrong_type(&self, expected: &str) {
        let found = with_article(self.value.type_str());
        self.report(Problem::WrongType { what: self.path.clone(), expected: expected.to_owned(), found });
    }

    /// Keeps the value, and every value in it, out of every source that is shown.
    pub(crate) fn hide(&self) {
        match self.value {
            DeValue::Table(_) => self.children().iter().for_each(|(_, _, child)| child.hide()),
            DeValue::Array(_) => self.items().for_each(|item| item.hide()),
            _ => self.mistakes.hide(self.at()),
        }
    }

    /// The table as messages call it.
    pub(crate) fn table_name(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path) }
    }

    /// A string that is not empty.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.value.as_str() {
            Some("") => {
                self.report(Problem::Empty { what: self.path.clone() });
                None
            }
            Some(text) => Some(text),
            None => {
                self.wrong_type("a string");
                None
            }
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    /// Whether the value is a table; reports it when not.
    pub(crate) fn is_table(&self) -> bool {
        let is_table = self.value.is_table();
        if !is_table {
            self.wrong_type("a table");
        }
        is_table
    }

    /// The elements of an array of something; reports it when the value is no array.
    pub(crate) fn array(&self, of: &str) -> Vec<Node<'a>> {
        if !self.value.is_array() {
            self.wrong_type(&format!("an array of {of}"));
        }
        self.items().collect()
    }

    /// The strings of an array of strings.
    pub(crate) fn texts(&self) -> Vec<Node<'a>> {
        self.array("strings").into_iter().filter(|item| item.text().is_some()).collect()
    }

    /// The elements of an array; none when the value is something else.
    pub(crate) fn items(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let (source, mistakes, path) = (self.source, self.mistakes, self.path.clone());
        let items = self.value.as_array().map(|array| array.iter()).into_iter().flatten();
        items.enumerate().map(move |(index, item)| Node {
            source,
            mistakes,
            path: format!("{path}[{index}]"),
            span: item.span(),
            value: item.get_ref(),
        })
    }

    /// The entries of a table in the order of the file, each with its key and the key's place;
    /// none when the value is something else.
    pub(crate) fn children(&self) -> Vec<(&'a str, At, Node<'a>)> {
        let table = self.value.as_table().map(DeTable::iter).into_iter().flatten();
        let mut entries: Vec<_> = table
            .map(|(key, value)| (key.get_ref().as_ref(), self.source.at(key.span()), self.child(key, value)))
            .collect();
        entries.sort_by_key(|(_, at, _)| at.span.start);
        entries
    }

    fn child(&self, key: &Spanned<DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        let key = clean_line(key.get_ref(), 100);
        let path = if self.path.is_empty() { key } else { format!("{}.{key}", self.path) };
        Node { source: self.source, mistakes: self.mistakes, path, span: value.span(), value: value.get_ref() }
    }

    /// One entry of a table.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.get_with_key(key).map(|(_, node)| node)
    }

    /// One entry of a table, with the place of its key.
    pub(crate) fn get_with_key(&self, key: &str) -> Option<(At, Node<'a>)> {
        let (key, value) = self.value.as_table()?.get_key_value(key)?;
        Some((self.source.at(key.span()), self.child(key, value)))
    }

    /// One entry of a table that must be there.
    pub(crate) fn require(&self, key: &str, help: Option<&str>) -> Option<Node<'a>> {
        let child = self.get(key);
        if child.is_none() {
            let (key, table, help) = (key.to_owned(), self.table_name(), help.map(str::to_owned));
            self.report(Problem::MissingKey { key, table, help });
        }
        child
    }

    /// Reports every key of a table that is not known.
    pub(crate) fn only(&self, known: &[&str]) {
        for (key, at, child) in self.children() {
            if !known.contains(&key) {
                self.unknown_key(key, at, suggestion(key, known));
                child.hide();
            }
        }
    }

    /// Reports one key of a table as unknown.
    pub(crate) fn unknown_key(&self, key: &str, at: At, help: Option<String>) {
        let key = clean_line(key, 100);
        self.mistakes.add(Some(at), Problem::UnknownKey { key, table: self.table_name(), help });
    }

    /// The value as JSON. Addresses with a password in them are refused, wherever they stand.
    pub(crate) fn json(&self) -> Option<Value> {
        match self.value {
            DeValue::String(text) => {
                if url::Url::parse(text).is_ok_and(|url| url.password().is_some()) {
                    let help = "take the password out and give it as a secret";
                    self.report(Problem::PasswordInUrl { what: self.path.clone(), help });
                    return None;
                }
                Some(Value::from(text.as_ref()))
            }
            DeValue::Boolean(value) => Some(Value::from(*value)),
            DeValue::Datetime(value) => Some(Value::from(value.to_string())),
            DeValue::Integer(number) => {
                let signed = i64::from_str_radix(number.as_str(), number.radix()).map(Value::from);
                let value = signed.or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Value::from));
                self.number(value.ok())
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                self.number(number.map(Value::Number))
            }
            // Every entry is read before the first failure counts: each reports its own mistakes.
            DeValue::Array(_) => {
                let items: Vec<_> = self.items().map(|item| item.json()).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Value::from)
            }
            DeValue::Table(_) => {
                let entries: Vec<_> =
                    self.children().into_iter().map(|(key, _, child)| Some((key.to_owned(), child.json()?))).collect();
                entries.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
            }
        }
    }

    fn number(&self, number: Option<Value>) -> Option<Value> {
        if number.is_none() {
            self.report(Problem::BadNumber { what: self.path.clone() });
        }
        number
    }
}

/// A word with the article that it takes.
pub(crate) fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}
