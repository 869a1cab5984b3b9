//! Finding what a model says in the text that it read, to say where it stands.

use serde_json::{Map, Value};

use super::prompting::Part;

/// Adds `start` and `end`, the byte range in the document, to an object whose `name` stands in the part word for word.
pub(super) fn locate(part: &Part<'_>, object: &mut Map<String, Value>, name: &str) {
    let Some((start, end)) = object.get(name).and_then(Value::as_str).and_then(|text| find(part, text)) else { return };
    object.insert("start".to_owned(), start.into());
    object.insert("end".to_owned(), end.into());
}

/// The byte range in the document of a text that stands in the part: the first one that is no piece of a longer word, otherwise the
/// first one.
pub(super) fn find(part: &Part<'_>, text: &str) -> Option<(u64, u64)> {
    if text.is_empty() {
        return None;
    }
    let found = |start: usize| (part.start + start as u64, part.start + (start + text.len()) as u64);
    let whole = part.text.match_indices(text).find(|(start, _)| {
        let before = part.text[..*start].chars().next_back();
        let after = part.text[start + text.len()..].chars().next();
        ![before, after].iter().flatten().any(|letter| letter.is_alphanumeric())
    });
    whole.map(|(start, _)| start).or_else(|| part.text.find(text)).map(found)
}

/// The objects of the list `name` of all parts, each with its byte range, without those whose `keys` have been there before.
pub(super) fn objects(parts: &[Part<'_>], name: &str, located: &str, keys: &[&str]) -> Value {
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::new();
    for part in parts {
        for object in part.answer.get(name).and_then(Value::as_array).into_iter().flatten() {
            let Some(object) = object.as_object() else { continue };
            let key: Vec<_> = keys.iter().map(|key| object.get(*key).map(Value::to_string)).collect();
            if seen.insert(key) {
                let mut object = object.clone();
                locate(part, &mut object, located);
                all.push(Value::Object(object));
            }
        }
    }
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_words_come_first_and_ranges_are_of_the_document() {
        let part = Part { start: 100, text: "Annas Anna und Ann", answer: Value::Null };
        assert_eq!(find(&part, "Anna"), Some((106, 110)));
        assert_eq!(find(&part, "Ann"), Some((115, 118)));
        assert_eq!(find(&part, "nna"), Some((101, 104)));
        assert_eq!(find(&part, "Bert"), None);
        assert_eq!(find(&part, ""), None);
    }

    #[test]
    fn objects_of_several_parts_are_there_once() {
        let answer = json!({ "entities": [{ "text": "Öl", "type": "x" }, { "text": "Gas", "type": "x" }] });
        let parts =
            [Part { start: 0, text: "Das Öl.", answer: answer.clone() }, Part { start: 8, text: "Öl und Gas", answer }];
        let found = objects(&parts, "entities", "text", &["text", "type"]);
        assert_eq!(
            found,
            json!([
                { "text": "Öl", "type": "x", "start": 4, "end": 7 },
                { "text": "Gas", "type": "x" },
            ])
        );
    }
}
