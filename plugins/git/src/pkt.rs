//! Reads the advertisement of references: the first thing that `git-upload-pack` and
//! `git-receive-pack` say, over SSH and over HTTP.
//!
//! It comes in pkt-lines (four hexadecimal digits of length, then the line) in protocol version 0
//! or 1. Over HTTP a service announcement stands before it.

use std::collections::BTreeMap;

/// The references and abilities that a server announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advertisement {
    /// Names and object ids, `HEAD` among them; peeled tags left out.
    pub(crate) refs: BTreeMap<String, String>,
    /// What `HEAD` points to.
    pub(crate) head: Option<String>,
    /// As the server writes them: `filter`, `agent=git/2.47`.
    pub(crate) capabilities: Vec<String>,
    /// Whether the end was seen; else there may be more references.
    pub(crate) complete: bool,
}

/// Why an answer is no advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It does not begin with a pkt-line.
    NotGit,
    /// The service announced is another one.
    OtherService(String),
    /// The server sent an error line in place of references.
    Refused(String),
    /// It ends before the first reference.
    Short,
}

/// Reads as much as has arrived. What comes after a cut is not there, and `complete` says so.
pub(crate) fn read(bytes: &[u8], service: &str) -> Result<Advertisement, Unreadable> {
    let mut lines = Lines { rest: bytes };
    let mut advertisement = Advertisement::default();
    let mut first = true;
    loop {
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(())) => return Err(Unreadable::NotGit),
            None if first && bytes.is_empty() => return Err(Unreadable::Short),
            None => return Ok(advertisement),
        };
        let Some(line) = line else {
            if first {
                // Over HTTP, the end of the announcement; or nothing to tell at all.
                continue;
            }
            advertisement.complete = true;
            return Ok(advertisement);
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(announced) = line.strip_prefix(b"# service=") {
            if announced != service.as_bytes() {
                return Err(Unreadable::OtherService(lossy(announced)));
            }
            continue;
        }
        if let Some(error) = line.strip_prefix(b"ERR ") {
            return Err(Unreadable::Refused(lossy(error)));
        }
        if line.starts_with(b"version ") {
            continue;
        }
        let line = if first { advertisement.take_capabilities(line) } else { line };
        first = false;
        advertisement.take_reference(line).ok_or(Unreadable::NotGit)?;
    }
}

impl Advertisement {
    /// Whether the server can leave out file contents, so that a clone is small.
    pub(crate) fn filters(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == "filter")
    }

    /// The full name of a reference given in short, looked up in git's order.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let names =
            [name.to_owned(), format!("refs/{name}"), format!("refs/tags/{name}"), format!("refs/heads/{name}")];
        let found = names.iter().find_map(|name| self.refs.get_key_value(name));
        found.or_else(|| self.refs.iter().find(|(_, id)| *id == name)).map(|(name, _)| name.as_str())
    }

    /// The first line carries the capabilities after a zero byte.
    fn take_capabilities<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        let Some(zero) = line.iter().position(|byte| *byte == 0) else { return line };
        self.capabilities = lossy(&line[zero + 1..]).split_whitespace().map(str::to_owned).collect();
        self.head = self.capabilities.iter().find_map(|word| word.strip_prefix("symref=HEAD:")).map(str::to_owned);
        &line[..zero]
    }

    fn take_reference(&mut self, line: &[u8]) -> Option<()> {
        let line = std::str::from_utf8(line).ok()?;
        let (id, name) = line.split_once(' ')?;
        if !matches!(id.len(), 40 | 64) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        // An empty repository has nothing but capabilities, under a name of their own.
        if name != "capabilities^{}" && !name.ends_with("^{}") {
            self.refs.insert(name.to_owned(), id.to_owned());
        }
        Some(())
    }
}

struct Lines<'a> {
    rest: &'a [u8],
}

/// `Ok(None)` is a flush. The iteration ends where the bytes do, in the midst of a line or not.
impl<'a> Iterator for Lines<'a> {
    type Item = Result<Option<&'a [u8]>, ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        let Some(length) = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok())
        else {
            return Some(Err(()));
        };
        if length < 4 {
            self.rest = rest;
            return Some(if length == 0 { Ok(None) } else { Err(()) });
        }
        let (line, rest) = rest.split_at_checked(length - 4)?;
        self.rest = rest;
        Some(Ok(Some(line)))
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1f7391f92b6a3792204e07e99f71f643cc35e7e1";

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    fn advertised() -> String {
        line(&format!("{ID} HEAD\0multi_ack filter symref=HEAD:refs/heads/main agent=git/2.47\n"))
            + &line(&format!("{ID} refs/heads/main\n"))
            + &line(&format!("{ID} refs/tags/v1\n"))
            + &line(&format!("{} refs/tags/v1^{{}}\n", ID.replace('1', "2")))
            + "0000"
    }

    #[test]
    fn references_are_read_over_ssh_and_http() {
        let http = line("# service=git-upload-pack\n") + "0000" + &advertised();
        let version_1 = line("version 1") + &advertised();
        for bytes in [advertised(), http, version_1] {
            let read = read(bytes.as_bytes(), "git-upload-pack").unwrap();
            assert_eq!(read.refs.keys().collect::<Vec<_>>(), ["HEAD", "refs/heads/main", "refs/tags/v1"]);
            assert_eq!(read.head.as_deref(), Some("refs/heads/main"));
            assert!(read.filters() && read.complete);
            for (name, expect) in [
                ("main", Some("refs/heads/main")),
                ("refs/heads/main", Some("refs/heads/main")),
                ("heads/main", Some("refs/heads/main")),
                ("v1", Some("refs/tags/v1")),
                (ID, Some("HEAD")),
                ("gone", None),
            ] {
                assert_eq!(read.find(name), expect, "{name}");
            }
        }
    }

    #[test]
    fn an_empty_repository_has_capabilities_and_no_references() {
        let bytes = line(&format!("{} capabilities^{{}}\0agent=git/2.47\n", "0".repeat(40))) + "0000";
        let read = read(bytes.as_bytes(), "git-upload-pack").unwrap();
        assert!(read.refs.is_empty() && read.complete && !read.filters());
    }

    #[test]
    fn what_is_cut_off_is_not_taken_for_the_whole() {
        let bytes = advertised();
        for end in 0..bytes.len() {
            match read(&bytes.as_bytes()[..end], "git-upload-pack") {
                Ok(read) => assert!(!read.complete, "{end}"),
                Err(unreadable) => assert_eq!((unreadable, end), (Unreadable::Short, 0)),
            }
        }
    }

    #[test]
    fn other_answers_are_told_apart() {
        let check = |text: &str, expect: Unreadable| {
            assert_eq!(read(text.as_bytes(), "git-upload-pack"), Err(expect), "{text}");
        };
        check("<!DOCTYPE html>", Unreadable::NotGit);
        check("{\"a\": 1}", Unreadable::NotGit);
        check("0003", Unreadable::NotGit);
        check(&line("hello world\n"), Unreadable::NotGit);
        check(&line("# service=git-receive-pack\n"), Unreadable::OtherService("git-receive-pack".into()));
        check(&line("ERR access denied\n"), Unreadable::Refused("access denied".into()));
        check("", Unreadable::Short);
    }
}
