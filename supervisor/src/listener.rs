//! Who listens on an address already, as far as this user may know.

use std::net::SocketAddr;
use std::path::Path;

/// A process that has a listening socket on the port of `address`, in words: ` (pid 12, nginx)` or ` (uid 33)`; empty
/// where nothing is known.
pub(crate) fn owner(address: SocketAddr) -> String {
    let Some((inode, uid)) = socket_of(address.port()) else { return String::new() };
    match holder(&format!("socket:[{inode}]")) {
        Some((pid, name)) => format!(" (pid {pid}, {name})"),
        None => format!(" (uid {uid})"),
    }
}

/// The user of the listening socket on a port.
pub(crate) fn user(port: u16) -> Option<u32> {
    socket_of(port).map(|(_, uid)| uid)
}

/// Inode and user of the listening socket on a port.
fn socket_of(port: u16) -> Option<(u64, u32)> {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| listening(line, port))
    })
}

/// A row of the kernel's table, if it listens on the port.
fn listening(row: &str, port: u16) -> Option<(u64, u32)> {
    let fields: Vec<&str> = row.split_whitespace().collect();
    let (_, bound) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(bound, 16).ok()? == port;
    listens.then_some((fields.get(9)?.parse().ok()?, fields.get(7)?.parse().ok()?))
}

/// The process that holds a descriptor of that name.
fn holder(socket: &str) -> Option<(u32, String)> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find_map(|pid| {
        let held = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let mut targets = held.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        targets.any(|target| target == Path::new(socket)).then(|| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (pid, name.trim().to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_table_is_understood() {
        let row = "   0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 52917 1 0 100 0 0 10 0";
        assert_eq!(listening(row, 18789), Some((52917, 1000)));
        assert_eq!(listening(row, 18790), None);
        assert_eq!(listening(&row.replace(" 0A ", " 01 "), 18789), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = owner(listener.local_addr().unwrap());
        assert!(own.starts_with(&format!(" (pid {}, ", std::process::id())), "{own:?}");
    }
}
