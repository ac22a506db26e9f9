//! `lineman logs`.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lineman_catalog::{Catalog, Explained, Explanation};
use lineman_logs::{Follow, Scanner, Summary, Ties, open, unpacked};
use lineman_report::{LogFormat, LogReport, Style};

use crate::cli::{Common, LogsArgs, LogsFormat};
use crate::commands::explain::{NOTHING, everything_known, of};
use crate::failure::{self, Done, Failure};
use crate::setup::{Plugins, Setup};
use crate::terminal;

/// Read at once, bytes.
const CHUNK: usize = 1 << 18;
/// How often a log that does not grow is asked whether it has.
const TICK: Duration = Duration::from_millis(200);

pub(crate) fn run(common: &Common, args: &LogsArgs) -> Done {
    let (catalogs, ties) = known(common, &args.provider)?;
    let mut scanner = Scanner::new(&everything_known(&catalogs), &ties, Timestamp::now());
    let style = terminal::style(common);
    let summary = if args.follow {
        follow(args, scanner, &style)?
    } else {
        read_all(&args.files, &mut scanner)?;
        scanner.finish()
    };
    let report = report(&summary, &ties);
    terminal::print(lineman_report::logs(&report, format(args.format), &style).as_bytes())?;
    Ok(if summary.is_empty() { NOTHING } else { 0 })
}

/// What the enabled plugins know, and the integrations that failures can concern. Without a
/// configuration every installed plugin is asked, and failures concern providers.
fn known(common: &Common, providers: &[String]) -> Result<(Vec<Catalog>, Ties), Failure> {
    if common.config.exists() {
        let setup = Setup::load(common)?;
        let ties = Ties::new(setup.config.integrations.iter().map(|configured| &configured.integration));
        return Ok((of(&setup.plugins, providers)?, ties));
    }
    let mut plugins = Plugins::find(common);
    plugins.read_all();
    Ok((of(&plugins, providers)?, Ties::default()))
}

fn read_all(files: &[PathBuf], scanner: &mut Scanner<'_>) -> Result<(), Failure> {
    let mut streams: Vec<(Option<String>, Box<dyn Read + Send>)> = Vec::new();
    // What cannot be opened stops everything before anything is read.
    for file in files.iter().filter(|file| !is_standard_input(file)) {
        streams.push((Some(file.display().to_string()), open(file).map_err(Failure::refused)?));
    }
    if files.is_empty() || files.iter().any(|file| is_standard_input(file)) {
        streams.push((None, standard_input()?));
    }
    let mut buffer = vec![0; CHUNK];
    for (name, mut stream) in streams {
        scanner.begin(name.as_deref());
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => scanner.feed(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let name = name.as_deref().unwrap_or("standard input");
                    failure::warn(&format!(
                        "{name} cannot be read to its end, and is told as far as it could be: {error}"
                    ));
                    break;
                }
            }
        }
    }
    Ok(())
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}

fn standard_input() -> Result<Box<dyn Read + Send>, Failure> {
    if io::stdin().is_terminal() {
        let how = "give files, or a log on standard input: `lineman logs build.log`, `COMMAND 2>&1 | lineman logs`";
        return Err(Failure::refused(how));
    }
    unpacked(io::stdin()).map_err(|error| Failure::refused(format_args!("standard input cannot be read: {error}")))
}

/// What wakes whoever follows logs.
enum Woken {
    Bytes(Vec<u8>),
    Ended,
    Interrupted,
}

/// A log that grows.
struct Growing<'a> {
    /// None for standard input, and for what cannot be read any more.
    file: Option<Follow>,
    scanner: Scanner<'a>,
    /// How many of its failures were told.
    told: usize,
    /// When it last grew.
    grew: Instant,
}

impl<'a> Growing<'a> {
    fn new(file: Option<Follow>, mut scanner: Scanner<'a>) -> Growing<'a> {
        scanner.begin(file.as_ref().map(|file| file.path().display().to_string()).as_deref());
        Growing { file, scanner, told: 0, grew: Instant::now() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
        self.grew = Instant::now();
    }

    /// Reads what its file has more; whether that is anything.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let Some(file) = &mut self.file else { return false };
        match file.read(buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.feed(&buffer[..read]);
                true
            }
            Err(error) => {
                failure::warn(&format!("{} cannot be read any further: {error}", file.path().display()));
                self.file = None;
                false
            }
        }
    }
}

