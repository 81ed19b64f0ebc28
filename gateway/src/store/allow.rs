//! Comparing what people type with what they were told.

use subtle::ConstantTimeEq;

/// Whether the two are equal; takes the same time for every guess of one length.
pub(super) fn same_code(told: &str, typed: &str) -> bool {
    told.as_bytes().ct_eq(typed.trim().to_ascii_uppercase().as_bytes()).into()
}
