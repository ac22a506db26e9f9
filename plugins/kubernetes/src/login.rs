//! What is shown to the API server: the stored credential, or the one that a program prints.

use lineman_sdk::prelude::*;

use crate::access::{Bearer, access};
use crate::{Kubernetes, exec};

/// What is shown to the API server, beside the certificate in TLS.
#[derive(Clone)]
pub(crate) enum Login {
    /// Nothing: the certificate tells.
    Certificate,
    /// A bearer token, and the program that printed it, if one did.
    Token { token: Secret, program: Option<String> },
    /// A name and a password.
    Password(String, Secret),
}

/// What is shown to the API server, once.
///
/// # Errors
///
/// Why there is none: above all that a program would have to be run, and is not granted.
pub(crate) async fn login(cx: &Cx<Kubernetes>) -> Result<Login, Stop> {
    cx.session().login.get(Box::pin(obtain(cx))).await
}

async fn obtain(cx: &Cx<Kubernetes>) -> Result<Login, Stop> {
    let access = access(cx).await?;
    Ok(match &access.bearer {
        Bearer::None => Login::Certificate,
        Bearer::Token(token) | Bearer::Renewed(token) => Login::Token { token: token.clone(), program: None },
        Bearer::Password(user, password) => Login::Password(user.clone(), password.clone()),
        Bearer::Program(program) => {
            let token = exec::run(cx, &access, program).await?;
            Login::Token { token, program: Some(exec::name(program).to_owned()) }
        }
    })
}
