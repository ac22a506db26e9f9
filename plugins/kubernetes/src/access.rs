//! Where the cluster is and who asks: what settings, secrets and kubeconfig come to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lineman_sdk::prelude::*;
use lineman_sdk::{CaBundle, ClientCertificate, HostTerms, Proxy, Transport, Url};

use crate::kubeconfig::{Cluster, Exec, Kubeconfig, LARGEST, Unusable, User};
use crate::{Kubernetes, Secrets, Settings};

/// Where the cluster is and who asks.
#[derive(Clone)]
pub(crate) struct Access {
    /// The address of the API server.
    pub(crate) server: String,
    /// Its authorities, where they are given, and by what.
    pub(crate) authorities: Option<(String, &'static str)>,
    /// The name in its certificate, where that is not the host.
    pub(crate) server_name: Option<String>,
    /// Whether clients are told to take every certificate.
    pub(crate) unverified: bool,
    /// The proxy that the kubeconfig names.
    pub(crate) proxy: Option<Secret>,
    /// The namespace of the context.
    pub(crate) namespace: Option<String>,
    /// A client certificate and its key, both PEM.
    pub(crate) certificate: Option<(String, Secret)>,
    /// What goes into the header Authorization.
    pub(crate) bearer: Bearer,
    /// The user in whose name is asked.
    pub(crate) acting_as: Option<String>,
    /// The setting or secret that the credential is from.
    pub(crate) pointer: &'static str,
}

/// What goes into the header Authorization.
#[derive(Clone)]
pub(crate) enum Bearer {
    /// Nothing: a certificate says who asks, or nobody does.
    None,
    /// A token that is stored.
    Token(Secret),
    /// A token in a file that somebody renews.
    Renewed(Secret),
    /// A name and a password, which API servers took until 1.18 and gateways still may.
    Password(String, Secret),
    /// What a program prints.
    Program(Exec),
}

/// What settings, secrets and kubeconfig come to, once; what it holds is never shown from then on.
///
/// # Errors
///
/// Nothing is reported here: `kubernetes/config` has told all that is wrong.
pub(crate) async fn access(cx: &Cx<Kubernetes>) -> Result<Arc<Access>, Stop> {
    let resolve = async {
        let found = resolve(cx.settings(), cx.secrets());
        let access = found.map_err(|faults| faults.into_iter().next().map_or_else(Stop::reported, Stop::from))?;
        access.conceal(cx);
        Ok(Arc::new(access))
    };
    cx.session().access.get(resolve).await
}

/// What settings, secrets and kubeconfig come to, or everything that is wrong with them.
pub(crate) fn resolve(settings: &Settings, secrets: &Secrets) -> Result<Access, Vec<Finding>> {
    let mut faults = Vec::new();
    let access = match (&settings.kubeconfig, &secrets.kubeconfig, &settings.server) {
        (Some(path), None, None) => {
            let path = Path::new(path);
            match read(path, "/settings/kubeconfig", "kubeconfig", Cause::ConfigInvalid) {
                Ok(text) => from_kubeconfig(text.expose(), path.parent(), settings, secrets, &mut faults),
                Err(fault) => {
                    faults.push(*fault);
                    None
                }
            }
        }
        (None, Some(text), None) => from_kubeconfig(text.expose(), None, settings, secrets, &mut faults),
        (None, None, Some(server)) => Some(from_server(server, settings, &mut faults)),
        (None, None, None) => {
            let message = "Nothing says where the cluster is.";
            faults.push(fault("cluster-unset", Cause::ConfigInvalid, "/settings/server", message));
            None
        }
        _ => {
            let message = "More than one of kubeconfig, secret kubeconfig and `server` say where the cluster is.";
            faults.push(fault("cluster-unclear", Cause::ConfigInvalid, "/settings/kubeconfig", message));
            None
        }
    };
    let access = access.map(|access| with_secrets(access, secrets, &mut faults));
    match access {
        Some(access) if faults.is_empty() => Ok(access),
        _ => Err(faults),
    }
}

pub(crate) fn fault(code: &str, cause: Cause, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("kubernetes/{code}"), cause, message).pointer(pointer)
}

