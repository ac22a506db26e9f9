use std::fs;

use lineman_model::{CaBundle, Connection};
use lineman_net::{Limits, trust};

use crate::check;
use crate::lab::*;

#[test]
fn a_bundle_is_loaded_or_named_with_who_chose_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let one = Authority::root("One").certificate;
    let two = Authority::root("Two").certificate;
    fs::write(path("good.pem"), format!("# a comment\n{}{}", pem(&one), pem(&two))).unwrap();
    fs::write(path("none.pem"), "nothing here\n").unwrap();
    fs::write(path("torn.pem"), &pem(&one)[..200]).unwrap();
    fs::write(path("garbage.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    fs::create_dir(path("certs")).unwrap();
    fs::write(path("certs/one.pem"), pem(&one)).unwrap();
    fs::create_dir(path("empty")).unwrap();

    let check = |file: Option<&str>, folder: Option<&str>, expect: Result<usize, &str>| {
        let bundle =
            CaBundle { file: file.map(path), directory: folder.map(path), chosen_by: "SSL_CERT_FILE".to_owned() };
        let connection = Connection { ca: Some(bundle), ..Connection::default() };
        let loaded = trust(&connection);
        let seen = loaded.as_ref().map(|trust| trust.certificates()).map_err(|failure| failure.code);
        assert_eq!(seen, expect, "{file:?} {folder:?}");
        let told = loaded.map_or_else(|failure| failure.to_string(), |trust| trust.to_string());
        assert!(told.contains("SSL_CERT_FILE"), "{told}");
        assert!(told.contains(&path(file.or(folder).unwrap())), "{told}");
    };
    check(Some("good.pem"), None, Ok(2));
    check(None, Some("certs"), Ok(1));
    check(Some("good.pem"), Some("certs"), Ok(2));
    check(Some("absent.pem"), None, Err("trust-unreadable"));
    check(Some("certs"), None, Err("trust-unreadable"));
    check(None, Some("absent"), Err("trust-unreadable"));
    check(Some("torn.pem"), None, Err("trust-unreadable"));
    check(Some("none.pem"), None, Err("trust-empty"));
    check(Some("garbage.pem"), None, Err("trust-empty"));
    check(None, Some("empty"), Err("trust-empty"));
}

#[tokio::test]
async fn a_walk_without_trust_fails_at_tls_and_nowhere_else() {
    let ca = CaBundle { file: Some("/absent.pem".into()), directory: None, chosen_by: "connection.ca_file".into() };
    let connection = Connection { ca: Some(ca), ..Connection::default() };
    let limits: Limits = limits().await;
    let port = http_server(OK).await.port();
    let says = ["/absent.pem", "connection.ca_file"];
    let expect = "dns tcp tls! trust-unreadable config.invalid";
    check("https", &format!("https://{HOST}:{port}/"), &connection, &limits, expect, &says).await;
    check("http", &format!("http://{HOST}:{port}/"), &connection, &limits, "dns tcp http 200", &[]).await;
}
