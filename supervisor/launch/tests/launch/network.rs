//! The one way out.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};

use creel_launch::{Exit, Level, Net, Role};

use crate::bench::{at, launch, run, shell, worker};

#[test]
fn the_listener_is_reachable_from_inside_only() {
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut spec = worker(Role::Channel, "proxy");
    spec.argv.push(host.local_addr().unwrap().to_string());
    spec.net = Net::Listener;
    let mut running = launch(&spec).unwrap();
    let (fd, port) = running.unit.listener.take().unwrap();
    // The same port of the host is free: the listener is not there.
    let same = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    assert!(same.is_ok());
    let (mut stream, peer) = TcpListener::from(fd).accept().unwrap();
    assert!(peer.ip().is_loopback());
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    stream.write_all(text.to_uppercase().as_bytes()).unwrap();
    drop(stream);
    assert_eq!(running.finish(), (Exit::Code(0), "answer FROM INSIDE outside false\n".into()));
}

#[test]
fn at_level_1_the_listener_is_the_hosts_and_the_gaps_say_so() {
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut spec = at(Level::L1, worker(Role::Channel, "proxy"));
    spec.argv.push(host.local_addr().unwrap().to_string());
    spec.net = Net::Listener;
    let mut running = launch(&spec).unwrap();
    assert!(running.unit.isolation.gaps.iter().any(|g| g.contains("any local process")));
    let (fd, _) = running.unit.listener.take().unwrap();
    let (mut stream, _) = TcpListener::from(fd).accept().unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    stream.write_all(b"ok").unwrap();
    drop(stream);
    assert_eq!(running.finish(), (Exit::Code(0), "answer ok outside false\n".into()));
}

#[test]
fn a_tool_has_a_loopback_of_its_own_and_nothing_else() {
    let (exit, text) = run(&shell("cat /proc/net/dev | grep -c :; cat /proc/net/route | wc -l"));
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "1\n1\n"));
}

#[test]
fn egress_has_the_hosts_network() {
    let mut spec = worker(Role::Egress, "resolve");
    spec.net = Net::Host;
    let running = launch(&spec).unwrap();
    assert!(!running.unit.isolation.namespaces.contains(&"net".to_owned()));
    assert_eq!(running.finish(), (Exit::Code(0), "resolved Ok(true)\n".into()));
}
