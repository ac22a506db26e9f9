//! Stages with simulated forges: what hosts them for real cannot be had in a test.

use std::path::Path;

use anyhow::Result;
use jiff::SignedDuration;
use lineman_lab::faults;
use lineman_lab::github::{self, Variant};
use lineman_lab::tls::{Authority, Certificate, Tls};
use lineman_tests::{CurlClient, Proxies, Stubs};

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

    /// What stages with forges have in common: proxies, broken ends, and curl.
    fn forge(mut self, directory: &Path) -> Result<Stage> {
        let (proxies, stubs) = (Proxies::start(directory)?, Stubs::start()?);
        proxies.name(&mut self.names);
        stubs.name(&mut self.names);
        self.curl = Some(CurlClient::new(directory)?);
        Ok(self.with(proxies).with(stubs))
    }
}
