use hickory_resolver::proto::op::ResponseCode;
use lineman_model::{Cause, Connection, Evidence};
use lineman_net::{Limits, Target, resolve, walk};

use crate::lab::*;
use crate::{SCANT, check};

#[tokio::test]
async fn every_answer_of_a_name_server_is_told_apart() {
    let server = http_server(OK).await;
    // The system refuses to send to the broadcast address, as it does where there is no route.
    let unreachable = Limits { name_server: Some("255.255.255.255:53".parse().unwrap()), ..limits().await };
    let cases = [
        ("address", limits().await, "dns tcp http 200", "127.0.0.1"),
        (
            "nxdomain",
            limits_with(Dns::Code(ResponseCode::NXDomain)).await,
            "dns! dns-nxdomain network.dns",
            "does not exist",
        ),
        ("nodata", limits_with(Dns::Addresses(&[])).await, "dns! dns-empty network.dns", "has no address"),
        ("servfail", limits_with(Dns::Code(ResponseCode::ServFail)).await, "dns! dns-servfail network.dns", "SERVFAIL"),
        ("refused", limits_with(Dns::Code(ResponseCode::Refused)).await, "dns! dns-refused network.dns", "REFUSED"),
        (
            "silence",
            Limits { dns: SCANT, ..limits_with(Dns::Silence).await },
            "dns! dns-timeout network.dns",
            "within 400 ms",
        ),
        ("no server", unreachable, "dns! dns-unreachable network.dns", "255.255.255.255"),
        (
            "metadata service",
            limits_with(Dns::Addresses(&["169.254.169.254", "fd00:ec2::254"])).await,
            "dns! address-refused config.endpoint-wrong",
            "169.254.169.254",
        ),
        (
            "metadata service among others",
            limits_with(Dns::Addresses(&["169.254.169.254", "127.0.0.1"])).await,
            "dns tcp http 200",
            "",
        ),
    ];
    for (what, limits, expect, says) in cases {
        let url = format!("http://{HOST}:{}/", server.port());
        let asked = limits.name_server.unwrap().to_string();
        let says = [says, asked.as_str()];
        check(what, &url, &Connection::default(), &limits, expect, &says).await;
    }
}

#[tokio::test]
async fn names_that_need_no_name_server() {
    let server = http_server(OK).await;
    let nobody = Limits { name_server: Some(nobody().await), ..limits().await };
    let scant = Limits { dns: SCANT, ..nobody };
    let system = Limits { name_server: None, ..nobody };
    let cases = [
        ("address", "127.0.0.1", nobody, "dns tcp http 200"),
        ("hosts file", "localhost", system, "dns tcp http 200"),
        ("metadata service", "169.254.169.254", nobody, "dns! address-refused config.endpoint-wrong"),
        ("the same as a number", "2852039166", nobody, "dns! address-refused config.endpoint-wrong"),
        ("the same in IPv6", "[::ffff:a9fe:a9fe]", nobody, "dns! address-refused config.endpoint-wrong"),
        ("underscore", "no_such_name.test", scant, "dns! dns-timeout network.dns"),
        ("no name", "a..b", nobody, "dns! endpoint-invalid config.invalid"),
    ];
    for (what, host, limits, expect) in cases {
        let url = format!("http://{host}:{}/", server.port());
        check(what, &url, &Connection::default(), &limits, expect, &[]).await;
    }
}

#[tokio::test]
async fn the_resolver_of_a_client_gives_the_same() {
    let connection = Connection::default();
    let both = limits_with(Dns::Addresses(&["127.0.0.1", "::1", "169.254.1.1"])).await;
    let mut found = resolve(HOST, &connection, &both).await.unwrap();
    found.sort();
    assert_eq!(found, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap(), "::1".parse().unwrap()]);
    let none = limits_with(Dns::Code(ResponseCode::NXDomain)).await;
    assert_eq!(resolve(HOST, &connection, &none).await.unwrap_err().code, "dns-nxdomain");
}

/// What the machine's own name servers say of a name that cannot exist depends on the machine; that
/// they are asked after the system does not.
#[test]
fn where_the_system_finds_nothing_the_name_servers_are_asked_why() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = Limits { dns: SCANT, name_server: None, ..Limits::default() };
    let target = Target::tcp("no.such.name.invalid", 22);
    let walk = runtime.block_on(walk(&target, &Connection::default(), &limits));
    // A resolver that waits for its servers would keep the runtime from ending.
    runtime.shutdown_background();
    let failure = walk.failure.unwrap();
    assert_eq!((failure.phase, failure.cause), ("dns", Cause::NetworkDns));
    assert!(failure.detail.unwrap().starts_with("The system's resolver said: "));
    let [Evidence::Dns { servers, .. }, Evidence::Dns { .. }] = &walk.evidence[..] else {
        panic!("{:?}", walk.evidence)
    };
    assert_eq!(servers, &["system"]);
}
