use std::net::IpAddr;

use lineman_model::{Connection, Evidence};
use url::Url;

use crate::target::{Limits, Target};
use crate::walk::walk_and_read;

/// Asks an endpoint that answers with its caller's address as text which address it sees; none
/// where it does not say.
///
/// The walk takes the proxies of the connection: what lies behind one sees the proxy's address.
pub async fn seen_as(url: &Url, connection: &Connection, limits: &Limits) -> Option<IpAddr> {
    let target = Target::from_url(url).ok()?;
    let walk = walk_and_read(&target, connection, limits).await;
    if walk.status != Some(200) {
        return None;
    }
    walk.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Http { body: Some(body), .. } => body.trim().parse().ok(),
        _ => None,
    })
}
