//! What one program of a process hands to the next: descriptors by number, and the state in a sealed memory file.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use serde::{Deserialize, Serialize};

/// The number of a descriptor that was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent(pub RawFd);

/// Duplicates that pass an exec. Dropping it takes them back; the originals never pass.
#[derive(Debug, Default)]
pub struct Baggage(Vec<OwnedFd>);

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::WRITE).union(SealFlags::GROW).union(SealFlags::SHRINK);

impl Baggage {
    /// Lends a descriptor.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn lend(&mut self, fd: &impl AsFd) -> io::Result<Lent> {
        // Without close-on-exec, as opposed to `try_clone`.
        let lent = rustix::io::dup(fd)?;
        let number = lent.as_raw_fd();
        self.0.push(lent);
        Ok(Lent(number))
    }

    /// The numbers of all of them.
    pub fn numbers(&self) -> Vec<RawFd> {
        self.0.iter().map(AsRawFd::as_raw_fd).collect()
    }
}

/// A memory file with this text that nobody can change any more. It holds secrets of the environment, as the supervisor
/// does: it has no name, and no unit gets it.
///
/// # Errors
/// What the system said.
pub fn sealed(text: &[u8]) -> io::Result<File> {
    let fd = memfd_create("creel-upgrade", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(text)?;
    file.rewind()?;
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// Reads such a file, and nothing that is not one.
///
/// # Errors
/// What the system said, or that it is no sealed memory file.
pub fn read_sealed(fd: OwnedFd) -> io::Result<Vec<u8>> {
    if !fcntl_get_seals(&fd).is_ok_and(|seals| seals.contains(SEALS)) {
        return Err(io::Error::other("it is no sealed memory file"));
    }
    let mut file = File::from(fd);
    file.rewind()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_read_again_and_nothing_else_can() {
        let file = sealed(b"state").unwrap();
        assert_eq!(read_sealed(file.try_clone().unwrap().into()).unwrap(), b"state");
        assert_eq!(read_sealed(file.try_clone().unwrap().into()).unwrap(), b"state");
        assert!((&file).write_all(b"x").is_err());
        assert!(read_sealed(tempfile::tempfile().unwrap().into()).is_err());
    }

    #[test]
    fn only_duplicates_are_lent() {
        let (one, _other) = io::pipe().unwrap();
        let mut baggage = Baggage::default();
        let Lent(number) = baggage.lend(&one).unwrap();
        assert_ne!(number, one.as_raw_fd());
        assert!(rustix::io::fcntl_getfd(&one).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(rustix::io::fcntl_getfd(&baggage.0[0]).unwrap().is_empty());
    }
}
