use std::fs;
use std::path::Path;

use anyhow::Result;
use sha1::Digest;

use crate::authority::{Authority, Validity};
use crate::place::{Names, target_dir};
use crate::server::{Listen, Server, clean_command, free_port};

const USER: &str = "platform";
const PASSWORD: &str = "the-password-of-the-platform-1";
const CLIENT_SECRET: &str = "the-secret-of-the-client-0123456789";

/// HTTP APIs that authenticate: Apache httpd with Basic and Digest, nginx with client certificates,
/// a token server with an API that takes its tokens; and HAProxy, which fails as load balancers do.
#[derive(Debug)]
pub struct Apis {
    ports: Vec<(&'static str, u16)>,
    files: Vec<(&'static str, std::path::PathBuf)>,
    _servers: Vec<Server>,
}

impl Apis {
    /// Starts them all.
    pub fn start(directory: &Path) -> Result<Apis> {
        let directory = directory.join("apis");
        fs::create_dir_all(&directory)?;
        let mut apis = Apis { ports: Vec::new(), files: Vec::new(), _servers: Vec::new() };
        apis.apache(&directory)?;
        apis.certificates(&directory)?;
        apis.haproxy(&directory)?;
        apis.tokens(&directory)?;
        Ok(apis)
    }

    /// Fills `{api.NAME}` for the port of each, `{api-password}` and `{client-secret}`, and the
    /// files `{client-certificate}`, `{client-key}` and their likes.
    pub fn name(&self, names: &mut Names) {
        names.set("api-password", PASSWORD);
        names.set("client-secret", CLIENT_SECRET);
        for (name, port) in &self.ports {
            names.set(format!("api.{name}"), port);
        }
        for (name, file) in &self.files {
            names.set(*name, file.display());
        }
    }

    fn server(
        &mut self,
        name: &'static str,
        directory: &Path,
        command: std::process::Command,
        ports: &[(&'static str, u16)],
    ) -> Result<()> {
        let listen: Vec<Listen> = ports.iter().map(|(_, port)| Listen::Tcp(*port)).collect();
        self._servers.push(Server::start(name, directory, command, &listen)?);
        self.ports.extend(ports);
        Ok(())
    }

    fn apache(&mut self, directory: &Path) -> Result<()> {
        let port = free_port()?;
        for file in ["", "basic", "digest", "forbidden"] {
            fs::create_dir_all(directory.join("www").join(file))?;
            fs::write(directory.join("www").join(file).join("index.json"), r#"{"state":"active"}"#)?;
        }
        fs::write(directory.join("basic.users"), basic_user())?;
        fs::write(directory.join("digest.users"), digest_user())?;
        let config = APACHE.replace("@port@", &port.to_string()).replace("@directory@", &directory.to_string_lossy());
        let file = directory.join("apache.conf");
        fs::write(&file, config)?;
        let mut command = clean_command("/usr/sbin/apache2");
        command.args(["-DFOREGROUND", "-f"]).arg(&file);
        self.server("apache", directory, command, &[("apache", port)])
    }

    /// nginx that wants certificates of one authority, and the certificates of clients: a good one,
    /// one that has expired, one of another authority.
    fn certificates(&mut self, directory: &Path) -> Result<()> {
        let port = free_port()?;
        let root = Authority::root(directory, "Clients' Root")?;
        let other = Authority::root(directory, "Another Root")?;
        let server = root.issue("mtls-server", &["localhost"], Validity::Current)?;
        let good = root.issue("client", &["platform"], Validity::Current)?;
        let expired = root.issue("client-expired", &["platform"], Validity::Past)?;
        let foreign = other.issue("client-foreign", &["platform"], Validity::Current)?;
        let config = NGINX
            .replace("@port@", &port.to_string())
            .replace("@certificate@", &server.certificate.to_string_lossy())
            .replace("@key@", &server.key.to_string_lossy())
            .replace("@root@", &root.certificate.to_string_lossy());
        let file = directory.join("mtls.conf");
        fs::write(&file, config)?;
        self.files.extend([
            ("client-certificate", good.certificate),
            ("client-key", good.key),
            ("expired-certificate", expired.certificate),
            ("expired-key", expired.key),
            ("foreign-certificate", foreign.certificate),
            ("foreign-key", foreign.key),
            ("clients-root", root.certificate),
        ]);
        let mut command = clean_command("nginx");
        command.arg("-p").arg(directory).arg("-c").arg(&file).args(["-e", "stderr"]);
        self.server("mtls", directory, command, &[("mtls", port)])
    }

    fn haproxy(&mut self, directory: &Path) -> Result<()> {
        let ports = [
            ("no-server", free_port()?),
            ("retry-later", free_port()?),
            ("refused", free_port()?),
            ("cut-off", free_port()?),
            ("late", free_port()?),
        ];
        let [no_server, later, refused, cut_off, late] = ports.map(|(_, port)| port);
        let closed = free_port()?;
        let config = format!(
            "global\n log stderr local0 emerg\ndefaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 1s\n retries 0\n\
             frontend no-server\n bind 127.0.0.1:{no_server}\n default_backend dead\n\
             backend dead\n server one 127.0.0.1:{closed}\n\
             frontend retry-later\n bind 127.0.0.1:{later}\n http-request return status 503 hdr Retry-After 3\n\
             frontend refused\n bind 127.0.0.1:{refused}\n http-request deny deny_status 403\n\
             frontend cut-off\n bind 127.0.0.1:{cut_off}\n http-request reject\n\
             frontend late\n bind 127.0.0.1:{late}\n timeout tarpit 30s\n http-request tarpit\n"
        );
        let file = directory.join("haproxy.cfg");
        fs::write(&file, config)?;
        let mut command = clean_command("/usr/sbin/haproxy");
        command.args(["-db", "-f"]).arg(&file);
        self.server("haproxy", directory, command, &ports)
    }

    fn tokens(&mut self, directory: &Path) -> Result<()> {
        let port = free_port()?;
        // Node looks for packages beside the script.
        let script = target_dir().join("npm/token-server.mjs");
        fs::write(&script, include_str!("apis/token-server.mjs"))?;
        let mut command = clean_command("node");
        command.arg(&script).arg(port.to_string()).arg(CLIENT_SECRET);
        self.server("tokens", directory, command, &[("tokens", port)])
    }
}

/// A user of Basic authentication, as Apache's password files have it.
fn basic_user() -> String {
    use base64::Engine;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha1::Sha1::digest(PASSWORD));
    format!("{USER}:{{SHA}}{hash}\n")
}

/// A user of Digest authentication: the hash of name, realm and password.
fn digest_user() -> String {
    let hash = md5::Md5::digest(format!("{USER}:api:{PASSWORD}"));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{USER}:api:{hash}\n")
}

const APACHE: &str = "\
ServerRoot /usr/lib/apache2
ServerName localhost
Listen 127.0.0.1:@port@
PidFile @directory@/apache.pid
Mutex file:@directory@
User nobody
Group nogroup
ErrorLog /dev/stderr
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authn_file_module modules/mod_authn_file.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_basic_module modules/mod_auth_basic.so
LoadModule auth_digest_module modules/mod_auth_digest.so
LoadModule dir_module modules/mod_dir.so
DocumentRoot @directory@/www
DirectoryIndex index.json
<Directory @directory@/www>
    Require all granted
</Directory>
<Location /basic>
    AuthType Basic
    AuthName api
    AuthUserFile @directory@/basic.users
    Require valid-user
</Location>
<Location /digest>
    AuthType Digest
    AuthName api
    AuthUserFile @directory@/digest.users
    Require valid-user
</Location>
<Location /forbidden>
    AuthType Basic
    AuthName api
    AuthUserFile @directory@/basic.users
    AuthzSendForbiddenOnFailure On
    Require user somebody-else
</Location>
";

const NGINX: &str = "\
user root;
daemon off;
worker_processes 1;
pid mtls.pid;
error_log stderr;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@port@ ssl;
        ssl_certificate @certificate@;
        ssl_certificate_key @key@;
        ssl_client_certificate @root@;
        ssl_verify_client on;
        default_type application/json;
        location / { return 200 '{\"state\":\"active\"}'; }
    }
}
";
