use std::collections::{BTreeMap, BTreeSet};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::source::reason;

/// How long one program may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How many programs run at once: password stores are busy places.
const PARALLEL: usize = 8;
/// The most that is read to find a secret, in bytes, whatever holds it.
pub(crate) const LIMIT: u64 = 1024 * 1024;
/// How much of what a program complains is kept, in bytes.
pub(crate) const STDERR_LIMIT: usize = 64 * 1024;

/// What a program printed, or why that cannot be had.
pub(crate) type Printed = Result<Zeroizing<Vec<u8>>, Failed>;

/// A program that gave no secret.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What happened, as the end of a sentence about the program.
    pub(crate) what: String,
    /// What it printed all the same; not to be shown.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    /// What it complained about; may hold secrets.
    pub(crate) stderr: Zeroizing<Vec<u8>>,
}

impl Failed {
    fn new(what: impl Into<String>) -> Failed {
        Failed { what: what.into(), stdout: Zeroizing::default(), stderr: Zeroizing::default() }
    }
}

/// Runs each program once, some at a time. Dropping the future ends those that still run.
pub(crate) async fn run_all(commands: BTreeSet<Vec<String>>, deadline: Instant) -> BTreeMap<Vec<String>, Printed> {
    let slots = Arc::new(Semaphore::new(PARALLEL));
    let mut running = JoinSet::new();
    for argv in commands {
        let slots = Arc::clone(&slots);
        running.spawn(async move {
            let printed = match timeout_at(deadline, slots.acquire()).await {
                Ok(_slot) if Instant::now() < deadline => run(&argv, deadline.min(Instant::now() + TIMEOUT)).await,
                _ => Err(Failed::new("was not started before the time was up")),
            };
            (argv, printed)
        });
    }
    let mut printed = BTreeMap::new();
    while let Some(done) = running.join_next().await {
        if let Ok((argv, output)) = done {
            printed.insert(argv, output);
        }
    }
    printed
}

async fn run(argv: &[String], deadline: Instant) -> Printed {
    let (program, arguments) = argv.split_first().ok_or_else(|| Failed::new("has no name"))?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what the program starts ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failed::new(format!("cannot be started: {}", reason(&error))))?;
    let mut group = Group::of(&child);
    let (mut stdout, mut stderr) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ended = timeout_at(deadline, async {
        let whole = async {
            read_up_to(out, LIMIT + 1, &mut stdout).await?;
            let fits = stdout.len() as u64 <= LIMIT;
            if fits { Ok(()) } else { Err(format!("printed more than {} KiB", LIMIT / 1024)) }
        };
        let complaint = async {
            // The rest is read and dropped: a program must not wait for somebody to listen.
            let rest = read_up_to(err, STDERR_LIMIT as u64, &mut stderr).await?;
            if let Some(mut rest) = rest {
                let dropped = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                dropped.map_err(|error| reason(&error))?;
            }
            Ok(())
        };
        let end = async { child.wait().await.map_err(|error| reason(&error)) };
        tokio::try_join!(whole, complaint, end).map(|((), (), status)| status)
    })
    .await;
    let what = match ended {
        Ok(Ok(status)) => {
            group.ended();
            if status.success() {
                return Ok(stdout);
            }
            end_of(status)
        }
        Ok(Err(what)) => what,
        Err(_) => format!("did not end within {} ms", (deadline - started).as_millis()),
    };
    Err(Failed { what, stdout, stderr })
}

fn end_of(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Reads the beginning of a pipe and gives the pipe back for the rest.
async fn read_up_to<P: AsyncRead + Unpin>(
    pipe: Option<P>,
    limit: u64,
    kept: &mut Vec<u8>,
) -> Result<Option<P>, String> {
    let Some(pipe) = pipe else { return Ok(None) };
    let mut start = pipe.take(limit);
    start.read_to_end(kept).await.map_err(|error| reason(&error))?;
    Ok(Some(start.into_inner()))
}

/// The processes of a program that has not ended; dropping it ends them.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group(id.and_then(Pid::from_raw))
    }

    /// The program has ended by itself: its number may soon belong to another.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nothing is left to do when the group is gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
