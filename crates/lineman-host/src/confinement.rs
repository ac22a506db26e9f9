//! What a worker may reach, and how much of that the kernel of this machine can hold it to.

use std::path::{Path, PathBuf};

use landlock::{ABI, Access as _, AccessFs, LandlockStatus, RestrictSelf, Ruleset, RulesetAttr, RulesetError, Scope};
use serde::{Deserialize, Serialize};

/// What OpenSSH looks for beside a private key that it was given: the public key and the
/// certificate.
const BESIDE_A_KEY: [&str; 2] = [".pub", "-cert.pub"];

/// What a worker may reach beyond what every process needs; it is told so in its first frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Files and directories that it may read and run.
    pub(crate) read: Vec<PathBuf>,
    /// Directories that are its own.
    pub(crate) own: Vec<PathBuf>,
}

impl Reach {
    /// A library, what the configuration names or grants, and one directory to write in.
    pub(crate) fn new<'a>(library: &Path, named: impl IntoIterator<Item = &'a Path>, own: &Path) -> Reach {
        let mut read = vec![library.to_owned()];
        for path in named {
            read.push(path.to_owned());
            read.extend(BESIDE_A_KEY.map(|suffix| {
                let mut beside = path.as_os_str().to_owned();
                beside.push(suffix);
                beside.into()
            }));
        }
        read.sort();
        read.dedup();
        Reach { read, own: vec![own.to_owned()] }
    }
}

/// Every right over files that this program knows of. The kernel is held to those that it knows.
pub(crate) fn rights() -> landlock::BitFlags<AccessFs> {
    AccessFs::from_all(ABI::V9)
}

/// The rules of a worker before anything is allowed: nothing in the file system, no signal to
/// others, no abstract socket of others. The network is not ruled: Landlock tells ports apart, and
/// not addresses.
pub(crate) fn ruleset() -> Result<landlock::RulesetCreated, RulesetError> {
    Ruleset::default().handle_access(rights())?.scope(Scope::AbstractUnixSocket | Scope::Signal)?.create()
}

/// How far the kernel of this machine confines workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    abi: u32,
}

/// Something that a plugin's code could do, and whether it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// What: `signals to other processes`.
    pub what: &'static str,
    /// Whether workers are kept from it.
    pub confined: bool,
    /// How it is, in one sentence.
    pub how: &'static str,
}

impl Confinement {
    /// Asks the kernel; nothing is confined by that.
    pub fn of_this_machine() -> Confinement {
        let asked = RestrictSelf::default().no_new_privs(false).apply();
        let abi = match asked.map(|status| status.landlock) {
            Ok(LandlockStatus::Available { effective_abi, kernel_abi }) => {
                kernel_abi.unwrap_or(effective_abi as i32).unsigned_abs()
            }
            _ => 0,
        };
        Confinement { abi }
    }

    /// The version of Landlock that the kernel offers; none when it has no Landlock.
    pub fn landlock(self) -> Option<u32> {
        (self.abi > 0).then_some(self.abi)
    }

    /// What workers are and are not kept from on this machine.
    pub fn bounds(self) -> Vec<Bound> {
        let when = |since: u32, what, yes, no| {
            let confined = self.abi >= since;
            Bound { what, confined, how: if confined { yes } else { no } }
        };
        let always = |what, how| Bound { what, confined: true, how };
        let never = |what, how| Bound { what, confined: false, how };
        vec![
            when(
                1,
                "other files",
                "It reads what is listed above and what every program needs; it writes its own directory alone.",
                "This kernel has no Landlock: it reads and writes what the user may.",
            ),
            when(
                3,
                "cutting files short",
                "It cannot truncate what it may not write.",
                "This kernel lets it truncate files that the user may write.",
            ),
            when(
                6,
                "signals",
                "It can signal only what it started itself.",
                "This kernel lets it signal every process of the user.",
            ),
            when(
                6,
                "abstract sockets",
                "It can connect only to its own.",
                "This kernel lets it connect to those of others.",
            ),
            when(
                9,
                "sockets with a path",
                "It can connect only to those in its own directory and of the name services.",
                "This kernel lets it connect to those that the user may use: a container engine's, an agent's.",
            ),
            always("other processes", "It can neither trace them nor read their memory or environment."),
            always("privileges", "It has no capabilities, and setuid programs give it none."),
            always("environment", "It is empty but for what is granted."),
            always("memory", "Its private memory is limited, and it leaves no core dump."),
            always("what it leaves behind", "What it starts ends with it; its directory goes with the run."),
            never("the network", "It may connect to any address, and tell there what it knows."),
            never("names and modes of files", "It can ask whether a file is there, and change the mode of the user's."),
            never(
                "time and space",
                "It may use every processor, fill the disk below its directory, and slow the user's processes down.",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_kernels_confine_less_and_never_the_network() {
        let confined = |abi: u32| {
            let bounds = Confinement { abi }.bounds();
            bounds.iter().filter(|bound| bound.confined).map(|bound| bound.what).collect::<Vec<_>>()
        };
        let mut fewer = confined(0);
        for abi in 1..=10 {
            let now = confined(abi);
            assert!(fewer.iter().all(|what| now.contains(what)), "{abi} confines less than what came before");
            fewer = now;
        }
        assert!(!confined(0).contains(&"other files") && confined(1).contains(&"other files"));
        assert!(!confined(5).contains(&"signals") && confined(6).contains(&"signals"));
        assert!(!fewer.contains(&"the network"));
    }
}
