//! Gives memory back that a start needed and the days after it do not.

use std::fs;

/// Memory of this process from one address to another.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    from: usize,
    to: usize,
}

/// Returns what the allocator holds for nothing, and lets go of every page of program text and constants: those that are still
/// used come back from the page cache one by one, most of a command line's and a configuration reader's never do.
pub(crate) fn shed() {
    // SAFETY: takes no pointers; the allocator is locked inside.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return };
    for Range { from, to } in unwritten(&maps) {
        // SAFETY: a private mapping of a file without a single page of our own: not writable, and nothing was ever
        // written to it (as relocation does). Dropped pages are read from the file again when they are touched, so no
        // byte that anybody refers to changes.
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(from), to - from, libc::MADV_DONTNEED);
        }
    }
}

/// The private, read-only mappings of files that hold nothing but the file.
fn unwritten(smaps: &str) -> Vec<Range> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("Anonymous:", kib) => found.extend(candidate.take().filter(|_| kib == "0")),
            (name, _) if name.ends_with(':') => {}
            (range, rights) => {
                let file = words.nth(3).is_some_and(|path| path.starts_with('/'));
                candidate = ranged(range).filter(|_| file && matches!(rights, "r-xp" | "r--p"));
            }
        }
    }
    found
}

fn ranged(text: &str) -> Option<Range> {
    let (from, to) = text.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(Range { from: number(from)?, to: number(to)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_file_and_nothing_else_is_let_go() {
        let map = |line: &str, anonymous: u32| {
            format!("{line}\nSize: 4 kB\nAnonymous: {anonymous} kB\nVmFlags: rd\n")
        };
        let smaps = [
            map("1000-2000 r--p 00000000 fe:00 11 /bin/creel", 0),
            map("2000-3000 r-xp 00001000 fe:00 11 /bin/creel", 0),
            map("3000-4000 r--p 00002000 fe:00 11 /bin/creel", 284),
            map("4000-5000 rw-p 00003000 fe:00 11 /bin/creel", 0),
            map("5000-6000 rw-p 00000000 00:00 0 [heap]", 0),
            map("6000-7000 r-xp 00000000 00:00 0 [vdso]", 0),
            map("7000-8000 r--s 00000000 fe:00 12 /var/shared", 0),
            map("8000-9000 r--p 00000000 00:00 0", 0),
        ];
        let expected = [Range { from: 0x1000, to: 0x2000 }, Range { from: 0x2000, to: 0x3000 }];
        assert_eq!(unwritten(&smaps.concat()), expected);
    }

    #[test]
    fn a_process_goes_on_after_it() {
        let before: Vec<u64> = (0..100_000).collect();
        shed();
        assert_eq!(before.iter().sum::<u64>(), 4_999_950_000);
        assert!(fs::read_to_string("/proc/self/smaps").is_ok_and(|maps| !maps.is_empty()));
    }
}
