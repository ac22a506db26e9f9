use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::authority::{Authority, Identity, Validity, self_signed};
use crate::namespace::Namespace;
use crate::place::Names;
use crate::repository::{Repositories, output};
use crate::server::{Listen, Server, clean_command, free_port};

/// An nginx before `git http-backend`, with one site for each way in which an HTTPS server fails.
///
/// Users: `writer` may push, `reader` may not.
#[derive(Debug)]
pub struct Web {
    sites: Vec<(&'static str, u16)>,
    authority: std::path::PathBuf,
    directory: std::path::PathBuf,
    nginx: Server,
    _fcgiwrap: Server,
}

/// What a [`Web`] passes on to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behind {
    /// The port of an AWS endpoint to put TLS before.
    pub aws: Option<u16>,
    /// A port that accepts and never answers.
    pub silent: Option<u16>,
}

const WRITER: (&str, &str) = ("writer", "ghp_writers0token0of0the0test0suite00001");
const READER: (&str, &str) = ("reader", "ghp_readers0token0of0the0test0suite00002");

impl Web {
    /// Starts it, inside a network of its own where one is given.
    pub fn start(
        directory: &Path,
        repositories: &Repositories,
        namespace: Option<&Namespace>,
        behind: Behind,
    ) -> Result<Web> {
        let directory = directory.join("web");
        fs::create_dir_all(&directory)?;
        let socket = directory.join("fcgi.sock");
        let mut fcgiwrap = clean_command("fcgiwrap");
        fcgiwrap.args(["-c", "4", "-s"]).arg(format!("unix:{}", socket.display()));
        let fcgiwrap = Server::start_in(namespace, "fcgiwrap", &directory, fcgiwrap, &[Listen::Unix(socket.clone())])?;

        fs::write(
            directory.join("users"),
            format!("{}:{{PLAIN}}{}\n{}:{{PLAIN}}{}\n", WRITER.0, WRITER.1, READER.0, READER.1),
        )?;
        // An answer that would be right if it ever came.
        fs::write(directory.join("slow"), "001e# service=git-upload-pack\n0000".repeat(200))?;
        let backend = output(clean_command("git").arg("--exec-path"))?;
        let git = GIT
            .replace("@backend@", &format!("{}/git-http-backend", backend.trim()))
            .replace("@repositories@", &repositories.root.to_string_lossy())
            .replace("@socket@", &socket.to_string_lossy());
        fs::write(directory.join("git.conf"), git)?;

        let root = Authority::root(&directory, "Test Root")?;
        let issuing = root.intermediate("Test Issuing")?;
        let corporate = Authority::root(&directory, "Zscaler Root CA")?;
        let names = ["localhost", "git.lab", "spare.lab", "aws.lab"];
        let good = issuing.issue("good", &names, Validity::Current)?;
        let mut config = Config { text: String::new(), sites: Vec::new() };
        let login = "auth_basic \"Git\"; auth_basic_user_file users; include git.conf;";
        let open = "include git.conf;";
        config.tls("git", &good, login)?;
        config.plain("plain", login)?;
        config.tls("expired", &issuing.issue("expired", &names, Validity::Past)?, open)?;
        config.tls("future", &issuing.issue("future", &names, Validity::Future)?, open)?;
        config.tls("other-name", &issuing.issue("other-name", &["git.example.com"], Validity::Current)?, open)?;
        config.tls("no-chain", &issuing.issue_without_chain("no-chain", &names)?, open)?;
        config.tls("self-signed", &self_signed(&directory, "self-signed", &names)?, open)?;
        config.tls("intercepted", &corporate.issue("intercepted", &names, Validity::Current)?, open)?;
        let wanted = format!("ssl_client_certificate {}; ssl_verify_client on; {open}", root.certificate.display());
        config.tls("client-certificate", &good, &wanted)?;
        config.tls("old-tls", &good, &format!("ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0; {open}"))?;
        for (name, answer) in ANSWERS {
            config.tls(name, &good, answer)?;
        }
        let refused = format!("location / {{ proxy_pass http://127.0.0.1:{}; }}", free_port()?);
        config.tls("bad-gateway", &good, &refused)?;
        if let Some(silent) = behind.silent {
            let waits = format!("proxy_read_timeout 1s; location / {{ proxy_pass http://127.0.0.1:{silent}; }}");
            config.tls("gateway-timeout", &good, &waits)?;
        }
        if let Some(aws) = behind.aws {
            let pass = format!("location / {{ proxy_pass http://127.0.0.1:{aws}; proxy_set_header Host $http_host; }}");
            config.tls("aws", &good, &pass)?;
        }
        let file = directory.join("nginx.conf");
        fs::write(&file, MAIN.replace("@sites@", &config.text))?;
        let mut nginx = clean_command("nginx");
        nginx.arg("-p").arg(&directory).arg("-c").arg(&file).args(["-e", "stderr"]);
        let listen: Vec<Listen> = config.sites.iter().map(|(_, port)| Listen::Tcp(*port)).collect();
        let nginx = Server::start_in(namespace, "nginx", &directory, nginx, &listen)?;
        Ok(Web { sites: config.sites, authority: root.certificate, directory, nginx, _fcgiwrap: fcgiwrap })
    }

