//! From a name to its addresses: asked once for each connection, which then goes to what was answered and checked.
//! Nothing is kept: a second connection asks again, and no answer outlives the connection that it was checked for.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::reach::Host;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Names that one account has looked up at the same time.
pub(crate) const TURNS: usize = 8;
/// Addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// Who knows the addresses of names.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// The machine: `/etc/hosts` and whatever its resolver asks.
    System,
    /// A table; other names do not exist.
    #[cfg(test)]
    Table(std::collections::HashMap<String, Vec<Vec<IpAddr>>>, Arc<std::sync::atomic::AtomicUsize>),
}

impl Names {
    /// The addresses of a host, an address being its own.
    ///
    /// `turns` are those of one account, so that nobody who asks for names that take long keeps all others waiting.
    pub(crate) async fn addresses(&self, host: &Host, turns: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        let name = match host {
            Host::Address(address) => return Ok(vec![address.to_canonical()]),
            Host::Name(name) => name,
        };
        let mut found = match self {
            Self::System => match timeout(ANSWER, system(name.clone(), Arc::clone(turns))).await {
                Ok(found) => found?,
                Err(_elapsed) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "no name server answered"));
                }
            },
            #[cfg(test)]
            Self::Table(table, asked) => {
                let answers = table.get(name).ok_or(io::ErrorKind::NotFound)?;
                let turn = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                answers[turn.min(answers.len() - 1)].clone()
            }
        };
        found.truncate(MAX_ADDRESSES);
        Ok(found.into_iter().map(|address| address.to_canonical()).collect())
    }
}

async fn system(name: String, turns: Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
    let turn = turns.acquire_owned().await.map_err(|_closed| io::ErrorKind::Interrupted)?;
    let look = move || {
        // The turn lasts as long as the resolver takes, also when nobody waits for it any more.
        let _turn = turn;
        if let Some(found) = listed(&name, &std::fs::read_to_string("/etc/hosts").unwrap_or_default()) {
            return Ok(found);
        }
        // The dot keeps the resolver from trying the machine's own domain behind a name that has one.
        let asked = if name.contains('.') { format!("{name}.") } else { name };
        Ok((asked.as_str(), 0).to_socket_addrs()?.map(|socket| socket.ip()).collect())
    };
    tokio::task::spawn_blocking(look).await.map_err(|_ended| io::ErrorKind::Interrupted)?
}

/// The addresses of a name in the text of `/etc/hosts`.
fn listed(name: &str, text: &str) -> Option<Vec<IpAddr>> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    let addresses: Vec<IpAddr> = addresses.collect();
    (!addresses.is_empty()).then_some(addresses)
}

/// Whether an address is this machine's: what listens there may trust whoever comes from inside. The kernel chooses the
/// very address as the way to itself; nothing is sent.
pub(crate) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0));
    let source = socket.and_then(|socket| socket.connect((address, 9)).and_then(|()| socket.local_addr()));
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_counts_before_any_server() {
        let text = "127.0.0.1 localhost\n# 9.9.9.9 a.test\n10.0.0.1 x.test A.test # b.test\n::1 a.test\nnonsense a.test\n";
        let found: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(listed("a.test", text), Some(found));
        assert_eq!(listed("b.test", text), None);
    }

    #[test]
    fn this_machine_knows_its_own_addresses() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(!is_own("192.0.2.1".parse().unwrap()));
    }
}
