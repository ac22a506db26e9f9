use lineman_model::Connection;
use lineman_net::Limits;
use tokio::net::{TcpSocket, TcpStream};

use crate::lab::*;
use crate::{SCANT, check};

#[tokio::test]
async fn a_connection_is_made_or_the_reason_is_named() {
    // A listener that never accepts and whose queue is full does not answer, like a firewall that
    // drops packets.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SCANT, TcpStream::connect(full.local_addr().unwrap())).await {
        queued.push(stream.unwrap());
    }

    let ample = limits().await;
    let scant = Limits { tcp: SCANT, ..ample };
    let server = greeter(b"SSH-2.0-x\r\n").await;
    let cases = [
        ("open", server, &ample, "dns tcp connected", "connected"),
        ("closed", nobody().await, &ample, "dns tcp! tcp-refused network.refused", "refused"),
        ("silent", full.local_addr().unwrap(), &scant, "dns tcp! tcp-timeout network.timeout", "within 400 ms"),
    ];
    for (what, server, limits, expect, says) in cases {
        let url = format!("ssh://git@{HOST}:{}/", server.port());
        check(what, &url, &Connection::default(), limits, expect, &[says]).await;
    }
}

#[tokio::test]
async fn a_family_that_does_not_work_is_noted() {
    let server = silent().await;
    let limits = limits_with(Dns::Addresses(&["::1", "127.0.0.1"])).await;
    let url = format!("ssh://{HOST}:{}/", server.port());
    let says = ["IPv4 works; IPv6 does not: [::1]:"];
    check("half", &url, &Connection::default(), &limits, "dns tcp connected", &says).await;
}
