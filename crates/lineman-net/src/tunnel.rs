//! The proxy's consent: HTTP CONNECT (RFC 9110) and SOCKS 5 (RFC 1928, RFC 1929).

use std::io;

use lineman_model::{Cause, Confidence, Evidence, Header, clean_line};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::proxy::ProxyChoice;
use crate::target::{authority, literal, shown};
use crate::wire::Wire;
use crate::{Fault, Outcome, PathFailure, Seen};

/// No honest answer to CONNECT has more headers than this.
const MOST_HEADERS: usize = 16 * 1024;

/// Asks an HTTP proxy for a tunnel.
pub(crate) async fn connect(seen: &mut Seen, wire: Wire, proxy: &ProxyChoice, host: &str, port: u16) -> Outcome<Wire> {
    let cut = |error: io::Error| cut_off(proxy, &error);
    let to = authority(host, port);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {}\r\n", crate::exchange::USER_AGENT);
    if let Some(value) = proxy.authorization().and_then(|value| value.to_str().ok()) {
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    // Buffered, so that nothing that follows the answer is lost.
    let mut wire = BufReader::new(wire);
    wire.write_all(request.as_bytes()).await.map_err(cut)?;
    wire.flush().await.map_err(cut)?;

    let head = read_head(&mut wire).await.map_err(cut)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let status = match answer.parse(&head) {
        Ok(httparse::Status::Complete(_)) => answer.code.unwrap_or_default(),
        _ => return Err(not_a_proxy(proxy, "HTTP", &String::from_utf8_lossy(&head))),
    };
    if (200..300).contains(&status) {
        return Ok(Box::new(wire));
    }
    let headers: Vec<Header> = answer
        .headers
        .iter()
        .filter(|header| TELLING.iter().any(|name| header.name.eq_ignore_ascii_case(name)))
        .map(|header| Header {
            name: header.name.to_ascii_lowercase(),
            value: clean_line(&String::from_utf8_lossy(header.value), 200),
        })
        .collect();
    let failure = refused(proxy, host, status, &headers);
    seen.evidence.push(Evidence::Http {
        method: "CONNECT".into(),
        url: to,
        status: Some(status),
        headers,
        body: None,
        request_id: None,
        duration_ms: None,
    });
    Err(failure)
}

/// The headers of a proxy's answer that tell who refused and why.
const TELLING: &[&str] = &["proxy-authenticate", "proxy-status", "server", "via", "x-squid-error"];

/// Reads up to the empty line that ends the headers, or as much of it as there is.
async fn read_head(wire: &mut BufReader<Wire>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut capped = wire.take(MOST_HEADERS as u64);
    loop {
        let start = head.len();
        if capped.read_until(b'\n', &mut head).await? == 0 {
            let error = io::Error::from(io::ErrorKind::UnexpectedEof);
            return if head.is_empty() { Err(error) } else { Ok(head) };
        }
        // What does not begin as HTTP will never end as HTTP: an SSH server would wait for us.
        if matches!(&head[start..], b"\r\n" | b"\n") || !head.starts_with(b"HTTP/") {
            return Ok(head);
        }
    }
}

/// What a proxy's refusal means. The status is that of CONNECT, or of a request that the proxy
/// answered itself.
pub(crate) fn refused(proxy: &ProxyChoice, host: &str, status: u16, headers: &[Header]) -> Box<PathFailure> {
    let host = shown(host);
    match status {
        407 => wants_credentials(proxy, headers),
        401 | 403 | 405 | 451 => {
            PathFailure::new(Fault::ProxyForbidden, format!("The proxy {proxy} refuses {host} (HTTP {status})."))
                .remedy(format!("Have {host} allowed on the proxy."))
                .remedy(proxy.where_to_change())
        }
        500..=599 => {
            let failure = PathFailure::new(
                Fault::ProxyUpstream,
                format!("The proxy {proxy} cannot reach {host} (HTTP {status})."),
            )
            .remedy("Check the host in the endpoint; then the proxy's own DNS, firewall and logs.");
            let failure = if status == 504 {
                failure.or_else(Cause::NetworkTimeout, Confidence::Possible)
            } else {
                failure.or_else(Cause::NetworkDns, Confidence::Possible)
            };
            failure.or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
        }
        _ => PathFailure::new(
            Fault::ProxyRejected,
            format!("The proxy {proxy} opens no tunnel to {host} (HTTP {status})."),
        )
        .remedy(proxy.where_to_change()),
    }
}

fn wants_credentials(proxy: &ProxyChoice, headers: &[Header]) -> Box<PathFailure> {
    let mut schemes: Vec<&str> = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|header| header.value.split([' ', ',']).find(|word| !word.is_empty()))
        .collect();
    schemes.dedup();
    let offered = if schemes.is_empty() { "no scheme".to_owned() } else { schemes.join(", ") };
    let basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    let failure = if proxy.has_credentials() {
        PathFailure::new(
            Fault::ProxyAuthRejected,
            format!("The proxy {proxy} rejects the configured user and password (HTTP 407; it offers {offered})."),
        )
    } else {
        PathFailure::new(
            Fault::ProxyAuthRequired,
            format!("The proxy {proxy} wants credentials and none are configured (HTTP 407; it offers {offered})."),
        )
    };
    let failure = if basic || schemes.is_empty() {
        failure.remedy(format!(
            "Put the proxy's user and password in {}: http://user:password@host:port.",
            proxy.chosen_by()
        ))
    } else {
        failure.remedy(format!("Use a local proxy that authenticates with {offered}, or have this machine exempted."))
    };
    failure.remedy(proxy.where_to_change())
}

