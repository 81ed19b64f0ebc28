//! Every method's parameters and results: what is understood is written back and understood again.
#![no_main]

use creel_ipc::catalog::methods;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (pick, json) = input;
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(json) else { return };
    let methods = methods();
    let method = &methods[usize::from(pick) % methods.len()];
    for shape in std::iter::once(&method.params).chain(&method.result) {
        if let Ok(kept) = (shape.through)(value.clone()) {
            assert_eq!((shape.through)(kept.clone()).ok(), Some(kept));
        }
    }
});
