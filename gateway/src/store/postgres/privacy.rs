//! The way over the network.

use tokio_postgres::Config;

use super::*;

#[test]
fn over_the_network_there_is_no_way_without_tls_a_known_authority_and_the_right_name() {
    let mut server = Server::start();
    let (port, authority) = server.listen("open sesame");
    let open = |host: &str, password: &str, authority: Option<&[u8]>| {
        let mut config = Config::new();
        config.host(host).port(port).user("creel").password(password).dbname("postgres");
        let reach = Reach::new(config, authority)?;
        assert!(!format!("{reach:?}").contains(password));
        Postgres::open(reach, Promise::NoLoss, Rules::KEPT)
    };
    let refused = |outcome: Kept<Postgres>| outcome.map(drop).unwrap_err().to_string();
    let mut store = open("localhost", "open sesame", Some(&authority)).unwrap();
    let secured =
        store.tx(|tx| tx.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", vec![])?.at(0));
    assert_eq!(secured, Ok(true));
    let said = refused(open("localhost", "open barley", Some(&authority)));
    assert!(said.contains("password authentication failed") && !said.contains("barley"), "{said}");
    let said = refused(open("localhost", "open sesame", None));
    assert!(said.contains("UnknownIssuer"), "{said}");
    let said = refused(open("127.0.0.1", "open sesame", Some(&authority)));
    assert!(said.contains("not valid for name"), "{said}");
    let said = refused(open("localhost", "open sesame", Some(b"nothing")));
    insta::assert_snapshot!(said, @"The database postgres at localhost cannot be used: nobody can vouch for its server: there is no certificate in the file. Name a file with the certificate of its authority in PEM.");
    // A server that speaks no TLS gets no password.
    server.kill();
    let plain = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let listens = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut peer, _) = plain.accept().unwrap();
        let mut request = [0; 8];
        peer.read_exact(&mut request).unwrap();
        peer.write_all(b"N").unwrap();
        let mut more = Vec::new();
        peer.read_to_end(&mut more).unwrap();
        more
    });
    let said = refused(open("localhost", "open sesame", Some(&authority)));
    assert!(said.contains("does not support TLS"), "{said}");
    assert!(listens.join().unwrap().is_empty(), "not a word more");
}