fn from_server(server: &str, settings: &Settings, faults: &mut Vec<Finding>) -> Access {
    let authorities = settings.ca.as_deref().and_then(|path| {
        let read = read(Path::new(path), "/settings/ca", "file of authorities", Cause::ConfigInvalid);
        let pem = read.and_then(|pem| authorities(pem.expose().to_owned(), "/settings/ca"));
        pem.map(|pem| (pem, "the setting `ca`")).map_err(|fault| faults.push(*fault)).ok()
    });
    Access {
        server: server.to_owned(),
        authorities,
        server_name: None,
        unverified: false,
        proxy: None,
        namespace: None,
        certificate: None,
        bearer: Bearer::None,
        acting_as: None,
        pointer: "/settings/server",
    }
}

fn from_kubeconfig(
    text: &str,
    directory: Option<&Path>,
    settings: &Settings,
    secrets: &Secrets,
    faults: &mut Vec<Finding>,
) -> Option<Access> {
    let pointer = if directory.is_some() { "/settings/kubeconfig" } else { "/secrets/kubeconfig" };
    let selected = Kubeconfig::parse(text).and_then(|config| config.select(settings.context.as_deref()));
    let selected = selected.map_err(|Unusable { code, message, remedy }| {
        let pointer =
            if settings.context.is_some() && code == "context-missing" { "/settings/context" } else { pointer };
        let mut unusable = fault(code, Cause::ConfigInvalid, pointer, message);
        unusable.remedies.extend(remedy.map(Remedy::new));
        faults.push(unusable);
    });
    let selected = selected.ok()?;
    let place = Place { directory, pointer };
    let Cluster { server, proxy_url, tls_server_name, insecure_skip_tls_verify, .. } = &selected.cluster;
    let Some(server) = server.clone().filter(|server| !server.is_empty()) else {
        let message = "The kubeconfig gives no server for the cluster.";
        faults.push(fault("server-missing", Cause::ConfigInvalid, pointer, message));
        return None;
    };
    let cluster = &selected.cluster;
    let authorities = place
        .either(
            "certificate-authority",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
            Cause::ConfigInvalid,
        )
        .and_then(|found| found.map(|pem| authorities(pem.expose().to_owned(), pointer)).transpose())
        .unwrap_or_else(|fault| {
            faults.push(*fault);
            None
        });
    let (certificate, bearer) =
        if secrets.say_who() { (None, Bearer::None) } else { place.login(&selected.user, faults) };
    Some(Access {
        server,
        authorities: authorities.map(|pem| (pem, "the kubeconfig's certificate-authority")),
        server_name: tls_server_name.clone().filter(|name| !name.is_empty()),
        unverified: insecure_skip_tls_verify.unwrap_or_default(),
        proxy: proxy_url.clone().filter(|url| !url.is_empty()),
        namespace: selected.namespace,
        certificate,
        bearer,
        acting_as: selected.user.acting_as.filter(|user| !user.is_empty()),
        pointer,
    })
}

impl Secrets {
    /// Whether they take the place of the kubeconfig's user.
    fn say_who(&self) -> bool {
        self.token.is_some() || self.client_certificate.is_some() || self.client_key.is_some()
    }
}

/// Adds who asks, where the secrets of the integration say it.
fn with_secrets(mut access: Access, secrets: &Secrets, faults: &mut Vec<Finding>) -> Access {
    if let Some(token) = &secrets.token {
        (access.bearer, access.pointer) = (Bearer::Token(token.clone()), "/secrets/token");
    }
    match (&secrets.client_certificate, &secrets.client_key) {
        (Some(certificate), Some(key)) => {
            access.certificate = Some((certificate.expose().to_owned(), key.clone()));
            if secrets.token.is_none() {
                access.pointer = "/secrets/client_certificate";
            }
        }
        (None, None) => {}
        (given, _) => {
            let (missing, there) = match given {
                Some(_) => ("client_key", "client_certificate"),
                None => ("client_certificate", "client_key"),
            };
            let message = format!("The secret `{there}` is given without `{missing}`.");
            let pointer = format!("/secrets/{missing}");
            faults.push(fault("client-certificate-half", Cause::CredentialMissing, &pointer, message));
        }
    }
    access
}

/// The kubeconfig that is read: files are named relative to its directory.
struct Place<'a> {
    directory: Option<&'a Path>,
    pointer: &'static str,
}

