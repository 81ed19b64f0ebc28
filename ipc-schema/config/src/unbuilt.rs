//! Keys that the file format has and this Creel does not obey yet. They are refused by name: a setting that is
//! read and ignored is a promise that nobody keeps.

use serde_json::{Value, json};

use crate::node::{Node, NodeKind};
use crate::shape::{Reading, Shape, Show};

/// The place of a key that is not built yet. Absent or `null` is all that it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unbuilt;

impl Shape for Unbuilt {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        if node.kind != NodeKind::Null {
            at.fault(node.mark, "this key is not built yet and would have no effect", "remove it");
        }
        Some(Self)
    }
    fn show(&self, _: Show) -> Value {
        Value::Null
    }
    fn schema() -> Value {
        json!({"type": "null"})
    }
}
