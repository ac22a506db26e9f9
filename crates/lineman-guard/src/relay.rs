use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::termios::isatty;

use crate::terminal::Double;

/// So much is passed on at once, bytes.
const BUFFER: usize = 64 * 1024;
/// The most that a pipe or a terminal can hold when the command has ended, bytes: what comes after
/// it was written by others.
const MOST_LEFT: usize = 1024 * 1024;

/// The near end of what a command writes to.
pub(crate) enum Source {
    Pipe(PipeReader),
    Terminal(Arc<Double>),
}

impl Source {
    /// What a command is to write to in place of one of our streams, and where that is read.
    pub(crate) fn in_place_of(stream: BorrowedFd<'static>) -> std::io::Result<(Source, OwnedFd)> {
        if isatty(stream) {
            let (double, far) = Double::of(stream)?;
            return Ok((Source::Terminal(Arc::new(double)), far));
        }
        let (reader, writer): (PipeReader, PipeWriter) = std::io::pipe()?;
        Ok((Source::Pipe(reader), writer.into()))
    }

    pub(crate) fn terminal(&self) -> Option<Arc<Double>> {
        match self {
            Source::Pipe(_) => None,
            Source::Terminal(double) => Some(Arc::clone(double)),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Pipe(reader) => reader.as_fd(),
            Source::Terminal(double) => double.as_fd(),
        }
    }
}

/// Passes on what a command writes, until nobody can write any more; or, when the other end of
/// `ended` closes, until what is there already has passed.
///
/// Where nobody reads what is passed on, the source closes, so that the command learns of it.
pub(crate) fn pass_on(source: Source, to: BorrowedFd<'_>, ended: &PipeReader, mut heard: impl FnMut(&[u8])) {
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut buffer = vec![0; BUFFER];
    let (mut has_ended, mut left) = (false, MOST_LEFT);
    while left > 0 {
        let patience = has_ended.then_some(&AT_ONCE);
        let mut ready = [PollFd::new(&source, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut ready, patience) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        let [has_output, ends] = ready.map(|one| !one.revents().is_empty());
        has_ended |= ends;
        if !has_output {
            if patience.is_some() {
                return;
            }
            continue;
        }
        let output = match read(&source, &mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(Errno::INTR | Errno::AGAIN) => continue,
            // So a terminal says that nobody can write to it any more.
            Err(_) => return,
        };
        if let Source::Terminal(double) = &source {
            double.give_modes();
        }
        if write_all(to, output).is_err() {
            return;
        }
        heard(output);
        if has_ended {
            left = left.saturating_sub(output.len());
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Somebody else who has the stream wants never to wait; the command may have to.
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&to, PollFlags::OUT)], None)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
