use std::io::{Read, Write};
use std::process::{Child, Command};

use anyhow::{Result, bail, ensure};
use pty_process::Size;
use pty_process::blocking::{Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, tcgetattr};

/// How long words are waited for that must come.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// A program in a terminal of its own, and somebody who looks and types.
pub struct Screen {
    terminal: Pty,
    child: Child,
    /// All that was shown.
    shown: String,
    /// How much of it was looked at.
    looked: usize,
}

impl Screen {
    /// Starts a program in a terminal of 30 lines and 100 columns, as the leader of its session.
    pub fn start(command: Command) -> Result<Screen> {
        let (terminal, far) = open()?;
        terminal.resize(Size::new(30, 100))?;
        let child = pty_process::blocking::Command::from(command).spawn(far)?;
        Ok(Screen { terminal, child, shown: String::new(), looked: 0 })
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Looks until words are shown, beyond those that were looked for before.
    pub fn until(&mut self, words: &str) -> Result<()> {
        loop {
            if let Some(at) = self.shown[self.looked..].find(words) {
                self.looked += at + words.len();
                return Ok(());
            }
            ensure!(self.look()?, "it ended without `{words}`:\n{}", self.shown);
        }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.terminal.write_all(keys.as_bytes())?)
    }

    /// Changes the size of the terminal: lines and columns.
    pub fn resize(&mut self, lines: u16, columns: u16) -> Result<()> {
        Ok(self.terminal.resize(Size::new(lines, columns))?)
    }

    /// Whether the terminal gives whole lines, and shows what is typed.
    pub fn modes(&self) -> Result<(bool, bool)> {
        let modes = tcgetattr(&self.terminal)?.local_modes;
        Ok((modes.contains(LocalModes::ICANON), modes.contains(LocalModes::ECHO)))
    }

    /// Looks until the program ends; its exit code, a negative one for a signal, and all that was
    /// shown.
    pub fn end(mut self) -> Result<(i32, String)> {
        use std::os::unix::process::ExitStatusExt;

        while self.look()? {}
        let status = self.child.wait()?;
        let code = status.code().or(status.signal().map(|signal| -signal));
        Ok((code.unwrap_or(i32::MIN), std::mem::take(&mut self.shown)))
    }

    /// Waits for more; whether there was any.
    fn look(&mut self) -> Result<bool> {
        let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE))? == 0 {
            bail!("nothing happens any more after:\n{}", self.shown);
        }
        let mut buffer = [0; 4096];
        // A terminal that nobody has open any more cannot be read.
        let Ok(read @ 1..) = self.terminal.read(&mut buffer) else { return Ok(false) };
        self.shown += &String::from_utf8_lossy(&buffer[..read]);
        Ok(true)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
