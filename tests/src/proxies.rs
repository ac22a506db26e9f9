use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::place::Names;
use crate::server::{Listen, Server, clean_command, free_port};

/// The name and the password that the proxy that wants some takes.
const LOGIN: (&str, &str) = ("proxyuser", "proxy-password-1");

/// Forward proxies, from the open one to the one that refuses.
#[derive(Debug)]
pub struct Proxies {
    servers: Vec<(&'static str, u16, Server)>,
}

impl Proxies {
    /// Starts them all.
    pub fn start(directory: &Path) -> Result<Proxies> {
        let (user, password) = LOGIN;
        let mut servers = Vec::new();
        let mut tinyproxy = |name: &'static str, options: &str| -> Result<()> {
            let port = free_port()?;
            let config = directory.join(format!("{name}.conf"));
            fs::write(&config, format!("Port {port}\nListen 127.0.0.1\nTimeout 20\nLogLevel Warning\n{options}\n"))?;
            let mut command = clean_command("tinyproxy");
            command.args(["-d", "-c"]).arg(&config);
            servers.push((name, port, Server::start(name, directory, command, &[Listen::Tcp(port)])?));
            Ok(())
        };
        tinyproxy("open", "")?;
        tinyproxy("login", &format!("BasicAuth {user} {password}"))?;
        tinyproxy("ports", "ConnectPort 1")?;
        let port = free_port()?;
        let config = directory.join("squid.conf");
        fs::write(
            &config,
            SQUID.replace("@port@", &port.to_string()).replace("@directory@", &directory.to_string_lossy()),
        )?;
        let mut command = clean_command("squid");
        // Named for its port: squids of one name share their memory.
        command.args(["-N", "-n", &format!("lineman{port}"), "-d", "1", "-f"]).arg(&config);
        servers.push(("denies", port, Server::start("denies", directory, command, &[Listen::Tcp(port)])?));
        Ok(Proxies { servers })
    }

    /// Fills one `{proxy.NAME}` for the port of each: `open`, `login` (407 without a password),
    /// `ports` (403 for every port but one), `denies` (403 for every destination); and
    /// `{proxy-login}` for the login.
    pub fn name(&self, names: &mut Names) {
        let (user, password) = LOGIN;
        names.set("proxy-login", format!("{user}:{password}"));
        for (name, port, _) in &self.servers {
            names.set(format!("proxy.{name}"), port);
        }
    }
}

const SQUID: &str = "\
http_port 127.0.0.1:@port@
icp_port 0
pinger_enable off
pid_filename none
cache deny all
cache_log /dev/null
access_log none
coredump_dir @directory@
shutdown_lifetime 0 seconds
visible_hostname proxy.example
http_access deny all
";