/// Reads logs as they grow, until they end (standard input) or somebody ends it; gives what they told.
fn follow(args: &LogsArgs, scanner: Scanner<'_>, style: &Style) -> Result<Summary, Failure> {
    let (sender, woken) = sync_channel(4);
    let of_input = args.files.is_empty() || args.files.iter().any(|file| is_standard_input(file));
    if of_input && args.files.len() > 1 {
        return Err(Failure::refused("standard input is followed alone: give files, or `-`, not both"));
    }
    let mut logs = Vec::new();
    for file in args.files.iter().filter(|file| !is_standard_input(file)) {
        logs.push(Growing::new(Some(Follow::open(file).map_err(Failure::refused)?), scanner.another()));
    }
    when_interrupted(sender.clone())?;
    if of_input {
        send_standard_input(sender)?;
        logs.push(Growing::new(None, scanner));
    }
    let tell = args.format == LogsFormat::Human;
    grow(&mut logs, &woken, |one| match tell {
        true => terminal::print(lineman_report::log_event(one, style).as_bytes()),
        false => Ok(()),
    })?;
    if tell {
        terminal::print(b"\n")?;
    }
    let mut summary = Summary::default();
    logs.into_iter().for_each(|log| summary.join(log.scanner.finish()));
    Ok(summary)
}

fn grow(
    logs: &mut [Growing<'_>],
    woken: &Receiver<Woken>,
    tell: impl Fn(&Explained) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let of_files = logs.iter().any(|log| log.file.is_some());
    loop {
        let mut grown = false;
        for log in &mut *logs {
            grown |= log.read(&mut buffer);
        }
        if of_files && logs.iter().all(|log| log.file.is_none()) {
            return Ok(());
        }
        match woken.recv_timeout(if grown { Duration::ZERO } else { TICK }) {
            // Standard input is alone.
            Ok(Woken::Bytes(bytes)) => logs.iter_mut().for_each(|log| log.feed(&bytes)),
            Ok(Woken::Ended | Woken::Interrupted) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        for log in &mut *logs {
            if log.grew.elapsed() >= TICK {
                log.scanner.flush();
            }
            for group in log.scanner.summary().since(log.told) {
                tell(&Explained::from(group))?;
                log.told += 1;
            }
        }
    }
}

/// Sends what comes on standard input, from a thread of its own: a read cannot be waited for.
fn send_standard_input(sender: SyncSender<Woken>) -> Result<(), Failure> {
    let mut stream = standard_input()?;
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let woken = match stream.read(&mut buffer) {
                Ok(0) => Woken::Ended,
                Ok(read) => Woken::Bytes(buffer[..read].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Woken::Ended,
            };
            let last = matches!(woken, Woken::Ended);
            if sender.send(woken).is_err() || last {
                return;
            }
        }
    });
    Ok(())
}

fn when_interrupted(sender: SyncSender<Woken>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Internal(error.to_string()))?;
    thread::spawn(move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            let _ = sender.send(Woken::Interrupted);
        }
    });
    Ok(())
}

fn report(summary: &Summary, ties: &Ties) -> LogReport {
    let explanation = summary.explanation();
    let retest = concerned(&explanation, ties);
    LogReport { explanation, lines: summary.lines, bytes: summary.bytes, uncounted: summary.uncounted, retest }
}

/// The integrations that failures concern.
pub(crate) fn concerned(explanation: &Explanation, ties: &Ties) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut names = Vec::new();
    for one in &explanation.matches {
        // Where the log does not tell, and the provider has one integration alone, it is that one.
        let mut of_provider = ties.with_provider(&one.provider);
        let only = of_provider.next().filter(|_| of_provider.next().is_none());
        if let Some(name) = one.integration.as_deref().or(only)
            && known.insert(name.to_owned())
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn format(format: LogsFormat) -> LogFormat {
    match format {
        LogsFormat::Human => LogFormat::Human,
        LogsFormat::Json => LogFormat::Json,
        LogsFormat::Markdown => LogFormat::Markdown,
        LogsFormat::Github => LogFormat::Github,
        LogsFormat::Sarif => LogFormat::Sarif,
    }
}
