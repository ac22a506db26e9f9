//! Kubernetes API servers of versions that cannot be had for real: *simulated*, answer by answer,
//! from the reference (`worlds/kubernetes.toml`).

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::RequestLog;
use crate::api::{self, Response};
use crate::tls::Tls;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    token: String,
    server: Vec<Simulated>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Simulated {
    id: String,
    #[expect(dead_code, reason = "for whoever reads the file")]
    what: String,
    answer: Vec<Known>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    request: String,
    #[serde(default)]
    open: bool,
    #[serde(default = "good")]
    status: u16,
    #[serde(default = "json")]
    kind: String,
    body: String,
    #[expect(dead_code, reason = "for whoever reads the file")]
    source: String,
}

fn good() -> u16 {
    200
}

fn json() -> String {
    "application/json".to_owned()
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    toml::from_str(include_str!("../worlds/kubernetes.toml")).expect("the world of Kubernetes can be read")
});

/// The token that every server takes.
pub fn token() -> &'static str {
    &WORLD.token
}

/// A running server.
pub struct Server(api::Server);

impl Server {
    /// Starts the server of an id.
    pub fn start(tls: Tls, id: &str) -> Result<Server> {
        let server = WORLD.server.iter().find(|server| server.id == id);
        let server = server.with_context(|| format!("no API server is called {id}"))?;
        api::Server::https(tls, move |request| answer(server, request)).map(Server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.0.log()
    }
}

fn answer(server: &'static Simulated, request: api::Request) -> Response {
    let line = format!("{} {}", request.method, request.path());
    let known = server.answer.iter().find(|answer| answer.request == line);
    let allowed = request.header("authorization") == Some(&format!("Bearer {}", WORLD.token));
    match known {
        Some(answer) if answer.open || allowed => {
            Response::new(answer.status).header("content-type", &*answer.kind).body(&*answer.body)
        }
        _ if !allowed => Response::new(401).header("content-type", "application/json").body(
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#,
        ),
        _ => Response::new(404).header("content-type", "text/plain; charset=utf-8").body("404 page not found\n"),
    }
}
