//! Taking more than one's share.

use std::time::Duration;

/// Touches memory until somebody minds: private pages as far as its own limit goes, then pages of files.
pub(crate) fn memory() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact(4 << 20).is_err() {
            eprintln!("no memory after {} MiB", held.len() * 4);
            break;
        }
        piece.resize(4 << 20, 1);
        held.push(piece);
    }
    // What lies in a memory file system counts for the group, but for no limit of the process.
    for n in 0.. {
        if std::fs::write(format!("/tmp/hog-{n}"), vec![1; 1 << 20]).is_err() {
            eprintln!("no room after {n} MiB more");
            break;
        }
    }
    crate::ends::hang();
}

/// Opens files until there is no descriptor left; then goes on with its work.
pub(crate) fn files() {
    let mut held = Vec::new();
    let error = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => held.push(file),
            Err(error) => break error,
        }
    };
    eprintln!("out of files after {}: {error}", held.len());
    std::mem::forget(held);
}

/// Starts threads until there are no more.
pub(crate) fn threads() {
    let mut count = 0_u32;
    let error = loop {
        match std::thread::Builder::new().stack_size(64 * 1024).spawn(crate::ends::hang) {
            Ok(_thread) => count += 1,
            Err(error) => break error,
        }
        if count >= 100_000 {
            eprintln!("nobody stopped it at {count} threads");
            return;
        }
    };
    eprintln!("out of threads after {count}: {error}");
}

/// Uses a whole processor beside its work.
pub(crate) fn processor() {
    for _ in 0..2 {
        let _never = std::thread::spawn(crate::ends::spin);
    }
    std::thread::sleep(Duration::from_millis(1));
    eprintln!("the processor is busy");
}

/// Reads what is not its own.
pub(crate) fn foreign_file() {
    for path in ["/etc/shadow", "/root/.profile", "/proc/1/environ"] {
        match std::fs::read(path) {
            Ok(_) => eprintln!("{path} could be read"),
            Err(error) => eprintln!("{path}: {:?}", error.kind()),
        }
    }
}
