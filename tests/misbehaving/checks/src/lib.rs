//! A plugin whose one check does what its setting says, so that the tests can see what each kind
//! of misbehaviour costs. Nothing here is an example to follow.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use lineman_sdk::Credential;
use lineman_sdk::prelude::*;

/// Less than a check's time in the tests, twice which is more than a check that hangs is given.
const LATE: Duration = Duration::from_millis(2200);

/// What the check does.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    /// Passes at once.
    Well,
    /// Passes after a while, so that it is in flight when another one misbehaves.
    WellInAWhile,
    /// Passes, but so late that it is in flight when another one's time is up.
    WellLate,
    /// Finds that something needs attention.
    Warn,
    /// Finds that something is broken.
    Fail,
    /// Judges the secret by its first word: `good`, `denied`, `ending` (on a day), else refused.
    Judge,
    /// Cannot tell, because the provider throttles.
    Throttled,
    Panic,
    Abort,
    ExitZero,
    Segfault,
    StackOverflow,
    /// Waits for ever without holding its thread.
    WaitForEver,
    /// Holds its thread for ever.
    Hang,
    /// Takes memory until there is none.
    EatMemory,
    /// Reports findings for ever.
    FloodFindings,
    /// Reports progress for ever.
    FloodProgress,
    /// Reports one finding larger than any may be.
    HugeFinding,
    /// Writes garbage to standard output.
    Print,
    /// Shows its secret wherever it can.
    Tell,
    /// Does so and panics with it.
    TellAndPanic,
    /// Shows its secret in the reason for which it does nothing.
    TellAndSkip,
    /// Leaves a process behind.
    LeaveDaemon,
    /// Leaves a process behind that has left the group and the session.
    LeaveDetachedDaemon,
    /// Leaves a process behind and dies.
    LeaveDaemonAndAbort,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    behaviour: Behaviour,
    /// The last argument of a process that is left behind.
    #[serde(default)]
    mark: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    #[serde(default)]
    token: Option<Secret>,
}

/// What grants take is all that it knows of its provider.
const CATALOG: &str = r#"[propagation."permission.insufficient"]
says = "A grant counts after up to 10 minutes."
docs = { title = "Grants", url = "https://example.com/grants" }
"#;

struct Misbehaving;

impl Provider for Misbehaving {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("misbehaving", "Misbehaving", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman's tests")
            .program("sh")
            .catalog(CATALOG)
    }

    fn checks() -> Vec<Check<Self>> {
        vec![
            Check::new("before", Level::Config, "It starts well", before),
            Check::new("act", Level::Operation, "It behaves", act).needs(["before"]),
        ]
    }
}

fn judge(cx: &Cx<Misbehaving>) -> Outcome {
    let token = cx.secrets().token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
    let mut words = token.split(' ');
    let verdict = words.next().unwrap_or_default();
    if verdict == "ending"
        && let Some(at) = words.next().and_then(|at| at.parse().ok())
    {
        cx.expires("token", at);
    }
    let newer = Some(verdict == "denied");
    cx.credential(Credential { secret: "token".into(), newer_active: newer, ..Credential::default() });
    match verdict {
        "good" | "ending" => Ok(()),
        "denied" => Err(cx
            .finding("denied", Cause::PermissionInsufficient, "The token may not do this.")
            .remedy("Grant it.")
            .into()),
        _ => Err(cx.finding("refused", Cause::CredentialInvalid, "The provider refuses the credential.").into()),
    }
}

async fn before(cx: Cx<Misbehaving>) -> Outcome {
    if let Behaviour::WellLate = cx.settings().behaviour {
        tokio::time::sleep(LATE).await;
    }
    Ok(())
}

