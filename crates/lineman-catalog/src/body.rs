use lineman_model::clean_line;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::Value;

/// Fields that name an error in the bodies of providers, in lower case without `_` and `-`.
const CODE_FIELDS: &[&str] = &[
    "code",
    "codes",
    "error",
    "errorcode",
    "errorcodes",
    "errcode",
    "errortype",
    "reason",
    "status",
    "subcode",
    "type",
];
/// A longer value is prose, not a code.
const LONGEST_CODE: usize = 100;
/// Codes kept of one body.
const MOST_CODES: usize = 200;
/// Longest value kept of one field, in bytes.
const LONGEST_VALUE: usize = 8_192;

/// A JSON or XML body, as far as rules look at it.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Its values, a `name: value` line each.
    pub(crate) lines: String,
    /// The values of fields that name an error.
    pub(crate) codes: Vec<String>,
}

/// Why there is no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoDocument {
    /// The text ends before the document does.
    CutOff,
    /// It is something else.
    Other,
}

impl Document {
    /// Reads a text that is one JSON or XML document and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Document> {
        let (document, length) = Document::parse_prefix(text).ok()?;
        text[length..].trim().is_empty().then_some(document)
    }

    /// Reads the document at the beginning of a text, and says how long it is, in bytes.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Document, usize), NoDocument> {
        let start = text.len() - text.trim_start().len();
        let (document, length) = match &text.as_bytes()[start..] {
            [b'{' | b'[', ..] => json(&text[start..])?,
            [b'<', second, ..] if second.is_ascii_alphabetic() || *second == b'?' => xml(&text[start..])?,
            _ => return Err(NoDocument::Other),
        };
        Ok((document, start + length))
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = clean_line(value, LONGEST_VALUE);
        if value.is_empty() {
            return;
        }
        if names_an_error(name) && value.len() <= LONGEST_CODE && self.codes.len() < MOST_CODES {
            self.codes.extend(code_forms(&value).map(str::to_owned));
        }
        self.lines.push_str(name);
        self.lines.push_str(": ");
        self.lines.push_str(&value);
        self.lines.push('\n');
    }
}

/// A code as it stands, and without what protocols put around it: `namespace#Code`,
/// `Code:http://…`, `Client.Code`.
pub(crate) fn code_forms(value: &str) -> impl Iterator<Item = &str> {
    let bare = value.rsplit('#').next().unwrap_or(value);
    let bare = bare.split(':').next().unwrap_or(bare);
    let mut unwrapped = bare;
    while let Some((first, rest)) = unwrapped.split_once('.')
        && is_wrapper(first)
    {
        unwrapped = rest;
    }
    let others = [bare, unwrapped];
    std::iter::once(value).chain(others.into_iter().filter(move |&other| other != value))
}

/// Whether a word before a dot is no part of the code behind it: a namespace of a language, or the
/// side at fault, as SOAP puts it.
pub(crate) fn is_wrapper(word: &str) -> bool {
    matches!(word, "Client" | "Server") || word.starts_with(char::is_lowercase)
}

fn names_an_error(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect();
    CODE_FIELDS.contains(&plain.as_str())
}

fn json(text: &str) -> Result<(Document, usize), NoDocument> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            let mut document = Document::default();
            walk(&mut document, "", &value);
            Ok((document, values.byte_offset()))
        }
        Some(Err(error)) if error.is_eof() => Err(NoDocument::CutOff),
        _ => Err(NoDocument::Other),
    }
}

// Recursion is bounded: serde_json refuses what is nested deeper than 128.
fn walk(document: &mut Document, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => document.add(name, if *value { "true" } else { "false" }),
        Value::Number(value) => document.add(name, &value.to_string()),
        Value::String(value) => document.add(name, value),
        Value::Array(items) => items.iter().for_each(|item| walk(document, name, item)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| walk(document, name, field)),
    }
}

fn xml(text: &str) -> Result<(Document, usize), NoDocument> {
    let mut reader = Reader::from_str(text);
    let mut document = Document::default();
    // The elements around the current place, with their own text.
    let mut open: Vec<(String, String)> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| match error {
            quick_xml::Error::Syntax(_) => NoDocument::CutOff,
            _ => NoDocument::Other,
        })?;
        match event {
            Event::Start(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                // A page for people is text: its tags say nothing.
                if open.is_empty() && name.eq_ignore_ascii_case("html") {
                    return Err(NoDocument::Other);
                }
                open.push((name, String::new()));
            }
            Event::Text(text) => append(&mut open, &text.decode().unwrap_or_default()),
            Event::CData(text) => append(&mut open, &text.decode().unwrap_or_default()),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(c)) => append(&mut open, c.encode_utf8(&mut [0; 4])),
                _ => {
                    let name = entity.decode().unwrap_or_default();
                    append(&mut open, resolve_predefined_entity(&name).unwrap_or("?"));
                }
            },
            Event::End(_) => {
                let (name, value) = open.pop().ok_or(NoDocument::Other)?;
                document.add(&name, &value);
                if open.is_empty() {
                    let length = usize::try_from(reader.buffer_position()).map_err(|_| NoDocument::Other)?;
                    return Ok((document, length));
                }
            }
            Event::DocType(_) => return Err(NoDocument::Other),
            Event::Eof => return Err(NoDocument::CutOff),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

fn append(open: &mut [(String, String)], text: &str) {
    if let Some((_, value)) = open.last_mut() {
        value.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_become_lines_and_codes() {
        let check = |body: &str, lines: &str, codes: &[&str]| {
            let document = Document::parse(body).unwrap_or_else(|| panic!("not read: {body}"));
            assert_eq!(document.lines.trim_end(), lines, "{body}");
            assert_eq!(document.codes, codes, "{body}");
        };
        check(r#"{"message":"a\nb","code":"X"}"#, "message: a b\ncode: X", &["X"]);
        check(
            r#"{"errors":[{"code":7,"title":"t"}],"error":{"status":"GONE"}}"#,
            "code: 7\ntitle: t\nstatus: GONE",
            &["7", "GONE"],
        );
        check(r#"{"__type":"com.acme#NoKey"}"#, "__type: com.acme#NoKey", &["com.acme#NoKey", "NoKey", "NoKey"]);
        check(
            "<?xml version=\"1.0\"?>\n<a:Error xmlns:a=\"u\"><a:Code>X</a:Code><M>it&apos;s &#65;</M><E/></a:Error>",
            "Code: X\nM: it's A",
            &["X"],
        );
        check("<Error><Code><![CDATA[X]]></Code></Error>", "Code: X", &["X"]);
    }

    #[test]
    fn what_is_no_document_is_left_to_the_text_rules() {
        for body in
            ["", "plain", "{", "[1] said the server", "<html><title>x</title></html>", "<a><b></a>", "<!DOCTYPE html>"]
        {
            assert!(Document::parse(body).is_none(), "{body}");
        }
        assert!(Document::parse(&"[".repeat(100_000)).is_none());
        assert!(Document::parse(&"<a>".repeat(100_000)).is_none());
    }
}
