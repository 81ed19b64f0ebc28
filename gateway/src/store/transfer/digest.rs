//! What a table holds, in one number, whatever order its rows come in.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::table::Cell;

/// The sum of the hashes of rows: the two stores keep them in different orders.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    rows: u64,
    lanes: [u64; 4],
    replaced: u64,
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.lanes) == (other.rows, other.lanes)
    }
}

impl Sum {
    /// Adds a row, and says how many of its texts have a NUL, which PostgreSQL cannot hold: they count as they would stand
    /// there.
    pub(super) fn add(&mut self, row: &[Cell]) -> u64 {
        let mut hash = Sha256::new();
        let mut replaced = 0;
        for cell in row {
            match cell {
                Cell::Null => hash.update([0]),
                Cell::Int(number) => {
                    hash.update([1]);
                    hash.update(number.to_le_bytes());
                }
                Cell::Bool(truth) => hash.update([2, u8::from(*truth)]),
                Cell::Text(text) => {
                    let shown = without_nul(text);
                    replaced += u64::from(shown.len() != text.len());
                    hash.update([3]);
                    hash.update((shown.len() as u64).to_le_bytes());
                    hash.update(shown.as_bytes());
                }
            }
        }
        let hash = hash.finalize();
        for (lane, bytes) in self.lanes.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_le_bytes(*bytes));
        }
        self.rows += 1;
        self.replaced += replaced;
        replaced
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }

    pub(super) fn hex(&self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.lanes.iter().flat_map(|lane| lane.to_le_bytes()) {
            // A text takes everything.
            let _never = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// As the store in PostgreSQL writes it.
pub(super) fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    super::super::postgres::without_nul(text)
}