    /// Fills `{ca}`, `{not-a-ca}` and `{missing-ca}`, `{writer}` and `{reader}` for the tokens, and
    /// one `{web.SITE}` for the port of each site.
    pub fn name(&self, names: &mut Names) {
        names.set("ca", self.authority.display());
        names.set("not-a-ca", self.directory.join("slow").display());
        names.set("missing-ca", self.directory.join("nobody.pem").display());
        names.set(WRITER.0, WRITER.1);
        names.set(READER.0, READER.1);
        for (site, port) in &self.sites {
            names.set(format!("web.{site}"), port);
        }
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        self.nginx.log()
    }
}

struct Config {
    text: String,
    sites: Vec<(&'static str, u16)>,
}

impl Config {
    fn plain(&mut self, name: &'static str, directives: &str) -> Result<()> {
        self.site(name, "", directives)
    }

    fn tls(&mut self, name: &'static str, identity: &Identity, directives: &str) -> Result<()> {
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        self.site(name, " ssl", &format!("ssl_certificate {certificate}; ssl_certificate_key {key}; {directives}"))
    }

    fn site(&mut self, name: &'static str, protocol: &str, directives: &str) -> Result<()> {
        let port = free_port()?;
        self.text += &format!("server {{ listen 127.0.0.1:{port}{protocol}; {directives} }}\n");
        self.sites.push((name, port));
        Ok(())
    }
}

/// Sites that answer every request in one way. Where the answer is a forge's, the words are its.
const ANSWERS: &[(&str, &str)] = &[
    ("throttled", "add_header Retry-After 30 always; location / { return 429; }"),
    ("down", "location / { return 503; }"),
    ("broken", "location / { return 500; }"),
    ("empty", "location / { return 444; }"),
    ("login-page", "default_type text/html; location / { return 200 '<html><title>Sign in</title></html>'; }"),
    (
        "sign-on",
        "location /sign-in { default_type text/html; return 200 '<html><title>Sign in</title></html>'; } \
        location / { return 302 /sign-in; }",
    ),
    (
        "slow",
        "location / { default_type application/x-git-upload-pack-advertisement; limit_rate 1; \
        try_files /slow =404; }",
    ),
    (
        "address",
        "default_type text/plain; location / { return 403 'Although you appear to have the correct \
        authorization credentials, the `example` organization has an IP allow list enabled, and your IP address is \
        not permitted to access this resource.'; }",
    ),
    (
        "sso",
        "default_type text/plain; location / { return 403 'The `example` organization has enabled or \
        enforced SAML SSO.\nTo access this repository, you must use the HTTPS remote with a personal access token or \
        SSH with an SSH key and passphrase that has been authorized for this organization.'; }",
    ),
    (
        "suspended",
        "default_type text/plain; location / { return 403 'Your account is suspended. Please check with \
        your installation administrator.'; }",
    ),
    (
        "no-passwords",
        "default_type text/plain; location / { return 401 'Support for password authentication was \
        removed on August 13, 2021.'; }",
    ),
    (
        "aws-throttled",
        "default_type text/xml; location / { return 400 '<ErrorResponse \
        xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>Throttling</Code>\
        <Message>Rate exceeded</Message></Error><RequestId>0</RequestId></ErrorResponse>'; }",
    ),
    (
        "aws-down",
        "default_type text/xml; location / { return 503 '<ErrorResponse \
        xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Receiver</Type>\
        <Code>ServiceUnavailable</Code></Error><RequestId>0</RequestId></ErrorResponse>'; }",
    ),
];

const MAIN: &str = "\
user root;
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { }
http {
    access_log off;
    client_body_temp_path body;
    fastcgi_temp_path fastcgi;
    proxy_temp_path proxy;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    root .;
    # The backend lets those push whom the server names to it.
    map $remote_user $may_push { default ''; writer writer; }
@sites@
}
";

const GIT: &str = "\
location / {
    fastcgi_pass unix:@socket@;
    fastcgi_param SCRIPT_FILENAME @backend@;
    fastcgi_param GIT_PROJECT_ROOT @repositories@;
    fastcgi_param GIT_HTTP_EXPORT_ALL 1;
    fastcgi_param PATH_INFO $uri;
    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length;
    fastcgi_param REMOTE_USER $may_push;
    fastcgi_param HTTP_GIT_PROTOCOL $http_git_protocol;
}
";
