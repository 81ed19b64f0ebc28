//! The envelope: what decodes also encodes, to the same message.
#![no_main]

use creel_ipc::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Ok(message) = Message::decode(line) {
        let encoded = message.encode();
        assert_eq!(Message::decode(&encoded[..encoded.len() - 1]), Ok(message));
    }
});
