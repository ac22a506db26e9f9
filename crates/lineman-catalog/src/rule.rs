use std::collections::BTreeMap;

use lineman_model::{Alternative, Cause, Confidence, Doc, Remedy};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One known failure: what to look for, what it means, what to do.
///
/// A rule without conditions matches nothing: a check finds such a failure by itself, in words of
/// its own, and the rule describes it to whoever asks for its code.
///
/// The crate's front page shows the format and says how the conditions are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Kebab-case, unique in the catalog; findings carry `<plugin>/<code>`.
    pub code: String,
    /// Why it is broken.
    pub cause: Cause,
    /// How sure the cause is.
    #[serde(default)]
    pub confidence: Confidence,
    /// One sentence, a template.
    pub message: String,
    /// More below it, a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Other causes that the same words allow, most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "strict::<Other, _, _>")]
    pub also_possible: Vec<Alternative>,
    /// What to do, most likely first; the texts are templates, the commands are not.
    #[serde(deserialize_with = "strict::<Step, _, _>")]
    pub remedies: Vec<Remedy>,
    /// The provider's own pages; what is matched has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "strict::<Page, _, _>")]
    pub docs: Vec<Doc>,
    /// Patterns whose groups fill the templates; they decide nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capture: Vec<String>,
    /// Whether trying again unchanged may succeed, where the cause alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transient: Option<bool>,
    /// Added to the weight of what matched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Whether the code is to be relied on no more. The rule goes on to match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// The code of this catalog that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// What must hold.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// What the rule matches, and matches first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub example: Vec<Sample>,
    /// What looks alike and is not matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near_miss: Vec<Sample>,
}

impl Rule {
    /// Whether trying again unchanged may succeed.
    pub fn is_transient(&self) -> bool {
        self.transient.unwrap_or_else(|| self.cause.is_transient())
    }
}

fn is_zero(priority: &i32) -> bool {
    *priority == 0
}

/// The conditions of a rule: all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Any of these statuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<StatusPattern>,
    /// Any of these codes, exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provider_code: Vec<String>,
    /// All of these headers, each with a pattern for its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Any of these operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operation: Vec<String>,
    /// Any of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// None of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_text: Vec<String>,
}

/// A status, `403`, or a class of them, `"4xx"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// This status.
    Exact(u16),
    /// Every status with this first digit.
    Class(u8),
}

impl StatusPattern {
    /// Whether a status is meant.
    pub fn accepts(self, status: u16) -> bool {
        match self {
            StatusPattern::Exact(exact) => status == exact,
            StatusPattern::Class(class) => status / 100 == u16::from(class),
        }
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            StatusPattern::Exact(status) => serializer.serialize_u16(*status),
            StatusPattern::Class(class) => serializer.serialize_str(&format!("{class}xx")),
        }
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusPattern, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u16),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(status @ 100..=599) => Ok(StatusPattern::Exact(status)),
            Raw::Word(word) => match word.as_bytes() {
                [class @ b'1'..=b'5', b'x', b'x'] => Ok(StatusPattern::Class(class - b'0')),
                _ => Err(D::Error::custom(format!("{word:?} is not a status such as 403 or \"4xx\""))),
            },
            Raw::Number(number) => Err(D::Error::custom(format!("{number} is not an HTTP status"))),
        }
    }
}

/// An example or a near miss of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sample {
    /// What a program said.
    Text(String),
    /// What a server answered.
    Response(SampleResponse),
}

/// A server's answer, as an example or a near miss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleResponse {
    /// The status, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The headers that matter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What the caller was doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// Reads a list through a stricter type: the vocabulary's own types forgive unknown fields, which
/// is right between versions and wrong for an author's typing mistake.
fn strict<'de, S, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    S: Deserialize<'de> + Into<T>,
    D: Deserializer<'de>,
{
    Ok(Vec::<S>::deserialize(deserializer)?.into_iter().map(Into::into).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    cause: Cause,
    #[serde(default = "possible")]
    confidence: Confidence,
}

fn possible() -> Confidence {
    Confidence::Possible
}

impl From<Other> for Alternative {
    fn from(other: Other) -> Alternative {
        Alternative { cause: other.cause, confidence: other.confidence }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    title: String,
    url: String,
}

impl From<Page> for Doc {
    fn from(page: Page) -> Doc {
        Doc { title: page.title, url: page.url }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Words(String),
    Command(StepTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    text: String,
    #[serde(default)]
    argv: Vec<String>,
    who: Option<String>,
    effect: Option<String>,
}

impl From<Step> for Remedy {
    fn from(step: Step) -> Remedy {
        match step {
            Step::Words(text) => Remedy::new(text),
            Step::Command(StepTable { text, argv, who, effect }) => Remedy { text, argv, who, effect },
        }
    }
}
