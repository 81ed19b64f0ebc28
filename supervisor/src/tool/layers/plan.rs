//! What becomes of one entry of a layer: a table, without any file.

use rustix::fs::FileType;

/// An entry of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Above {
    /// A folder: with what is below, or in its place.
    Folder {
        /// Whether it hides what is below.
        alone: bool,
    },
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// The mark that what is below was deleted.
    Gone,
    /// A FIFO, a socket or a device.
    Special(&'static str),
}

/// What the folder itself has under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take away what is below, with everything in it.
    Clear,
    /// Make a folder.
    Make,
    /// Go on inside.
    Enter,
    /// Put a copy of the file there, in the place of what is there.
    Write,
    /// Put a link of the same text there, in the place of what is there.
    Link,
    /// Leave it out and tell.
    Tell,
}

impl Above {
    /// What an entry is. `device`: its device number, when it is a device; `alone`: whether its attribute says so, for a folder.
    pub(super) fn of(kind: FileType, device: u64, alone: impl FnOnce() -> bool) -> Self {
        match kind {
            FileType::Directory => Self::Folder { alone: alone() },
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Link,
            FileType::CharacterDevice if device == 0 => Self::Gone,
            FileType::Fifo => Self::Special("the FIFO"),
            FileType::Socket => Self::Special("the socket"),
            _ => Self::Special("the device"),
        }
    }
}

/// What is to be done, in this order. Doing it a second time changes nothing.
pub(super) fn steps(above: Above, below: Below) -> &'static [Step] {
    use Step::{Clear, Enter, Link, Make, Tell, Write};
    match (above, below) {
        (Above::Gone, Below::Nothing) => &[],
        (Above::Gone, _) => &[Clear],
        (Above::Folder { alone: false }, Below::Folder) => &[Enter],
        (Above::Folder { .. }, Below::Nothing) => &[Make, Enter],
        (Above::Folder { .. }, _) => &[Clear, Make, Enter],
        (Above::File, Below::Folder) => &[Clear, Write],
        (Above::File, _) => &[Write],
        (Above::Link, Below::Folder) => &[Clear, Link],
        (Above::Link, _) => &[Link],
        (Above::Special(_), Below::Nothing) => &[Tell],
        (Above::Special(_), _) => &[Clear, Tell],
    }
}

/// How many more files and folders there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    most: u64,
    now: u64,
    /// Those that there was no room for.
    pub(super) over: u64,
}

impl Count {
    /// Beginning with so many.
    pub(super) fn new(most: Option<u64>, now: u64) -> Self {
        Self { most: most.unwrap_or(u64::MAX), now, over: 0 }
    }

    /// One fewer.
    pub(super) fn less(&mut self) {
        self.now = self.now.saturating_sub(1);
    }

    /// One more, if there is room.
    pub(super) fn more(&mut self) -> bool {
        let room = self.now < self.most;
        if room {
            self.now += 1;
        } else {
            self.over += 1;
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOVE: [Above; 6] = [
        Above::Folder { alone: false },
        Above::Folder { alone: true },
        Above::File,
        Above::Link,
        Above::Gone,
        Above::Special("the FIFO"),
    ];
    const BELOW: [Below; 3] = [Below::Nothing, Below::Folder, Below::Other];

    #[test]
    fn every_pair_has_its_line() {
        let line = |above, below| format!("{above:?} over {below:?}: {:?}", steps(above, below));
        let table: Vec<_> =
            ABOVE.into_iter().flat_map(|above| BELOW.map(|below| line(above, below))).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn nothing_is_written_into_what_is_of_another_kind() {
        for above in ABOVE {
            for below in BELOW {
                let steps = steps(above, below);
                let first = |step| steps.iter().position(|other| *other == step);
                if let Some(clear) = first(Step::Clear) {
                    assert_eq!(clear, 0, "{above:?} {below:?}");
                    assert_ne!(below, Below::Nothing);
                }
                if first(Step::Enter) == Some(0) {
                    assert_eq!((above, below), (Above::Folder { alone: false }, Below::Folder));
                }
                if below == Below::Folder && (first(Step::Write).is_some() || first(Step::Link).is_some()) {
                    assert_eq!(first(Step::Clear), Some(0), "{above:?}");
                }
            }
        }
    }

    #[test]
    fn a_count_never_grows_beyond_its_most() {
        let mut count = Count::new(Some(2), 1);
        assert!(count.more() && !count.more() && !count.more());
        assert_eq!(count.over, 2);
        count.less();
        assert!(count.more());
        // A folder that holds too much already may only shrink.
        let mut full = Count::new(Some(1), 5);
        full.less();
        assert!(!full.more());
        assert!(Count::new(None, u64::MAX - 1).more());
    }

    #[test]
    fn a_device_that_is_no_mark_is_no_deletion() {
        let of = |kind, device| Above::of(kind, device, || false);
        assert_eq!(of(FileType::CharacterDevice, 0), Above::Gone);
        assert_eq!(of(FileType::CharacterDevice, 259), Above::Special("the device"));
        assert_eq!(of(FileType::BlockDevice, 0), Above::Special("the device"));
    }
}
