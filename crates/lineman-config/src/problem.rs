use miette::Diagnostic;
use thiserror::Error;

/// What can be wrong with a configuration: every message of this crate, in one place.
///
/// No message repeats a value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Problem {
    #[error("`{path}` cannot be read: {error}")]
    #[diagnostic(code("config/unreadable"))]
    Unreadable { path: String, error: String },

    #[error("`{path}` is larger than {limit_mib} MiB")]
    #[diagnostic(code("config/too-large"), help("split it with `include`"))]
    TooLarge { path: String, limit_mib: u64 },

    #[error("`{path}` is not UTF-8: line {line} holds a byte that is not text")]
    #[diagnostic(code("config/not-utf8"), help("save the file as UTF-8"))]
    NotUtf8 { path: String, line: usize },

    #[error("TOML syntax: {message}")]
    #[diagnostic(code("config/syntax"))]
    Syntax { message: String },

    #[error("{table} has no key `{key}`")]
    #[diagnostic(code("config/unknown-key"))]
    UnknownKey {
        key: String,
        table: String,
        #[help]
        help: Option<String>,
    },

    #[error("`{key}` is missing from {table}")]
    #[diagnostic(code("config/missing-key"))]
    MissingKey {
        key: String,
        table: String,
        #[help]
        help: Option<String>,
    },

    #[error("`{what}` must be {expected}, not {found}")]
    #[diagnostic(code("config/wrong-type"))]
    WrongType { what: String, expected: String, found: String },

    #[error("`{what}` is empty")]
    #[diagnostic(code("config/empty"))]
    Empty { what: String },

    #[error("version {version} of the configuration is not supported")]
    #[diagnostic(code("config/version"), help("this Lineman reads version 1"))]
    Version { version: String },

    #[error("{key} belongs in the main file")]
    #[diagnostic(
        code("config/main-file-only"),
        help("an included file may hold `version`, `include`, `integration` and `suppress`")
    )]
    MainFileOnly { key: String },

    #[error("`include` pattern is not valid: {error}")]
    #[diagnostic(code("config/include-pattern"))]
    IncludePattern { error: String },

    #[error("`include` matches no file")]
    #[diagnostic(code("config/include-empty"), help("a pattern is relative to the file that has it"))]
    IncludeEmpty,

    #[error("`include` loops: {chain}")]
    #[diagnostic(code("config/include-loop"))]
    IncludeLoop { chain: String },

    #[error("more than {limit} files are included")]
    #[diagnostic(code("config/too-many-files"))]
    TooManyFiles { limit: usize },

    #[error("`{name}` is not a name for {what}")]
    #[diagnostic(code("config/bad-name"))]
    BadName {
        what: &'static str,
        name: String,
        #[help]
        help: &'static str,
    },

    #[error("no plugin `{id}` is installed")]
    #[diagnostic(code("config/plugin-not-installed"))]
    NotInstalled {
        id: String,
        #[help]
        help: String,
    },

    #[error("plugin `{id}` is installed and its description cannot be read")]
    #[diagnostic(code("config/plugin-unreadable"), help("install it again: lineman plugin install"))]
    NoDescription { id: String },

    #[error("plugin `{id}` declares a JSON Schema of {what} that is not valid: {error}")]
    #[diagnostic(code("config/plugin-schema"), help("this is a fault of the plugin: tell its publisher"))]
    PluginSchema { id: String, what: &'static str, error: String },

    #[error("provider `{id}` is not enabled")]
    #[diagnostic(code("config/provider-not-enabled"))]
    NotEnabled {
        id: String,
        #[help]
        help: String,
    },

    #[error("integration `{name}` is defined twice")]
    #[diagnostic(code("config/duplicate-integration"), help("names are unique over all files"))]
    DuplicateIntegration { name: String },

    #[error("the first definition is here")]
    #[diagnostic(severity(Advice))]
    FirstDefinition,

    #[error("`{what}` holds a literal secret")]
    #[diagnostic(
        code("config/literal-secret"),
        help(
            "say where the secret is instead: {{ env = \"NAME\" }}, {{ file = \"PATH\" }} or {{ command = [\"PROGRAM\", …] }}; whoever could read this file knows the secret: replace it"
        )
    )]
    LiteralSecret { what: String },

    #[error("`{what}` is an address with a password in it")]
    #[diagnostic(code("config/password-in-url"))]
    PasswordInUrl {
        what: String,
        #[help]
        help: &'static str,
    },

    #[error("`{what}` does not say where the secret is")]
    #[diagnostic(code("config/reference-empty"), help("give one of `env`, `file` and `command`"))]
    ReferenceEmpty { what: String },

    #[error("`{what}` names several places: {sources}")]
    #[diagnostic(code("config/reference-ambiguous"), help("give one of `env`, `file` and `command`"))]
    ReferenceAmbiguous { what: String, sources: String },

    #[error("`{what}` is not the name of an environment variable")]
    #[diagnostic(code("config/bad-variable"))]
    BadVariable { what: String },

    #[error("`{what}` is not a JSON pointer")]
    #[diagnostic(code("config/bad-pointer"), help("for example \"/data/password\" (RFC 6901)"))]
    BadPointer { what: String },

    #[error("plugin `{provider}` knows no secret `{name}`")]
    #[diagnostic(code("config/unknown-secret"))]
    UnknownSecret {
        provider: String,
        name: String,
        #[help]
        help: Option<String>,
    },

    #[error("plugin `{provider}` knows no service `{name}`")]
    #[diagnostic(code("config/unknown-service"))]
    UnknownService {
        provider: String,
        name: String,
        #[help]
        help: Option<String>,
    },

    #[error("plugin `{provider}` has no check `{check}` that writes")]
    #[diagnostic(code("config/unknown-check"))]
    UnknownCheck {
        provider: String,
        check: String,
        #[help]
        help: Option<String>,
    },

    #[error("there is no integration `{name}`")]
    #[diagnostic(code("config/unknown-integration"))]
    UnknownIntegration {
        name: String,
        #[help]
        help: Option<String>,
    },

    #[error("requirement `{id}` is given twice")]
    #[diagnostic(code("config/duplicate-requirement"), help("an `id` is unique within its integration"))]
    DuplicateRequirement { id: String },

    #[error("`{what}` is not valid: {error}")]
    #[diagnostic(code("config/invalid-setting"))]
    Setting {
        what: String,
        error: String,
        #[help]
        help: Option<String>,
    },

    #[error("`{what}` is not an address: {error}")]
    #[diagnostic(code("config/bad-url"))]
    BadUrl {
        what: String,
        error: String,
        #[help]
        help: &'static str,
    },

    #[error("`{what}` is not a duration")]
    #[diagnostic(code("config/bad-duration"), help("for example \"10s\", \"1m30s\" or \"500ms\"; at most 24 hours"))]
    BadDuration { what: String },

    #[error("`{what}` is not a date")]
    #[diagnostic(code("config/bad-date"), help("for example 2027-01-31"))]
    BadDate { what: String },

    #[error("`{what}` is not an address or a network")]
    #[diagnostic(code("config/bad-network"), help("for example \"203.0.113.7\" or \"203.0.113.0/28\""))]
    BadNetwork { what: String },

    #[error("`{what}` is not a size")]
    #[diagnostic(code("config/bad-size"), help("for example \"512MiB\" or \"1GiB\""))]
    BadSize { what: String },

    #[error("`{what}` must be {expected}")]
    #[diagnostic(code("config/bad-amount"))]
    BadAmount { what: String, expected: &'static str },

    #[error("`{what}` must lie between {least} and {most}")]
    #[diagnostic(code("config/out-of-range"), help("a limit of a plugin can only be lowered"))]
    OutOfRange { what: String, least: String, most: String },

    #[error("`{what}` is {error}")]
    #[diagnostic(
        code("config/bad-endpoint"),
        help("for example \"api.example.com\", \"*.example.com\", \"203.0.113.7\" or \"10.0.0.0/8\"")
    )]
    BadEndpoint { what: String, error: String },

    #[error("`{what}` is not a public key of minisign")]
    #[diagnostic(
        code("config/bad-key"),
        help("it is the second line of `minisign.pub`: 56 characters that begin with RW")
    )]
    BadKey { what: String },

    #[error("`{what}` asks for signatures, and no key is trusted")]
    #[diagnostic(code("config/no-trusted-key"), help("name the publishers' public keys: trusted_keys = [\"RW…\"]"))]
    NoTrustedKey { what: String },

    #[error("`{what}` is not the code of a finding")]
    #[diagnostic(code("config/bad-code"), help("for example \"provider/key-old\"; every finding shows its code"))]
    BadCode { what: String },

    #[error("`{what}` is a number that JSON cannot hold")]
    #[diagnostic(code("config/bad-number"))]
    BadNumber { what: String },
}
