//! Stages with simulated forges: what hosts them for real cannot be had in a test.

use std::path::Path;

use anyhow::Result;
use jiff::SignedDuration;
use lineman_lab::github::{self, Variant};
use lineman_lab::tls::{Authority, Certificate, Tls};
use lineman_lab::{faults, gitlab};
use lineman_tests::{ForgeClient, Proxies, Stubs};

use crate::stage::Stage;

impl Stage {
    /// A GitHub, an Enterprise Server behind a private authority, two whose clocks are off, and
    /// one for each documented fault.
    pub(crate) fn github(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: Variant| github::Server::start(Tls::Off, variant);
        let hub = start(Variant::default())?;
        let enterprise = Variant { enterprise: true, ..Variant::default() };
        let enterprise = github::Server::start(authority.tls(Certificate::Good)?, enterprise)?;
        let names = &mut stage.names;
        names.set("github", hub.url());
        names.set("enterprise", enterprise.url());
        names.set("enterprise-website", enterprise.url().trim_end_matches("/api/v3"));
        names.set("ca", authority.ca_file().display());
        for name in hub.tokens() {
            names.set(format!("token.{name}"), hub.token(name)?);
        }
        for app in ["deployer", "eager"] {
            names.set(format!("key.{app}"), hub.key(app)?);
        }
        names.set("key.escaped", hub.key("deployer")?.replace('\n', "\\n"));
        let whole = hub.token("platform")?;
        names.set("token.mistyped", format!("{}x", &whole[..whole.len() - 1]));
        // Right by its checksum: GitHub's own example of one.
        names.set("token.foreign", "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");
        for (name, hours) in [("github-ahead", 2), ("github-behind", -2)] {
            let server = start(Variant { ahead: SignedDuration::from_hours(hours), ..Variant::default() })?;
            stage.names.set(name, server.url());
            stage = stage.with(server);
        }
        for fault in faults().iter().filter(|fault| fault.service == "github") {
            let server = start(Variant { fault: Some(&fault.id), ..Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(hub).with(enterprise).with(authority))
    }

    /// A GitLab, one of one's own behind a private authority and below a path, an old one, and one
    /// for each documented fault.
    pub(crate) fn gitlab(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: gitlab::Variant| gitlab::Server::start(Tls::Off, variant);
        let current = start(gitlab::Variant::default())?;
        let own = gitlab::Variant { below_a_path: true, ..gitlab::Variant::default() };
        let own = gitlab::Server::start(authority.tls(Certificate::Good)?, own)?;
        let old = start(gitlab::Variant { version: Some("14.10.5"), ..gitlab::Variant::default() })?;
        let names = &mut stage.names;
        names.set("gitlab", current.url());
        names.set("gitlab-below-a-path", own.url());
        names.set("gitlab-website", own.url().trim_end_matches("/gitlab"));
        names.set("gitlab-old", old.url());
        names.set("ca", authority.ca_file().display());
        for name in current.tokens() {
            names.set(format!("token.{name}"), current.token(name)?);
        }
        for fault in faults().iter().filter(|fault| fault.service == "gitlab") {
            let server = start(gitlab::Variant { fault: Some(&fault.id), ..gitlab::Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(current).with(own).with(old).with(authority))
    }

    /// What stages with forges have in common: proxies, broken ends, and a client.
    fn forge(mut self, directory: &Path) -> Result<Stage> {
        let (proxies, stubs) = (Proxies::start(directory)?, Stubs::start()?);
        proxies.name(&mut self.names);
        stubs.name(&mut self.names);
        self.forge = Some(ForgeClient::new(directory)?);
        Ok(self.with(proxies).with(stubs))
    }
}
