//! The loader a program names: where only the own program may be executed, its loader must be too.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const PT_INTERP: u32 = 3;

/// The `PT_INTERP` of a 64-bit little-endian ELF file; `None` for static programs and everything else.
pub(crate) fn loader(program: &Path) -> Option<PathBuf> {
    let file = File::open(program).ok()?;
    let header = bytes::<64>(&file, 0)?;
    if header.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64_at(&header, 32)?;
    let size = u64::from(u16_at(&header, 54)?);
    let count = u64::from(u16_at(&header, 56)?);
    for i in 0..count {
        let entry = bytes::<56>(&file, table.checked_add(i.checked_mul(size)?)?)?;
        if u32_at(&entry, 0)? == PT_INTERP {
            let length = usize::try_from(u64_at(&entry, 32)?).ok().filter(|l| (2..=4096).contains(l))?;
            let mut name = vec![0; length - 1];
            file.read_exact_at(&mut name, u64_at(&entry, 8)?).ok()?;
            return String::from_utf8(name).ok().map(PathBuf::from);
        }
    }
    None
}

fn bytes<const N: usize>(file: &File, offset: u64) -> Option<[u8; N]> {
    let mut buffer = [0; N];
    file.read_exact_at(&mut buffer, offset).ok()?;
    Some(buffer)
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(b.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(b.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_this_test_exists_and_a_text_has_none() {
        let found = loader(&std::env::current_exe().unwrap());
        if let Some(loader) = found {
            assert!(loader.exists());
        }
        assert_eq!(loader(Path::new("/etc/passwd")), None);
        assert_eq!(loader(Path::new("/nonexistent")), None);
    }
}
