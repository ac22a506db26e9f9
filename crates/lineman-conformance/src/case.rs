use std::fmt;
use std::str::FromStr;

macro_rules! cases {
    ($($variant:ident = $id:literal, $protects:literal, $mend:literal;)*) => {
        /// One thing that is asked of every plugin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Case {
            $(#[doc = $protects] $variant,)*
        }

        impl Case {
            /// Every case, in the order in which they are shown.
            pub const ALL: &'static [Case] = &[$(Case::$variant),*];

            /// The id: kebab-case, and never another meaning.
            pub fn id(self) -> &'static str {
                match self {
                    $(Case::$variant => $id,)*
                }
            }

            /// What the case protects, as one sentence.
            pub fn protects(self) -> &'static str {
                match self {
                    $(Case::$variant => $protects,)*
                }
            }

            /// How to mend a failure.
            pub fn mend(self) -> &'static str {
                match self {
                    $(Case::$variant => $mend,)*
                }
            }
        }
    };
}

cases! {
    Manifest = "manifest",
        "The manifest names this plugin, its door, and files whose hashes are right.",
        "Make the directory with `lineman plugin pack`, and change nothing in it afterwards.";
    DescribedAsShipped = "described-as-shipped",
        "The library describes itself, byte for byte, as the description beside it says.",
        "Run `lineman plugin pack` again after every build.";
    Glibc = "glibc",
        "The library loads on every system that Lineman runs on: it needs glibc 2.34 or older.",
        "Build on an older system, or in a container of one.";
    Exports = "exports",
        "The library exports its door and nothing that could take the place of another library's symbol.",
        "Build a `cdylib`, without `#[no_mangle]` of your own; in C, with `-fvisibility=hidden`.";
    Loads = "loads",
        "The library can be loaded, and its door has the layout that this Lineman speaks to.",
        "Use the SDK's `export!`; do nothing in constructors; build for this target.";
    Description = "description",
        "The description says who the plugin is, in words that can be relied on.",
        "Give id, title, publisher, a semantic version, a sensible `max_parallel`, and the operations `check` and `close`.";
    Protocol = "protocol",
        "The plugin and this Lineman speak a protocol version in common.",
        "Build with an SDK of this Lineman's release line.";
    Checks = "checks",
        "Every check has an id of its own below the plugin's, and a title that says what it proves.",
        "Name checks `<plugin>/<kebab-case>`, each once, each with a title of one line.";
    Needs = "needs",
        "A check needs only checks that there are, at its level or below, and never in a circle.",
        "Correct `needs`; what is proved later cannot be needed earlier.";
    Schemas = "schemas",
        "Settings and secrets can be checked, and shown in place, before anything runs.",
        "Publish JSON Schemas of `type: object` without references to elsewhere; secrets are strings.";
    Documented = "documented",
        "Whoever configures the plugin is told what each setting and secret is.",
        "Give each property of both schemas a `description` (a doc comment, with schemars).";
    Links = "links",
        "Links to documentation can be followed without being led astray.",
        "Use https addresses.";
    Catalog = "catalog",
        "The catalog of known failures matches its examples and leaves its near misses alone.",
        "Correct the rule, or the example; the SDK's test harness shows the same problems.";
    Stable = "stable",
        "The plugin describes itself the same every time, so that hashes and plans hold.",
        "Put no time, random number or map without an order into the description.";
    Quick = "quick",
        "Loading and describing is quick, since people wait for it.",
        "Do nothing while loading; build the description from constants.";
    Offline = "offline",
        "The plugin describes itself without asking the network.",
        "Move what needs the network into a check.";
    UnknownOperation = "unknown-operation",
        "A newer Lineman can ask for an operation that the plugin does not know.",
        "Answer `submit` with 1 (unknown operation) to every operation that is not yours.";
    MalformedRequests = "malformed-requests",
        "A request that is none is answered as an error, and costs nothing else.",
        "Answer `submit` with 2 (bad request) where a request cannot be read.";
    HugeRequests = "huge-requests",
        "A request as large or as deep as frames allow neither ends nor stops the plugin.",
        "Parse with a limit on depth, and never on the stack without one.";
    UnknownFields = "unknown-fields",
        "A newer Lineman can say more than the plugin knows.",
        "Ignore fields that you do not know.";
    UnknownCheck = "unknown-check",
        "A check that there is not is refused, and never passes.",
        "Answer `submit` with 2 (bad request) where the check is not one of yours.";
    WrongSettings = "wrong-settings",
        "A setting of the wrong type is found, and never passes.",
        "Read settings strictly, and report `config.invalid` with the setting's place.";
    OneTerminalEvent = "one-terminal-event",
        "Every accepted call ends exactly once.",
        "Emit one result or one error per call, whatever becomes of it: guard it with `Drop`.";
    SilentAfterTheEnd = "silent-after-the-end",
        "Nothing is said about a call that has ended.",
        "Emit the terminal event last, and let threads of the call end before it.";
    OwnCallsOnly = "own-calls-only",
        "A plugin answers for calls that it was given, and for no others.",
        "Emit events with the number that `submit` gave.";
    Events = "events",
        "Every event is what its kind says, so that nothing of it is lost.",
        "Emit the JSON of the protocol: findings, progress, an outcome, a failure with a `plugin.` cause.";
    FindingCodes = "finding-codes",
        "Findings can be explained, suppressed and counted by a code that never changes meaning.",
        "Give every finding a code `<plugin>/<kebab-case>` that the catalog describes, and one line that says what is wrong.";
    Remedies = "remedies",
        "Whoever is told that something is broken is told what to do.",
        "Give every finding that fails a remedy.";
    Deadline = "deadline",
        "A run ends when its time is up, though the provider never answers.",
        "Give up when the request's `deadline_ms` is over, and say what was waited for.";
    Cancellation = "cancellation",
        "An interrupted run ends at once.",
        "On `cancel`, drop what the call waits for and emit its terminal event.";
    Parallel = "parallel",
        "The plugin takes as many calls at once as it says.",
        "Lower `max_parallel`, or stop refusing calls below it.";
    NotStalled = "not-stalled",
        "A call that waits for a silent provider stalls no other.",
        "Never block a shared thread or hold a shared lock over a call; declare checks that block.";
    Sessions = "sessions",
        "Sessions can be ended, also twice, also when there is none, and begun again.",
        "Take `close` for every number, and open a session whenever a check asks for it.";
    SharedSession = "shared-session",
        "The checks of an integration can run side by side, and the session may end under them.",
        "Guard what a session shares, and fill it when it is asked for.";
    Secrets = "secrets",
        "No secret comes back: in no event, no error, no log and nothing printed.",
        "Take every known secret out of what the plugin says; the SDK does, for what `Cx::conceal` tells it too.";
    Environment = "environment",
        "What the plugin's environment holds does not come back.",
        "Report single variables that matter, never the environment.";
    Output = "output",
        "The plugin does not print: whoever reads the report does not see it, and it may be a secret.",
        "Remove what prints; use progress and findings, or the host's log.";
    NoNetwork = "no-network",
        "With nothing listening, no check from `reach` upwards passes.",
        "Let a check that could not ask report the network failure.";
    CredentialNotBlamed = "credential-not-blamed",
        "Only the provider's own rejection makes a credential bad: outages, throttling and dead lines do not.",
        "Report 429, 5xx, refused connections and garbage as what they are.";
    Threads = "threads",
        "After shutdown, none of the plugin's threads is left.",
        "Join every thread in `shutdown`.";
    Memory = "memory",
        "A long run does not eat the machine: memory is steady over a thousand calls.",
        "Free what a call and a session hold when they end.";
    Descriptors = "descriptors",
        "A long run does not run out of descriptors: they are steady over a thousand calls.",
        "Close files and sockets when a call or a session ends.";
    Shutdown = "shutdown",
        "Shutdown ends calls in flight, each with its terminal event, and may come twice.",
        "In `shutdown`, cancel everything and answer for it within a second.";
    AfterShutdown = "after-shutdown",
        "After shutdown no call is taken any more.",
        "Answer `submit` with 4 (shutting down) once `shutdown` was called.";
    Compatible = "compatible",
        "A configuration that worked with the older version works with this one.",
        "Keep what is named, marked as deprecated for one release before it goes.";
}

impl Case {
    /// Whether it is about time, which other cases beside it take away.
    pub(crate) fn is_about_time(self) -> bool {
        matches!(
            self,
            Case::Quick
                | Case::HugeRequests
                | Case::Deadline
                | Case::Cancellation
                | Case::Parallel
                | Case::NotStalled
                | Case::Shutdown
        )
    }
}

/// There is no case of this id.
#[derive(Debug, thiserror::Error)]
#[error("there is no case `{id}`; there is {}", Case::ALL.iter().map(|case| case.id()).collect::<Vec<_>>().join(", "))]
pub struct UnknownCase {
    /// The id that was given.
    pub id: String,
}

impl FromStr for Case {
    type Err = UnknownCase;

    fn from_str(text: &str) -> Result<Case, UnknownCase> {
        Case::ALL.iter().copied().find(|case| case.id() == text).ok_or_else(|| UnknownCase { id: text.to_owned() })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
