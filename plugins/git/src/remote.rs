//! The address of a repository: what `git` would make of it, and what is refused here.
//!
//! An address is text that ends up on the command line of `git` and `ssh`. So it is taken apart
//! and put together again, and anything that is not plainly a host and a path is refused with a
//! reason: other transports, remote helpers, options in disguise, credentials.

use std::fmt;
use std::net::Ipv6Addr;

use lineman_sdk::{Protocol, Target, Url};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::key;

/// What git decodes, or must not find, in the path of an ssh address.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

const LONGEST: usize = 2048;

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Ssh,
    Https,
    Http,
}

/// The address of a repository, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) transport: Transport,
    pub(crate) user: Option<String>,
    /// Lower case; an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the server is asked for it.
    pub(crate) path: String,
    /// Written `user@host:path`, whose path is relative to the user's home.
    scp: bool,
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Empty,
    TooLong,
    WhiteSpace,
    OptionInDisguise,
    RemoteHelper(String),
    Scheme(String),
    LocalPath,
    MissingSlash(String),
    Host(String),
    User,
    Port,
    NoPath,
    Password,
    TokenAsUser,
    QueryOrFragment,
    Malformed(String),
}

impl Remote {
    /// Takes an address apart, or says why not.
    pub(crate) fn parse(text: &str) -> Result<Remote, Refused> {
        if text.is_empty() {
            return Err(Refused::Empty);
        }
        if text.len() > LONGEST {
            return Err(Refused::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Refused::WhiteSpace);
        }
        if text.starts_with('-') {
            return Err(Refused::OptionInDisguise);
        }
        if let Some((helper, _)) = text.split_once("::")
            && !helper.is_empty()
            && helper.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return Err(Refused::RemoteHelper(helper.to_owned()));
        }
        let remote = if text.contains("://") { Remote::from_url(text)? } else { Remote::from_scp(text)? };
        remote.checked()
    }

    fn from_url(text: &str) -> Result<Remote, Refused> {
        let url = Url::parse(text).map_err(|error| Refused::Malformed(error.to_string()))?;
        let (transport, port) = match url.scheme() {
            "ssh" | "git+ssh" | "ssh+git" => (Transport::Ssh, 22),
            "https" => (Transport::Https, 443),
            "http" => (Transport::Http, 80),
            other => return Err(Refused::Scheme(other.to_owned())),
        };
        if url.password().is_some() {
            return Err(Refused::Password);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refused::QueryOrFragment);
        }
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(String::from);
            decoded.map_err(|error| Refused::Malformed(error.to_string()))
        };
        let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let path = match transport {
            // git decodes the path of an ssh address and asks for `~user` without the slash.
            Transport::Ssh => decoded(url.path())?,
            _ => url.path().to_owned(),
        };
        let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).map(str::to_owned).unwrap_or(path);
        let port = url.port().unwrap_or(port);
        Ok(Remote { transport, user, host: host.to_ascii_lowercase(), port, path, scp: false })
    }

    /// `user@host:path`, which git takes for such when the colon comes before any slash.
    fn from_scp(text: &str) -> Result<Remote, Refused> {
        let (place, path) = match text.find("]:").filter(|_| text.contains('[')) {
            Some(end) => (&text[..=end], &text[end + 2..]),
            None => text.split_once(':').ok_or(Refused::LocalPath)?,
        };
        if place.contains('/') {
            return Err(Refused::LocalPath);
        }
        if ["http", "https", "ssh"].contains(&place) {
            return Err(Refused::MissingSlash(place.to_owned()));
        }
        // Brackets stand around an IPv6 address, or around `user@host:port`.
        let (user, host) = match place.strip_suffix(']').and_then(|place| place.split_once('[')) {
            Some((user, inner)) if user.is_empty() && inner.contains('@') => split_user(inner),
            Some((user, inner)) => (user.strip_suffix('@').map(str::to_owned), inner),
            None => split_user(place),
        };
        let (host, port) = match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, port.parse().map_err(|_| Refused::Port)?),
            _ => (host, 22),
        };
        let path = path.to_owned();
        Ok(Remote { transport: Transport::Ssh, user, host: host.to_ascii_lowercase(), port, path, scp: true })
    }

    fn checked(self) -> Result<Remote, Refused> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name = !self.host.is_empty() && !self.host.starts_with(['-', '.']) && self.host.chars().all(plain);
        if !name && self.host.parse::<Ipv6Addr>().is_err() {
            return Err(Refused::Host(self.host));
        }
        if self.port == 0 {
            return Err(Refused::Port);
        }
        if let Some(user) = &self.user {
            if self.transport != Transport::Ssh && key::token(user).is_some() {
                return Err(Refused::TokenAsUser);
            }
            if user.starts_with('-') || !user.chars().all(|c| plain(c) || matches!(c, '@' | '+' | '=' | '~')) {
                return Err(Refused::User);
            }
        }
        if self.path.trim_matches('/').is_empty() {
            return Err(Refused::NoPath);
        }
        if self.path.starts_with('-') {
            return Err(Refused::OptionInDisguise);
        }
        if self.path.chars().any(char::is_control) {
            return Err(Refused::WhiteSpace);
        }
        Ok(self)
    }

    /// Where the path to the host ends.
    pub(crate) fn target(&self) -> Target {
        let protocol = match self.transport {
            Transport::Ssh => return Target::tcp(&self.host, self.port),
            Transport::Https => Protocol::Https,
            Transport::Http => Protocol::Http,
        };
        Target { protocol, host: self.host.clone(), port: self.port, path: self.path.clone() }
    }

    /// The address as `git` gets it: the port of SSH stands in `ssh`'s configuration, the user of
    /// HTTP beside the token.
    pub(crate) fn for_git(&self) -> String {
        match self.transport {
            Transport::Ssh => {
                Remote { port: 22, ..self.clone() }.to_string().replacen(":22/", "/", usize::from(!self.scp))
            }
            _ => Remote { user: None, ..self.clone() }.to_string(),
        }
    }

    /// `host:port`, with brackets where the host is an IPv6 address.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The repository for people: `github.com/owner/name`.
    pub(crate) fn repository(&self) -> String {
        let path = self.path.trim_matches('/');
        format!("{}/{}", self.host, path.strip_suffix(".git").unwrap_or(path))
    }

    /// The address of the reference advertisement, for HTTP.
    pub(crate) fn advertisement(&self, service: &str) -> String {
        format!("{}/info/refs?service={service}", self.to_string().trim_end_matches('/'))
    }

    /// Whether a path begins with what looks like a port: `git@host:2222/group/project`.
    pub(crate) fn port_in_path(&self) -> Option<u16> {
        let first = self.path.split('/').next().filter(|_| self.scp)?;
        first.parse().ok().filter(|port| *port > 21)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// The address as it is given to `git`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let host = self.bracketed();
        match self.transport {
            Transport::Ssh if self.scp && self.port == 22 => write!(f, "{user}{host}:{}", self.path),
            Transport::Ssh if self.scp => write!(f, "[{user}{host}:{}]:{}", self.port, self.path),
            Transport::Ssh => {
                let slash = if self.path.starts_with('/') { "" } else { "/" };
                write!(f, "ssh://{user}{host}:{}{slash}{}", self.port, utf8_percent_encode(&self.path, ENCODED))
            }
            Transport::Https if self.port == 443 => write!(f, "https://{user}{host}{}", self.path),
            Transport::Https => write!(f, "https://{user}{host}:{}{}", self.port, self.path),
            Transport::Http if self.port == 80 => write!(f, "http://{user}{host}{}", self.path),
            Transport::Http => write!(f, "http://{user}{host}:{}{}", self.port, self.path),
        }
    }
}

