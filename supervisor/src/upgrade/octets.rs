//! Bytes in JSON: a string where they are text, which they nearly always are, else a list of numbers.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Octets<'a> {
    Text(Cow<'a, str>),
    Raw(Cow<'a, [u8]>),
}

/// Writes them.
pub fn serialize<'a, B, S>(bytes: &'a B, serializer: S) -> Result<S::Ok, S::Error>
where
    &'a B: IntoIterator<Item = &'a u8>,
    S: Serializer,
{
    let bytes: Vec<u8> = bytes.into_iter().copied().collect();
    match String::from_utf8(bytes) {
        Ok(text) => Octets::Text(text.into()),
        Err(error) => Octets::Raw(error.into_bytes().into()),
    }
    .serialize(serializer)
}

/// Reads them.
pub fn deserialize<'de, B: From<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<B, D::Error> {
    Ok(match Octets::deserialize(deserializer)? {
        Octets::Text(text) => text.into_owned().into_bytes(),
        Octets::Raw(bytes) => bytes.into_owned(),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::logs::line::Cutter;

    #[test]
    fn text_stays_text_and_anything_else_survives() {
        for (bytes, written) in [(&b"half \xc3\xa4"[..], json!("half ä")), (b"a\xff", json!([97, 255]))] {
            let mut cutter = Cutter::default();
            cutter.push(bytes, |_| {});
            let value = serde_json::to_value(&cutter).unwrap();
            assert_eq!(value["part"], written);
            let mut again: Cutter = serde_json::from_value(value).unwrap();
            let mut lines = Vec::new();
            again.push(b"!\n", |line| lines.push(line.to_owned()));
            assert_eq!(lines, [format!("{}!", String::from_utf8_lossy(bytes))]);
        }
    }
}
