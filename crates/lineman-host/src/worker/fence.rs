//! What a worker may touch in the file system, and whom it may signal: put up before any foreign
//! code runs, never to be taken down. Whatever the plugin starts is inside, too.

use std::path::{Path, PathBuf};

use landlock::{
    AccessFs, BitFlags, RulesetCreated, RulesetCreatedAttr, RulesetError, make_bitflags, path_beneath_rules,
};

use crate::confinement::{self, Reach};

/// Programs and libraries, which everybody may read.
const PROGRAMS: [&str; 7] = ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store"];

/// What a process reads to start, to resolve a name, to know its user, to trust a certificate and
/// to tell the time. One by one: `/etc` holds secrets, too, and a worker of root's may be allowed
/// to read them.
const SYSTEM: [&str; 47] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/networks",
    "/etc/passwd",
    "/etc/group",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/mime.types",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/gnutls/config",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/gitconfig",
    "/etc/ssh/ssh_config",
    "/etc/ssh/ssh_config.d",
    "/etc/ssh/ssh_known_hosts",
    "/etc/krb5.conf",
    "/etc/krb5.conf.d",
    "/var/lib/sss/mc",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Directories of `/etc` whose names begin so hold the settings of interpreters.
const INTERPRETERS: [&str; 4] = ["java-", "perl", "python", "ruby"];

/// What a process may read of itself, wherever its program is: nobody else is there.
const ITSELF: [&str; 4] = ["/proc/self", "/proc/self/exe", "/dev/urandom", "/dev/random"];

/// Where one writes what nobody wants.
const SINKS: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// Sockets of the services that know users and host names.
const NAME_SERVICES: [&str; 5] =
    ["/run/systemd/resolve", "/run/systemd/userdb", "/run/nscd", "/var/run/nscd", "/var/lib/sss/pipes"];

/// Puts the fence up around this process. Where the kernel has none to offer, nothing happens;
/// where it has, it stands or this fails.
pub(super) fn put_up(reach: &Reach) -> Result<(), RulesetError> {
    let read = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
    let own = confinement::rights() & !make_bitflags!(AccessFs::{MakeChar | MakeBlock});
    let sink = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});
    let ruleset = confinement::ruleset()?;
    let ruleset = allow(ruleset, PROGRAMS.iter().chain(&SYSTEM).chain(&ITSELF), read)?;
    let ruleset = allow(ruleset, interpreters(), read)?;
    let ruleset = allow(ruleset, SINKS, sink)?;
    let ruleset = allow(ruleset, NAME_SERVICES, AccessFs::ResolveUnix.into())?;
    let ruleset = allow(ruleset, &reach.read, read)?;
    allow(ruleset, &reach.own, own)?.restrict_self()?;
    Ok(())
}

/// Allows what is there; what is not cannot be reached anyhow.
fn allow<P: AsRef<Path>>(
    ruleset: RulesetCreated,
    paths: impl IntoIterator<Item = P>,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    ruleset.add_rules(path_beneath_rules(paths, rights))
}

fn interpreters() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let is_one = |name: &str| INTERPRETERS.iter().any(|prefix| name.starts_with(prefix));
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one)).map(|entry| entry.path()).collect()
}
