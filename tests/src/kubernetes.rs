use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::{Authority, Identity, Validity};
use crate::place::{Names, cache_dir};
use crate::server::{Listen, Server, clean_command, free_port};

const ADMIN: &str = "the-token-of-the-administrator-1";
const PLATFORM: &str = "the-token-of-the-platform-01234567";
const VIEWER: &str = "the-token-of-a-mere-viewer-01234567";

/// A Kubernetes API server with its etcd, and HAProxy before it, which fails as gateways do.
///
/// It is version 1.20: it knows no `SelfSubjectReview`, and no controller runs, so that nothing is
/// made of what is created and the roles that come with Kubernetes are empty.
#[derive(Debug)]
pub struct Kubernetes {
    directory: PathBuf,
    names: Names,
    // Ended before their directory goes.
    _servers: Vec<Server>,
    _place: TempDir,
}

/// Where the programs are.
pub(crate) fn program(name: &str) -> PathBuf {
    cache_dir().join("kubernetes-1.20.2").join(name)
}

impl Kubernetes {
    /// The one that all tests of this process share, started when the first asks for it. It takes
    /// seconds and 400 MB.
    pub fn shared() -> Result<Arc<Kubernetes>> {
        static SHARED: Mutex<Weak<Kubernetes>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        // A server ends with the thread that started it, which a test's does before its neighbour's.
        let (tell, started) = mpsc::channel();
        thread::spawn(move || {
            let _ = tell.send(Kubernetes::start());
            loop {
                thread::park();
            }
        });
        let running = Arc::new(started.recv()??);
        *shared = Arc::downgrade(&running);
        Ok(running)
    }

    fn start() -> Result<Kubernetes> {
        let place = tempfile::tempdir()?;
        let directory = place.path().to_owned();
        let mut it = Kubernetes { directory, names: Names::default(), _servers: Vec::new(), _place: place };
        let port = it.servers()?;
        it.fill(port)?;
        Ok(it)
    }

    /// Fills `{k8s}` for the port, `{k8s.ca}`, `{k8s.kubeconfig.NAME}` for the path of kubeconfigs and
    /// what else rows of `kubernetes.toml` name.
    pub fn name(&self, names: &mut Names) {
        names.extend(&self.names);
    }

