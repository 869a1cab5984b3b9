//! Content keys: an output is addressed by what it was computed from, and how.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use super::node::Settings;

/// A SHA-256 over everything that an output depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey(pub [u8; 32]);

impl ContentKey {
    /// The key of some parts. Each part's length is hashed too, so that no two lists of parts look the same.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The key of a node's call: type, code version and settings of the node, the surroundings that its type reads (the model,
    /// the properties of the file), and the keys of its inputs.
    #[must_use]
    pub fn of_call(settings: &Settings, surroundings: &[&str], inputs: &[Self]) -> Self {
        let version = settings.code_version().to_le_bytes();
        // `serde_json` sorts the keys of objects, so that equal settings are equal texts.
        let json = settings.to_json().to_string();
        let mut parts: Vec<&[u8]> = vec![settings.kind().as_bytes(), &version, json.as_bytes()];
        parts.extend(surroundings.iter().map(|text| text.as_bytes()));
        parts.push(b"inputs");
        parts.extend(inputs.iter().map(|key| key.0.as_slice()));
        Self::of(parts)
    }

    /// The key of output `index` of a call with this key.
    #[must_use]
    pub fn output(self, index: usize) -> Self {
        Self::of([self.0.as_slice(), &(index as u64).to_le_bytes()])
    }
}

/// As hexadecimal digits.
impl Serialize for ContentKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let mut key = [0; 32];
        hex::decode_to_slice(&digits, &mut key).map_err(D::Error::custom)?;
        Ok(Self(key))
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn settings(json: &serde_json::Value) -> Settings {
        Settings::read("chunk.section", json.as_object().cloned().unwrap_or_else(Map::new)).unwrap().unwrap()
    }

    #[test]
    fn key_depends_on_settings_surroundings_and_inputs() {
        let input = [ContentKey::of([b"a".as_slice()])];
        let of = |settings: &Settings, model, inputs| ContentKey::of_call(settings, &[model], inputs);
        let (one, two) = (settings(&json!({ "maxTokens": 100 })), settings(&json!({ "maxTokens": 101 })));
        let key = of(&one, "m", &input);
        assert_eq!(key, of(&settings(&json!({ "maxTokens": 100, "overlapTokens": 0 })), "m", &input));
        assert_ne!(key, of(&two, "m", &input));
        assert_ne!(key, of(&one, "n", &input));
        assert_ne!(key, of(&one, "m", &[]));
        assert_ne!(key.output(0), key.output(1));
    }

    #[test]
    fn parts_are_distinguished() {
        assert_ne!(ContentKey::of([b"ab".as_slice(), b"c"]), ContentKey::of([b"a".as_slice(), b"bc"]));
    }
}