impl Refused {
    /// What is wrong, as a clause.
    pub(crate) fn reason(&self) -> String {
        match self {
            Refused::Empty => "is empty".into(),
            Refused::TooLong => format!("is longer than {LONGEST} bytes"),
            Refused::WhiteSpace => "holds white space or control characters".into(),
            Refused::OptionInDisguise => "begins with a hyphen, which a command line would take for an option".into(),
            Refused::RemoteHelper(helper) => format!("names the remote helper `{helper}::`, which runs a program"),
            Refused::Scheme(scheme) => format!("uses the scheme `{scheme}`"),
            Refused::LocalPath => "is a path on this machine, or lacks the colon after the host".into(),
            Refused::MissingSlash(scheme) => format!("lacks a slash after `{scheme}:`"),
            Refused::Host(host) => format!("names the host `{host}`, which is no host name or address"),
            Refused::User => "has a user name with characters that no server uses".into(),
            Refused::Port => "has a port that is no number from 1 to 65535".into(),
            Refused::NoPath => "names a host but no repository".into(),
            Refused::Password => "holds a password".into(),
            Refused::TokenAsUser => "holds a token in place of a user name".into(),
            Refused::QueryOrFragment => "has a query or fragment".into(),
            Refused::Malformed(why) => format!("cannot be read: {why}"),
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Refused::Password | Refused::TokenAsUser => {
                "Take the credential out of `url` and give it in the secrets `username` and `token`; \
                 replace it if this configuration was ever shared."
            }
            Refused::WhiteSpace => "Copy the address again, without spaces or line ends.",
            Refused::QueryOrFragment => {
                "Copy the address that the host offers for cloning, not the one in the browser."
            }
            _ => {
                "Write `url` as ssh://git@host/path, git@host:path or https://host/path, as the host offers it for \
                 cloning."
            }
        }
    }
}