async fn act(cx: Cx<Misbehaving>) -> Outcome {
    let settings = cx.settings();
    match settings.behaviour {
        Behaviour::Well => Ok(()),
        Behaviour::WellInAWhile => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(())
        }
        Behaviour::WellLate => {
            tokio::time::sleep(LATE).await;
            Ok(())
        }
        Behaviour::Warn => {
            let remedy = "Store a new credential before that day.";
            cx.report(cx.finding("expiring", Cause::CredentialExpiring, "The credential ends soon.").remedy(remedy));
            Ok(())
        }
        Behaviour::Fail => Err(cx
            .finding("refused", Cause::CredentialInvalid, "The provider refuses the credential.")
            .detail("It was asked once.")
            .remedy("Store the credential again.")
            .doc("Credentials", "https://example.com/credentials")
            .into()),
        Behaviour::Judge => judge(&cx),
        Behaviour::Throttled => {
            Err(cx.finding("throttled", Cause::ProviderRateLimited, "The provider throttles.").remedy("Wait.").into())
        }
        Behaviour::Panic => panic!("this check panics"),
        Behaviour::Abort => std::process::abort(),
        Behaviour::ExitZero => std::process::exit(0),
        Behaviour::Segfault => {
            // SAFETY: there is none; that is the point.
            unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
            Ok(())
        }
        Behaviour::StackOverflow => {
            std::hint::black_box(deeper(1));
            Ok(())
        }
        Behaviour::WaitForEver => std::future::pending().await,
        Behaviour::Hang => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        Behaviour::EatMemory => {
            let mut eaten: Vec<Vec<u8>> = Vec::new();
            loop {
                eaten.push(vec![1; 16 << 20]);
            }
        }
        Behaviour::FloodFindings => loop {
            cx.report(cx.finding("flood", Cause::Undetermined, "One of very many."));
        },
        Behaviour::FloodProgress => loop {
            cx.progress("still here");
            tokio::task::yield_now().await;
        },
        Behaviour::HugeFinding => {
            // Texts are capped one by one, so it takes many of them.
            let mut finding = cx.finding("huge", Cause::Undetermined, "x");
            finding.remedies = (0..2000).map(|_| Remedy::new("y".repeat(2000))).collect();
            cx.report(finding);
            Ok(())
        }
        Behaviour::Print => {
            for _ in 0..1000 {
                println!("\u{1b}[2J{{\"event\":{{\"call\":1}}}}");
            }
            Ok(())
        }
        Behaviour::Tell => {
            tell(&cx).await;
            Ok(())
        }
        Behaviour::TellAndPanic => {
            tell(&cx).await;
            panic!("panic {}", token(&cx))
        }
        Behaviour::TellAndSkip => Err(Stop::not_applicable(format!("skip {}", token(&cx)))),
        Behaviour::LeaveDaemon => leave(&cx, false).await,
        Behaviour::LeaveDetachedDaemon => leave(&cx, true).await,
        Behaviour::LeaveDaemonAndAbort => {
            leave(&cx, true).await?;
            std::process::abort()
        }
    }
}

fn token(cx: &Cx<Misbehaving>) -> String {
    cx.secrets().token.as_ref().map(Secret::expose).unwrap_or_default().to_owned()
}

/// Shows the secret through every channel that a check has.
async fn tell(cx: &Cx<Misbehaving>) {
    let token = token(cx);
    println!("stdout {token}");
    eprintln!("stderr {token}");
    cx.progress(format!("progress {token}"));
    let _: Result<(), ()> = cx.phase(&format!("phase {token}"), async { Ok(()) }).await;
    cx.expires(format!("expires {token}"), lineman_sdk::Timestamp::MAX);
    cx.requirement(&format!("requirement {token}"), Status::Unknown);
    cx.not_proved(format!("what {token}"), format!("why {token}"), Some(&token));
    cx.report(
        cx.finding("told", Cause::Undetermined, format!("message {token}"))
            .detail(format!("detail {token}"))
            .subject("token", &token)
            .pointer(format!("/secrets/{token}"))
            .evidence(Evidence::log("log", &format!("line {token}")))
            .command(format!("remedy {token}"), ["echo", &token])
            .doc(format!("doc {token}"), format!("https://example.com/{token}")),
    );
}

/// Leaves a process behind, which bears the mark when this is over.
async fn leave(cx: &Cx<Misbehaving>, detached: bool) -> Outcome {
    let mark = cx.settings().mark.clone().unwrap_or_default();
    let program = cx.program("sh")?;
    let mut command = Command::new(program.path());
    // Two commands, so that the shell stays and its arguments with it.
    command.args(["-c", "sleep 1000; :", &mark]);
    if detached {
        // SAFETY: nothing but a system call is made between fork and exec.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
    }
    if let Err(error) = command.spawn() {
        return Err(cx.finding("no-daemon", Cause::Undetermined, error.to_string()).into());
    }
    Ok(())
}

#[expect(unconditional_recursion, reason = "it is meant to overflow the stack")]
fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    deeper(n.wrapping_add(frame[1])).wrapping_add(frame[63])
}

lineman_sdk::export!(Misbehaving);
