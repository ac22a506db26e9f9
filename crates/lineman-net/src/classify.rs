use std::error::Error;
use std::io::{self, ErrorKind};

use lineman_model::{Cause, Confidence};

use crate::failure::{causes, told};
use crate::tls::reset;
use crate::verdict::Handshake;
use crate::{Fault, PathFailure, tcp};

/// What an error of an HTTP client means, as far as the error tells: the walk, which looks for
/// itself, says more. Nothing when no known error is in the chain.
///
/// The chain is searched for the errors of this crate, rustls, the operating system and hyper,
/// innermost first: what wraps an error says less than what it wraps.
pub fn classify(error: &(dyn Error + 'static)) -> Option<PathFailure> {
    let connecting = causes(error).any(is_about_connecting);
    let innermost = causes(error).filter_map(|error| one(error, connecting)).last()?;
    // To the client, the way to the proxy is the inside of the tunnel.
    let innermost = match causes(error).any(|error| error.to_string() == NO_WAY_TO_PROXY) {
        true if innermost.phase == "tcp" => {
            PathFailure::new(Fault::ProxyUnreachable, "The proxy cannot be connected to.")
                .remedy("Correct the proxy, or add the host to no_proxy.")
                .or_else(innermost.cause, Confidence::Likely)
        }
        _ => innermost,
    };
    Some(*if innermost.detail.is_none() { innermost.detail(told(error)) } else { innermost })
}

fn one(error: &(dyn Error + 'static), connecting: bool) -> Option<Box<PathFailure>> {
    if let Some(failure) = error.downcast_ref::<PathFailure>() {
        return Some(Box::new(failure.clone()));
    }
    if let Some(failure) = error.downcast_ref::<Box<PathFailure>>() {
        return Some(failure.clone());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(Handshake::default().judge(error));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return io(error, connecting);
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(late(connecting));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return hyper(error);
    }
    unnamed(&error.to_string(), connecting)
}

fn io(error: &io::Error, connecting: bool) -> Option<Box<PathFailure>> {
    match (error.kind(), connecting) {
        (ErrorKind::UnexpectedEof, true) => Some(reset("the server")),
        (ErrorKind::TimedOut, _) => Some(late(connecting)),
        (
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
            false,
        ) => Some(cut_off()),
        _ => match tcp::fault(error) {
            Fault::TcpFailed => None,
            fault => Some(tcp::explain(fault, "the server", None)),
        },
    }
}

fn hyper(error: &hyper::Error) -> Option<Box<PathFailure>> {
    if error.is_timeout() {
        Some(late(false))
    } else if error.is_parse() {
        Some(
            PathFailure::new(Fault::HttpNotHttp, "What answers does not speak HTTP/1.")
                .remedy("Correct host and port in the endpoint."),
        )
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(cut_off())
    } else {
        None
    }
}

const NO_WAY_TO_PROXY: &str = "tunnel error: failed to create underlying connection";

/// Errors whose types their crates keep to themselves: nothing is left of them but the text.
fn unnamed(text: &str, connecting: bool) -> Option<Box<PathFailure>> {
    match text {
        "operation timed out" => Some(late(connecting)),
        "tunnel error: proxy authorization required" => Some(
            PathFailure::new(Fault::ProxyAuthRequired, "The proxy wants credentials (HTTP 407).")
                .remedy("Put the proxy's user and password in the proxy's address."),
        ),
        _ if text.starts_with("tunnel error: ") && text != NO_WAY_TO_PROXY => Some(
            PathFailure::new(Fault::ProxyRejected, "The proxy opens no tunnel to the server.")
                .remedy("Have the host allowed on the proxy, or add it to no_proxy."),
        ),
        _ => None,
    }
}

/// Whether an error is of setting a connection up. The client's errors of this kind have no public
/// type either.
fn is_about_connecting(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string();
    text == "client error (Connect)" || text == "tcp connect error"
}

fn cut_off() -> Box<PathFailure> {
    PathFailure::new(Fault::HttpReset, "The server cuts the connection off before it answers.")
        .remedy("Try again; then look at the server's log, and for a firewall or load balancer that cuts connections.")
        .or_else(Cause::ProviderOutage, Confidence::Possible)
}

fn late(connecting: bool) -> Box<PathFailure> {
    if connecting {
        return tcp::explain(Fault::TcpTimeout, "the server", None);
    }
    PathFailure::new(Fault::HttpTimeout, "The server does not answer in time.")
        .remedy("Try again; raise connection.timeout if the server is slow.")
        .or_else(Cause::ProviderOutage, Confidence::Possible)
}