fn split_user(place: &str) -> (Option<String>, &str) {
    match place.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_put_together_again() {
        let check = |text: &str, expect: (&str, Option<&str>, &str, u16, &str), given_to_git: &str| {
            let remote = Remote::parse(text).unwrap_or_else(|refused| panic!("{text}: {refused:?}"));
            let transport = format!("{:?}", remote.transport).to_lowercase();
            let parts = (transport.as_str(), remote.user.as_deref(), remote.host.as_str(), remote.port);
            assert_eq!((parts.0, parts.1, parts.2, parts.3, remote.path.as_str()), expect, "{text}");
            assert_eq!(remote.to_string(), given_to_git, "{text}");
            assert_eq!(Remote::parse(given_to_git), Ok(remote), "{text}");
        };
        let github = ("ssh", Some("git"), "github.com", 22, "owner/name.git");
        check("git@github.com:owner/name.git", github, "git@github.com:owner/name.git");
        check("git@GitHub.com:owner/name.git", github, "git@github.com:owner/name.git");
        let absolute = ("ssh", Some("git"), "github.com", 22, "/owner/name");
        check("ssh://git@github.com/owner/name", absolute, "ssh://git@github.com:22/owner/name");
        check("git+ssh://git@github.com:22/owner/name", absolute, "ssh://git@github.com:22/owner/name");
        check("ssh://host/~me/x", ("ssh", None, "host", 22, "~me/x"), "ssh://host:22/~me/x");
        check("ssh://host/a%20b%25c", ("ssh", None, "host", 22, "/a b%c"), "ssh://host:22/a%20b%25c");
        check("[git@host:2222]:x/y", ("ssh", Some("git"), "host", 2222, "x/y"), "[git@host:2222]:x/y");
        check("git@[2001:db8::1]:x/y", ("ssh", Some("git"), "2001:db8::1", 22, "x/y"), "git@[2001:db8::1]:x/y");
        check("ssh://[2001:db8::1]:2222/x", ("ssh", None, "2001:db8::1", 2222, "/x"), "ssh://[2001:db8::1]:2222/x");
        check("https://host/x.git", ("https", None, "host", 443, "/x.git"), "https://host/x.git");
        check(
            "https://org@dev.azure.com/org/p/_git/r",
            ("https", Some("org"), "dev.azure.com", 443, "/org/p/_git/r"),
            "https://org@dev.azure.com/org/p/_git/r",
        );
        check("http://127.0.0.1:8080/x", ("http", None, "127.0.0.1", 8080, "/x"), "http://127.0.0.1:8080/x");
    }

    #[test]
    fn whatever_is_not_plainly_a_host_and_a_path_is_refused() {
        let check = |text: &str, expect: Refused| assert_eq!(Remote::parse(text), Err(expect), "{text}");
        check("", Refused::Empty);
        check(&"x".repeat(LONGEST + 1), Refused::TooLong);
        check("git@host:x y", Refused::WhiteSpace);
        check("git@host:x\n", Refused::WhiteSpace);
        check("--upload-pack=touch /tmp/x", Refused::WhiteSpace);
        check("--upload-pack=x", Refused::OptionInDisguise);
        check("-oProxyCommand=x:y", Refused::OptionInDisguise);
        check("ssh://-oProxyCommand=x/y", Refused::Host("-oproxycommand=x".into()));
        check("git@-oProxyCommand:y", Refused::Host("-oproxycommand".into()));
        check("ssh://-oX=y@host/x", Refused::User);
        check("git@host:-x", Refused::OptionInDisguise);
        check("ssh://host/%0ax", Refused::WhiteSpace);
        check("ext::sh -c x", Refused::WhiteSpace);
        check("ext::sh", Refused::RemoteHelper("ext".into()));
        check("fd::17/x", Refused::RemoteHelper("fd".into()));
        check("file:///srv/x", Refused::Scheme("file".into()));
        check("git://host/x", Refused::Scheme("git".into()));
        check("ftp://host/x", Refused::Scheme("ftp".into()));
        check("/srv/x.git", Refused::LocalPath);
        check("../x", Refused::LocalPath);
        check("git@github.com/owner/name", Refused::LocalPath);
        check("github.com/owner/name:x", Refused::LocalPath);
        check("https:/github.com/x", Refused::MissingSlash("https".into()));
        check("ssh://git@host:0/x", Refused::Port);
        check("[git@host:99999]:x", Refused::Port);
        check("https://host", Refused::NoPath);
        check("git@host:/", Refused::NoPath);
        check("https://me:secret@host/x", Refused::Password);
        check("ssh://me:secret@host/x", Refused::Password);
        check("https://ghp_0123456789@github.com/x", Refused::TokenAsUser);
        check("https://host/x?service=y", Refused::QueryOrFragment);
        check("https://host/x#readme", Refused::QueryOrFragment);
    }

    #[test]
    fn the_names_for_people_and_for_http() {
        let remote = |text| Remote::parse(text).unwrap();
        assert_eq!(remote("git@github.com:owner/name.git").repository(), "github.com/owner/name");
        assert_eq!(remote("git@host:2222/group/name").port_in_path(), Some(2222));
        assert_eq!(remote("ssh://git@host/2222/name").port_in_path(), None);
        let service = remote("https://host:8443/x.git/").advertisement("git-upload-pack");
        assert_eq!(service, "https://host:8443/x.git/info/refs?service=git-upload-pack");
        assert_eq!(remote("ssh://[::1]:2222/x").address(), "[::1]:2222");
        assert_eq!(remote("ssh://git@[::1]:2222/:22/x").for_git(), "ssh://git@[::1]/:22/x");
        assert_eq!(remote("[git@host:2222]:x/y:22/").for_git(), "git@host:x/y:22/");
        assert_eq!(remote("https://me@host:8443/x").for_git(), "https://host:8443/x");
    }
}