impl Place<'_> {
    /// A value that is embedded, in base64, or in a file. The embedded one comes first.
    fn either(
        &self,
        field: &str,
        data: Option<&str>,
        path: Option<&str>,
        cause: Cause,
    ) -> Result<Option<Secret>, Box<Finding>> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let bytes: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let text = STANDARD.decode(bytes).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text else {
                let pasted = data.trim_start().starts_with("-----BEGIN");
                let why = if pasted { "PEM as it is, not encoded" } else { "not base64 of a text" };
                let message = format!("`{field}-data` in the kubeconfig is {why}.");
                let wrong = fault("kubeconfig-data", cause, self.pointer, message);
                return Err(Box::new(wrong.remedy(format!(
                    "Encode it (`base64 -w0 FILE`), or name the file in `{field}` and let `kubectl config view --raw --flatten` embed it."
                ))));
            };
            return Ok(Some(Secret::new(text)));
        }
        path.filter(|path| !path.is_empty()).map(|path| self.file(field, path, cause)).transpose()
    }

    fn file(&self, field: &str, path: &str, cause: Cause) -> Result<Secret, Box<Finding>> {
        let path = match (Path::new(path), self.directory) {
            (path, _) if path.is_absolute() => path.to_owned(),
            (path, Some(directory)) => directory.join(path),
            (path, None) => {
                let message =
                    format!("`{field}` names the file {}, and a stored kubeconfig has no directory.", path.display());
                return Err(Box::new(fault("kubeconfig-file", Cause::ConfigInvalid, self.pointer, message)));
            }
        };
        read(&path, self.pointer, &format!("file of `{field}`"), cause)
    }

    /// Certificate and bearer of a user.
    fn login(&self, user: &User, faults: &mut Vec<Finding>) -> (Option<(String, Secret)>, Bearer) {
        let mut keep = |read: Result<Option<Secret>, Box<Finding>>| {
            read.unwrap_or_else(|fault| {
                faults.push(*fault);
                None
            })
        };
        let missing = Cause::CredentialMissing;
        let (data, file) = (user.client_certificate_data.as_deref(), user.client_certificate.as_deref());
        let certificate = keep(self.either("client-certificate", data, file, missing.clone()));
        let (data, file) = (user.client_key_data.as_ref().map(Secret::expose), user.client_key.as_deref());
        let key = keep(self.either("client-key", data, file, missing.clone()));
        // The file comes first, as in clients.
        let renewed = user.token_file.as_deref().filter(|path| !path.is_empty());
        let renewed = renewed.and_then(|path| keep(self.file("tokenFile", path, missing.clone()).map(Some)));
        let stored = user.token.clone().filter(|token| !token.is_empty());
        let bearer = match (renewed, stored, &user.username, &user.exec) {
            (Some(token), ..) => Bearer::Renewed(Secret::new(token.expose().trim())),
            (None, Some(token), ..) => Bearer::Token(token),
            (None, None, Some(name), _) => Bearer::Password(name.clone(), user.password.clone().unwrap_or_default()),
            (None, None, None, Some(exec)) => Bearer::Program(exec.clone()),
            (None, None, None, None) => Bearer::None,
        };
        let pair = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.expose().to_owned(), key)),
            (None, None) => None,
            (certificate, _) if faults.is_empty() => {
                let (there, missing) = match certificate {
                    Some(_) => ("client certificate", "key"),
                    None => ("client key", "certificate"),
                };
                let message = format!("The user of the kubeconfig has a {there} and no {missing}.");
                faults.push(
                    fault("client-certificate-half", Cause::CredentialMissing, self.pointer, message)
                        .remedy("Add `client-certificate-data` and `client-key-data` of the same pair."),
                );
                None
            }
            _ => None,
        };
        if let Some(old) = user.auth_provider.as_ref().filter(|_| pair.is_none() && matches!(bearer, Bearer::None)) {
            let message =
                format!("The kubeconfig logs in with the auth-provider `{}`, which clients dropped in 1.26.", old.name);
            faults.push(fault("auth-provider-gone", Cause::ConfigInvalid, self.pointer, message));
        }
        if let Bearer::Program(exec) = &bearer {
            faults.extend(crate::exec::unusable(exec).map(|finding| finding.pointer(self.pointer)));
        }
        if user.as_groups.as_ref().is_some_and(|groups| !groups.is_empty()) {
            let message = "The kubeconfig asks in the name of groups (`as-groups`), which Lineman does not do.";
            faults.push(fault("as-groups", Cause::ConfigInvalid, self.pointer, message));
        }
        (pair, bearer)
    }
}

