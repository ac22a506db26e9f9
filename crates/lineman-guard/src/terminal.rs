use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::process::getpgrp;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// A terminal that stands in for another one where a command writes.
///
/// It is nobody's controlling terminal, so it sends no signals, and the command still reads from
/// the real one. Two things are kept the same on both: the size, and, for programs that set how
/// *keys* are read on the terminal that they *write* to (whatever is drawn with curses), the modes.
pub(crate) struct Double {
    /// The end that reads what the command writes.
    near: OwnedFd,
    real: BorrowedFd<'static>,
    modes: Mutex<Modes>,
}

struct Modes {
    /// The stand-in's, when they were last looked at.
    seen: Termios,
    /// The real one's before the first change.
    before: Option<Termios>,
}

impl Double {
    /// Makes one; the other end is for the command.
    pub(crate) fn of(real: BorrowedFd<'static>) -> io::Result<(Double, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let far = ioctl_tiocgptpeer(&near, flags)?;
        let mut modes = tcgetattr(real)?;
        // The real one does to the output what there is to do, once.
        modes.output_modes.remove(OutputModes::OPOST);
        tcsetattr(&far, OptionalActions::Now, &modes)?;
        let double = Double { near, real, modes: Mutex::new(Modes { seen: modes, before: None }) };
        double.take_size();
        Ok((double, far))
    }

    /// Takes on the size of the real one.
    pub(crate) fn take_size(&self) {
        if let Ok(size) = tcgetwinsize(self.real) {
            // A command that has closed it has no use for its size.
            let _ = tcsetwinsize(&self.near, size);
        }
    }

    /// Gives the real one the modes that the command has set here.
    pub(crate) fn give_modes(&self) {
        let mut modes = self.modes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Ok(wanted) = tcgetattr(&self.near) else { return };
        if same(&wanted, &modes.seen) {
            return;
        }
        if let Ok(mut real) = tcgetattr(self.real)
            && self.is_in_the_foreground()
        {
            modes.before.get_or_insert_with(|| real.clone());
            real.input_modes = wanted.input_modes;
            real.local_modes = wanted.local_modes;
            real.special_codes = wanted.special_codes.clone();
            // A terminal that has gone has no modes.
            let _ = tcsetattr(self.real, OptionalActions::Now, &real);
        }
        modes.seen = wanted;
    }

    /// From the background, setting modes would stop this process.
    fn is_in_the_foreground(&self) -> bool {
        tcgetpgrp(self.real).is_ok_and(|group| group == getpgrp())
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let modes = self.modes.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(before) = modes.before.take()
            && self.is_in_the_foreground()
        {
            let _ = tcsetattr(self.real, OptionalActions::Now, &before);
        }
    }
}

impl AsFd for Double {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }
}

fn same(one: &Termios, other: &Termios) -> bool {
    one.input_modes == other.input_modes
        && one.local_modes == other.local_modes
        && format!("{:?}", one.special_codes) == format!("{:?}", other.special_codes)
}