/// Asks a SOCKS 5 proxy for a tunnel to a name, or to an address where `host` is one.
pub(crate) async fn socks5(mut wire: Wire, proxy: &ProxyChoice, host: &str, port: u16) -> Outcome<Wire> {
    const NO_AUTHENTICATION: u8 = 0;
    const USER_AND_PASSWORD: u8 = 2;
    let cut = |error: io::Error| cut_off(proxy, &error);

    let greeting: &[u8] = match proxy.user() {
        Some(_) => &[5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        None => &[5, 1, NO_AUTHENTICATION],
    };
    wire.write_all(greeting).await.map_err(cut)?;
    let mut chosen = [0; 2];
    wire.read_exact(&mut chosen).await.map_err(cut)?;
    match (chosen, proxy.user()) {
        ([5, NO_AUTHENTICATION], _) => {}
        ([5, USER_AND_PASSWORD], Some((user, password))) => {
            let (user, password) = (clipped(user), clipped(password));
            let mut login = vec![1, user.len() as u8];
            login.extend_from_slice(user);
            login.push(password.len() as u8);
            login.extend_from_slice(password);
            wire.write_all(&login).await.map_err(cut)?;
            let mut verdict = [0; 2];
            wire.read_exact(&mut verdict).await.map_err(cut)?;
            if verdict[1] != 0 {
                let message = format!("The proxy {proxy} rejects the configured user and password.");
                return Err(PathFailure::new(Fault::ProxyAuthRejected, message).remedy(proxy.where_to_change()));
            }
        }
        ([5, _], _) => {
            let message = format!("The proxy {proxy} wants credentials and none are configured that it accepts.");
            return Err(PathFailure::new(Fault::ProxyAuthRequired, message).remedy(proxy.where_to_change()));
        }
        _ => return Err(not_a_proxy(proxy, "SOCKS 5", &String::from_utf8_lossy(&chosen))),
    }

    let mut request = vec![5, 1, 0];
    match literal(host) {
        Some(std::net::IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Some(std::net::IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        None => {
            request.extend_from_slice(&[3, clipped(host).len() as u8]);
            request.extend_from_slice(clipped(host));
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    wire.write_all(&request).await.map_err(cut)?;

    let mut reply = [0; 4];
    wire.read_exact(&mut reply).await.map_err(cut)?;
    if reply[1] != 0 {
        return Err(socks_refused(proxy, host, reply[1]));
    }
    let rest = match reply[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(wire.read_u8().await.map_err(cut)?),
    };
    let mut bound = vec![0; rest + 2];
    wire.read_exact(&mut bound).await.map_err(cut)?;
    Ok(wire)
}

/// SOCKS 5 has one byte for a length.
fn clipped(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(255)]
}

fn socks_refused(proxy: &ProxyChoice, host: &str, code: u8) -> Box<PathFailure> {
    let (fault, said, also) = match code {
        2 => (Fault::ProxyForbidden, "its rules forbid it", None),
        3 => (Fault::ProxyUpstream, "network unreachable", Some(Cause::NetworkUnreachable)),
        4 => (Fault::ProxyUpstream, "host unreachable", Some(Cause::NetworkDns)),
        5 => (Fault::ProxyUpstream, "connection refused", Some(Cause::NetworkRefused)),
        6 => (Fault::ProxyUpstream, "time ran out", Some(Cause::NetworkTimeout)),
        _ => (Fault::ProxyRejected, "general failure", None),
    };
    let message = format!("The proxy {proxy} does not connect to {}: {said} (SOCKS {code}).", shown(host));
    let failure = PathFailure::new(fault, message).remedy(proxy.where_to_change());
    match also {
        Some(cause) => failure.or_else(cause, Confidence::Likely),
        None => failure,
    }
}

fn not_a_proxy(proxy: &ProxyChoice, wanted: &str, said: &str) -> Box<PathFailure> {
    let said = clean_line(said.lines().next().unwrap_or_default(), 100);
    PathFailure::new(Fault::ProxyNotProxy, format!("What answers at {proxy} does not speak {wanted}."))
        .detail(if said.is_empty() { String::new() } else { format!("It said: {said}") })
        .remedy(proxy.where_to_change())
}

fn cut_off(proxy: &ProxyChoice, error: &io::Error) -> Box<PathFailure> {
    PathFailure::new(Fault::ProxyReset, format!("The proxy {proxy} cuts the connection off."))
        .detail(clean_line(&error.to_string(), 200))
        .remedy(proxy.where_to_change())
}