/// Reads a file of a size that is honest.
fn read(path: &Path, pointer: &str, what: &str, cause: Cause) -> Result<Secret, Box<Finding>> {
    let shown = path.display();
    let wrong = |code: &str, why: &str| {
        let message = format!("The {what}, {shown}, {why}.");
        Box::new(fault(code, cause.clone(), pointer, message).subject("file", shown.to_string()))
    };
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => wrong("file-missing", "does not exist"),
        ErrorKind::PermissionDenied => wrong("file-closed", "may not be read"),
        _ => wrong("file-unreadable", &format!("cannot be read: {error}")),
    };
    // Opened first, so that what is judged is what is read; a pipe would block that.
    let known = std::fs::metadata(path).map_err(io)?;
    if !known.is_file() {
        return Err(wrong("file-unreadable", "is not a file"));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(LARGEST as u64 + 1).read_to_string(&mut text).map_err(io)?;
    Ok(Secret::new(text))
}

/// Authorities in PEM.
fn authorities(pem: String, pointer: &str) -> Result<String, Box<Finding>> {
    if pem.contains("-----BEGIN CERTIFICATE-----") || pem.contains("-----BEGIN TRUSTED CERTIFICATE-----") {
        return Ok(pem);
    }
    let message = "The cluster's certificate authority is not a certificate in PEM.";
    Err(Box::new(fault("authority-malformed", Cause::ConfigInvalid, pointer, message)))
}

impl Access {
    /// Who asks is said by something.
    pub(crate) fn has_login(&self) -> bool {
        self.certificate.is_some() || !matches!(self.bearer, Bearer::None)
    }

    /// The client certificate as it is shown in TLS.
    pub(crate) fn client_certificate(&self) -> Option<Result<ClientCertificate, Box<Finding>>> {
        let (certificate, key) = self.certificate.as_ref()?;
        let read = ClientCertificate::from_pem(certificate, key);
        Some(read.map_err(|finding| Box::new(finding.pointer(self.pointer))))
    }

    /// Completes the way to the API server. What the integration's own `connection` says comes first.
    pub(crate) fn lead(&self, way: &mut Transport) -> Result<(), Box<Finding>> {
        // One that cannot be read is told by `kubernetes/config`.
        way.client_certificate = self.client_certificate().and_then(Result::ok);
        let own = |chosen_by: &str| chosen_by.starts_with("connection.");
        if let Some((pem, chosen_by)) = &self.authorities
            && !way.connection.ca.as_ref().is_some_and(|ca| own(&ca.chosen_by))
        {
            let file = way.directory.join(format!("authorities-{:016x}.pem", hash(pem)));
            std::fs::write(&file, pem).map_err(|error| {
                let message = format!("The authorities cannot be kept for the connection: {error}.");
                Box::new(fault("authority-unkept", Cause::Undetermined, self.pointer, message))
            })?;
            let file = Some(file.display().to_string());
            way.connection.ca = Some(CaBundle { file, directory: None, chosen_by: (*chosen_by).to_owned() });
        }
        if let Some(url) = &self.proxy
            && !way.connection.proxies.iter().any(|proxy| own(&proxy.chosen_by))
        {
            let chosen_by = "the kubeconfig's proxy-url".to_owned();
            way.connection.proxies = vec![Proxy { scheme: "all".to_owned(), url: url.clone(), chosen_by }];
            way.connection.no_proxy = None;
        }
        let address = way.connection.endpoint("api").unwrap_or(&self.server);
        if let Some(host) = Url::parse(address).ok().as_ref().and_then(Url::host_str)
            && (self.server_name.is_some() || self.unverified)
        {
            way.connection.terms = Some(HostTerms {
                host: host.trim_matches(['[', ']']).to_owned(),
                name: self.server_name.clone(),
                unverified: self.unverified,
            });
        }
        Ok(())
    }

    /// Registers every secret, also in the forms in which the kubeconfig has it.
    fn conceal(&self, cx: &Cx<Kubernetes>) {
        if let Some((_, key)) = &self.certificate {
            cx.conceal("client key", key);
            cx.conceal("client key", &Secret::new(STANDARD.encode(key.expose())));
        }
        if let Some(password) =
            self.proxy.as_ref().and_then(|url| Url::parse(url.expose()).ok()).as_ref().and_then(Url::password)
        {
            cx.conceal("proxy password", &Secret::new(password));
        }
        match &self.bearer {
            Bearer::Token(token) | Bearer::Renewed(token) => cx.conceal("token", token),
            Bearer::Password(_, password) => cx.conceal("password", password),
            Bearer::Program(exec) => {
                exec.env.iter().flatten().for_each(|variable| cx.conceal("variable of the program", &variable.value));
            }
            Bearer::None => {}
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
