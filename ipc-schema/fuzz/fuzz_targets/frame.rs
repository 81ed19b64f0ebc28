//! The framer: any bytes in any pieces give the same frames as the bytes in one piece.
#![no_main]

use creel_ipc::frame::Framer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, cuts) = input;
    let mut whole = Vec::new();
    Framer::new(64).push(&bytes, |frame| whole.push(frame));
    let (mut pieces, mut framer, mut rest) = (Vec::new(), Framer::new(64), bytes.as_slice());
    for cut in cuts {
        let (head, tail) = rest.split_at(usize::from(cut).min(rest.len()));
        framer.push(head, |frame| pieces.push(frame));
        rest = tail;
    }
    framer.push(rest, |frame| pieces.push(frame));
    assert_eq!(whole, pieces);
});