    fn servers(&mut self) -> Result<u16> {
        let directory = &self.directory;
        let root = Authority::root(directory, "Cluster Root")?;
        let clients = Authority::root(directory, "Clients Root")?;
        let other = Authority::root(directory, "Another Root")?;
        // Not for `localhost`, which resolves to it all the same.
        let server = root.issue("server", &["127.0.0.1", "kubernetes.default.svc"], Validity::Current)?;
        let signing = directory.join("service-accounts.key");
        openssl(&["genrsa", "-out", &signing.to_string_lossy(), "2048"], None)?;
        let tokens = format!("{ADMIN},admin,1,\"system:masters\"\n{PLATFORM},platform,2\n{VIEWER},viewer,3\n");
        fs::write(directory.join("tokens.csv"), tokens)?;

        let (client, peer, port) = (free_port()?, free_port()?, free_port()?);
        let mut etcd = clean_command("etcd");
        etcd.arg("--data-dir").arg(directory.join("etcd")).env("HOME", directory).env("ETCD_UNSUPPORTED_ARCH", "arm64");
        etcd.args(["--listen-client-urls", &format!("http://127.0.0.1:{client}")]);
        etcd.args(["--advertise-client-urls", &format!("http://127.0.0.1:{client}")]);
        etcd.args(["--listen-peer-urls", &format!("http://127.0.0.1:{peer}"), "--unsafe-no-fsync"]);
        let etcd = Server::start("etcd", directory, etcd, &[Listen::Tcp(client), Listen::Tcp(peer)])?;

        let mut api = clean_command(program("kube-apiserver"));
        let file = |option: &str, path: &Path| format!("--{option}={}", path.display());
        api.args([
            format!("--etcd-servers=http://127.0.0.1:{client}"),
            format!("--secure-port={port}"),
            format!("--service-account-issuer=https://127.0.0.1:{port}"),
            file("tls-cert-file", &server.certificate),
            file("tls-private-key-file", &server.key),
            file("client-ca-file", &clients.certificate),
            file("token-auth-file", &directory.join("tokens.csv")),
            file("service-account-signing-key-file", &signing),
            file("service-account-key-file", &signing),
            file("cert-dir", directory),
        ]);
        api.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--insecure-port=0",
        ]);
        api.env("HOME", directory);
        let api = Server::start("kube-apiserver", directory, api, &[Listen::Tcp(port)])?;
        self._servers.extend([etcd, api]);

        let names = &mut self.names;
        for (name, value) in [("k8s", port), ("k8s.etcd", client)] {
            names.set(name, value);
        }
        names.set("k8s.ca", root.certificate.display());
        names.set("k8s.other-ca", other.certificate.display());
        for (name, value) in [("admin", ADMIN), ("platform", PLATFORM), ("viewer", VIEWER)] {
            names.set(format!("k8s.token.{name}"), value);
        }
        let good = clients.issue("platform", &["platform"], Validity::Current)?;
        let past = clients.issue("platform-past", &["platform"], Validity::Past)?;
        let foreign = other.issue("platform-foreign", &["platform"], Validity::Current)?;
        for (name, identity) in [("good", &good), ("past", &past), ("foreign", &foreign)] {
            names.set(format!("k8s.certificate.{name}"), identity.certificate.display());
            names.set(format!("k8s.key.{name}"), identity.key.display());
        }
        self.gateways(&server, port)?;
        self.kubeconfigs(&root, &good, port)?;
        Ok(port)
    }

    /// HAProxy with the API server's certificate: one whose servers are down, one that throttles, one
    /// that takes the header Authorization away, an ingress controller that has no such host.
    fn gateways(&mut self, server: &Identity, port: u16) -> Result<()> {
        let pem = self.directory.join("gateway.pem");
        fs::write(&pem, fs::read_to_string(&server.certificate)? + &fs::read_to_string(&server.key)?)?;
        let closed = free_port()?;
        let front = |name: &str, own: u16, rest: &str| {
            format!("frontend {name}\n bind 127.0.0.1:{own} ssl crt {}\n{rest}\n", pem.display())
        };
        let (down, throttled, stripped, ingress) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let config = [
            "global\n log stderr local0 emerg\ndefaults\n mode http\n retries 0\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n".to_owned(),
            format!("backend dead\n server one 127.0.0.1:{closed}\n"),
            format!("backend api\n server one 127.0.0.1:{port} ssl verify none\n"),
            front("down", down, " default_backend dead"),
            front(
                "throttled",
                throttled,
                " http-request return status 429 content-type text/plain string \"Too many requests, please try again later.\" hdr Retry-After 1 unless { path /version }\n default_backend api",
            ),
            front("stripped", stripped, " http-request del-header authorization\n default_backend api"),
            front(
                "ingress",
                ingress,
                " http-request return status 404 content-type text/plain string \"default backend - 404\"",
            ),
        ]
        .concat();
        let file = self.directory.join("gateways.cfg");
        fs::write(&file, config)?;
        let mut command = clean_command("/usr/sbin/haproxy");
        command.args(["-db", "-f"]).arg(&file);
        let ports = [("down", down), ("throttled", throttled), ("stripped", stripped), ("ingress", ingress)];
        let listen: Vec<Listen> = ports.iter().map(|(_, port)| Listen::Tcp(*port)).collect();
        self._servers.push(Server::start("gateways", &self.directory, command, &listen)?);
        ports.iter().for_each(|(name, port)| self.names.set(format!("k8s.{name}"), port));
        Ok(())
    }

    /// Kubeconfigs: embedded and with files beside them, and one for each way to log in.
    fn kubeconfigs(&mut self, root: &Authority, client: &Identity, port: u16) -> Result<()> {
        let server = format!("https://127.0.0.1:{port}");
        let ca = fs::read(&root.certificate)?;
        let data = |path: &Path| -> Result<String> { Ok(STANDARD.encode(fs::read(path)?)) };
        let cluster = json!({ "server": server, "certificate-authority-data": STANDARD.encode(&ca) });
        let certificate = json!({
            "client-certificate-data": data(&client.certificate)?, "client-key-data": data(&client.key)?,
        });
        let token = json!({ "token": PLATFORM });
        fs::write(self.directory.join("token"), format!("{PLATFORM}\n"))?;
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = json!({ "client-certificate": name(&client.certificate), "client-key": name(&client.key) });
        let program = |name: &str, text: &str| -> Result<PathBuf> {
            use std::os::unix::fs::PermissionsExt;
            let path = self.directory.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            Ok(path)
        };
        const VERSION: &str = "client.authentication.k8s.io/v1beta1";
        let issued = json!({ "apiVersion": VERSION, "kind": "ExecCredential", "status": { "token": PLATFORM } });
        let login = program(
            "login",
            &format!(
                "#!/bin/sh\n[ \"$1 $REALM\" = 'get-token prod' ] && [ -n \"$KUBERNETES_EXEC_INFO\" ] || exit 9\necho '{issued}'\n"
            ),
        )?;
        let broken = program("broken", "#!/bin/sh\necho 'the session is over: log in again' >&2\nexit 3\n")?;
        let chatty = program("chatty", "#!/bin/sh\necho 'Welcome!'\n")?;
        let exec = |command: &Path| {
            json!({ "exec": {
                "apiVersion": VERSION, "command": command, "args": ["get-token"],
                "env": [{ "name": "REALM", "value": "prod" }],
            } })
        };
        let with = |cluster: &Value, more: Value| {
            let mut cluster = cluster.clone();
            if let (Some(fields), Value::Object(more)) = (cluster.as_object_mut(), more) {
                fields.extend(more);
            }
            cluster
        };
        let bare = json!({ "server": server });
        let beside = json!({ "server": server, "certificate-authority": name(&root.certificate) });
        let missing = self.directory.join("nothing-is-here");
        let kubeconfigs = [
            ("embedded", &cluster, certificate.clone()),
            ("token", &cluster, token.clone()),
            ("files", &beside, files.clone()),
            ("token-file", &beside, json!({ "tokenFile": "token" })),
            ("exec", &cluster, exec(&login)),
            ("exec-broken", &cluster, exec(&broken)),
            ("exec-chatty", &cluster, exec(&chatty)),
            ("exec-missing", &cluster, exec(&missing)),
            ("auth-provider", &cluster, json!({ "auth-provider": { "name": "gcp" } })),
            ("nobody", &cluster, json!({})),
            ("no-authority", &bare, token.clone()),
            ("unverified", &with(&bare, json!({ "insecure-skip-tls-verify": true })), token.clone()),
            ("file-missing", &with(&bare, json!({ "certificate-authority": "nothing-is-here" })), token.clone()),
            ("data-damaged", &with(&bare, json!({ "certificate-authority-data": "%%%" })), token.clone()),
            (
                "server-name",
                &with(
                    &cluster,
                    json!({ "server": format!("https://localhost:{port}"), "tls-server-name": "kubernetes.default.svc" }),
                ),
                token.clone(),
            ),
            ("other-name", &with(&cluster, json!({ "server": format!("https://localhost:{port}") })), token.clone()),
        ];
        let mut texts = Vec::new();
        for (name, cluster, user) in kubeconfigs {
            let config = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "prod", "preferences": {},
                "clusters": [{ "name": "prod", "cluster": cluster }],
                "users": [{ "name": "platform", "user": user }],
                "contexts": [
                    { "name": "prod", "context": { "cluster": "prod", "user": "platform", "namespace": "ci" } },
                    { "name": "stray", "context": { "cluster": "gone", "user": "platform" } },
                    { "name": "lost", "context": { "cluster": "prod", "user": "gone" } },
                ],
            });
            texts.push((name, config.to_string()));
        }
        texts.push(("malformed", "apiVersion: v1\nclusters:\n- name: prod\n  cluster: {server: [\n".to_owned()));
        texts.push(("page", "<html><body>Sign in</body></html>".to_owned()));
        for (name, text) in texts {
            let path = self.directory.join(format!("{name}.kubeconfig"));
            fs::write(&path, text)?;
            self.names.set(format!("k8s.kubeconfig.{name}"), path.display());
        }
        for (name, path) in [("login", &login), ("broken", &broken), ("chatty", &chatty), ("missing", &missing)] {
            self.names.set(format!("k8s.program.{name}"), path.display());
        }
        self.names.set("k8s.directory", self.directory.display());
        Ok(())
    }

    /// The namespace `ci`, what the platform may do there, and tokens of its service account.
    fn fill(&mut self, port: u16) -> Result<()> {
        let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({ "apiGroups": groups, "resources": resources, "verbs": verbs });
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "platform" },
            "rules": [
                rule(&[""], &["pods", "pods/log", "configmaps", "secrets"], &["get", "list", "watch"]),
                rule(&["apps"], &["deployments"], &["get", "list", "create", "update", "patch"]),
            ],
        });
        let looks = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "looks" },
            "rules": [rule(&[""], &["namespaces", "nodes"], &["get", "list"])],
        });
        let subjects = json!([
            { "kind": "User", "name": "platform", "apiGroup": "rbac.authorization.k8s.io" },
            { "kind": "ServiceAccount", "name": "deployer", "namespace": "ci" },
        ]);
        let bind = |kind: &str, name: &str, role: &str, namespace: Option<&str>| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": { "name": name, "namespace": namespace },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
                "subjects": subjects,
            })
        };
        let meta = |kind: &str, name: &str, namespace: Option<&str>| json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "namespace": namespace } });
        let items = [
            meta("Namespace", "ci", None),
            meta("ServiceAccount", "deployer", Some("ci")),
            meta("ConfigMap", "settings", Some("ci")),
            role,
            looks,
            bind("RoleBinding", "platform", "platform", Some("ci")),
            bind("ClusterRoleBinding", "looks", "looks", None),
        ];
        self.wait_until_ready(port)?;
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        self.kubectl(port, &["apply", "-f", "-"], Some(&list.to_string()))?;
        for (name, seconds) in [("account", 31_536_000), ("short", 3_600)] {
            let request = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": seconds },
            });
            let path = "/api/v1/namespaces/ci/serviceaccounts/deployer/token";
            let issued = self.kubectl(port, &["create", "--raw", path, "-f", "-"], Some(&request.to_string()))?;
            let issued: Value = serde_json::from_str(&issued)?;
            let token = issued["status"]["token"].as_str().context("no token is issued")?;
            self.names.set(format!("k8s.token.{name}"), token);
        }
        self.names.set("k8s.token.past", self.expired(port)?);
        self.meter(port)
    }

    /// The namespace `metered` with quotas. No controller counts what is in use, so that it is written
    /// into their status, where the API server's own admission reads it; `new` is left uncounted.
    fn meter(&self, port: u16) -> Result<()> {
        let quota = |name: &str, hard: Value, used: Value| {
            json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": name, "namespace": "metered" },
                "spec": { "hard": hard }, "status": { "hard": hard, "used": used },
            })
        };
        let compute = json!({ "requests.cpu": "4", "requests.memory": "8Gi", "pods": "10" });
        let counted = [
            quota("compute", compute, json!({ "requests.cpu": "3500m", "requests.memory": "6Gi", "pods": "9" })),
            quota("objects", json!({ "count/deployments.apps": "2" }), json!({ "count/deployments.apps": "2" })),
        ];
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "metered" } });
        let new = quota("new", json!({ "services": "3" }), json!({}));
        let items: Vec<&Value> = [&namespace, &new].into_iter().chain(&counted).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        self.kubectl(port, &["apply", "-f", "-"], Some(&list.to_string()))?;
        for quota in counted {
            let name = quota["metadata"]["name"].as_str().unwrap_or_default();
            let path = format!("/api/v1/namespaces/metered/resourcequotas/{name}/status");
            self.kubectl(port, &["replace", "--raw", &path, "-f", "-"], Some(&quota.to_string()))?;
        }
        Ok(())
    }

    /// A token that the server would take, if it had not ended.
    fn expired(&self, port: u16) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let issuer = format!("https://127.0.0.1:{port}");
        let claims = json!({
            "aud": [issuer], "iss": issuer, "iat": now - 7200, "nbf": now - 7200, "exp": now - 3600,
            "sub": "system:serviceaccount:ci:deployer",
            "kubernetes.io": { "namespace": "ci", "serviceaccount": { "name": "deployer", "uid": "0" } },
        });
        let encode = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({ "alg": "RS256", "typ": "JWT" })), encode(&claims));
        let key = self.directory.join("service-accounts.key");
        let signature = openssl(&["dgst", "-sha256", "-sign", &key.to_string_lossy()], Some(&signed))?;
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }

    /// It listens before it serves: its roles and namespaces are made first.
    fn wait_until_ready(&self, port: u16) -> Result<()> {
        let mut last = Ok(String::new());
        for _ in 0..600 {
            last = self.kubectl(port, &["get", "--raw", "/readyz"], None);
            if last.is_ok() && self.kubectl(port, &["get", "namespace", "default"], None).is_ok() {
                return Ok(());
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        let log = self._servers.get(1).map(Server::log).unwrap_or_default();
        last.and_then(|_| Err(anyhow::anyhow!("it has no namespace")))
            .with_context(|| format!("kube-apiserver does not get ready:\n{log}"))
    }

    /// Does something as the administrator.
    fn kubectl(&self, port: u16, args: &[&str], input: Option<&str>) -> Result<String> {
        let mut command = clean_command(program("kubectl"));
        command.env("HOME", &self.directory).arg(format!("--server=https://127.0.0.1:{port}"));
        command.arg(format!("--certificate-authority={}", self.names.get("k8s.ca")?));
        command.arg(format!("--token={ADMIN}")).args(args);
        run(command, input).map(|output| String::from_utf8_lossy(&output).into_owned())
    }
}

fn openssl(args: &[&str], input: Option<&str>) -> Result<Vec<u8>> {
    let mut command = clean_command("openssl");
    command.args(args);
    run(command, input)
}

fn run(mut command: std::process::Command, input: Option<&str>) -> Result<Vec<u8>> {
    use std::io::Write;

    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends without reading is told by its own error.
        let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    }
    let output = child.wait_with_output()?;
    let program = command.get_program().to_string_lossy().into_owned();
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
