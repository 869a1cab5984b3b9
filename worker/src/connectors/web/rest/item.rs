//! Items as objects: their id, name, content and revision.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use nvisy_shared::domain::{
    connection::web::RestStream,
    failure::{Failure, FailureCode},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::service::locator;
use crate::connectors::ListedObject;

fn rejected(reason: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SourceRejected, reason)
}

/// The id of an item, if it has one that identifies it.
pub(super) fn id(stream: &RestStream, item: &Value) -> Result<String, Failure> {
    match item.pointer(&stream.id) {
        Some(Value::String(id)) if !id.trim().is_empty() && !id.contains(char::is_control) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        _ => Err(rejected(format!("the item has no text or number at `{}`", stream.id))),
    }
}

/// What identifies an item within the connection.
pub(super) fn external_id(stream: &RestStream, id: &str) -> String {
    format!("{}/{id}", stream.path.trim_matches('/'))
}

/// An item of a list as an object.
pub(super) fn listed(stream: &RestStream, item: &Value) -> Result<ListedObject, Failure> {
    let id = id(stream, item)?;
    let name = stream.name.as_ref().and_then(|pointer| item.pointer(pointer)).and_then(as_name);
    let name = name.unwrap_or_else(|| id.clone());
    let cursor = stream.cursor.as_ref().and_then(|cursor| item.pointer(&cursor.field));
    let modified = cursor.and_then(Value::as_str).and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let modified = modified.map(|time| time.with_timezone(&Utc));
    let mut metadata = Map::new();
    if let Some(modified) = modified {
        metadata.insert("sourceModifiedAt".to_owned(), modified.to_rfc3339().into());
    }
    // A list of summaries has what tells that an item changed, and another form of the same item is another content.
    let form = format!("{:?} {:?} {:?}", stream.detail, stream.content, stream.media_type);
    let (content, media_type) = match stream.detail {
        Some(_) => (None, media_type(stream)),
        None => {
            let (content, media_type) = content(stream, item)?;
            (Some(content), media_type)
        }
    };
    let listed = content.clone().unwrap_or_else(|| Bytes::from(item.to_string()));
    let hash = Sha256::new().chain_update(&form).chain_update(&name).chain_update(&listed).finalize();
    Ok(ListedObject {
        external_id: external_id(stream, &id),
        name: format!("{}.{}", name.replace(['/', '\\'], "_"), extension(&media_type)),
        revision: hex::encode(&hash[..16]),
        bytes: content.as_ref().map(|content| content.len() as u64),
        modified,
        media_type: Some(media_type),
        metadata,
        locator: Some(locator(stream, &id)),
        content,
        ..ListedObject::default()
    })
}

/// The content of an item and its media type.
pub(super) fn content(stream: &RestStream, item: &Value) -> Result<(Bytes, String), Failure> {
    let Some(pointer) = &stream.content else {
        return Ok((Bytes::from(item.to_string()), "application/json".to_owned()));
    };
    match item.pointer(pointer) {
        Some(Value::String(text)) => Ok((Bytes::from(text.clone()), media_type(stream))),
        Some(Value::Null) => Ok((Bytes::new(), media_type(stream))),
        Some(value) => Ok((Bytes::from(value.to_string()), media_type(stream))),
        None => Err(rejected(format!("the item has nothing at `{pointer}`"))),
    }
}

fn media_type(stream: &RestStream) -> String {
    match (&stream.content, &stream.media_type) {
        (None, _) => "application/json".to_owned(),
        (Some(_), Some(media_type)) => media_type.clone(),
        (Some(_), None) => "text/plain".to_owned(),
    }
}

fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => "json",
        "text/html" => "html",
        "text/markdown" => "md",
        _ => "txt",
    }
}

fn as_name(value: &Value) -> Option<String> {
    let name = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    (!name.is_empty()).then_some(name)
}

/// The path of one item: the id becomes one segment, also if it has `/` in it.
pub(super) fn detail_path(detail: &str, id: &str) -> Result<String, Failure> {
    if id == "." || id == ".." || id.contains(['/', '\\']) {
        return Err(Failure::new(FailureCode::InvalidName, "an id with `/`, `.` or `..` cannot be a part of a path"));
    }
    Ok(detail.replace("{id}", id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(settings: Value) -> RestStream {
        serde_json::from_value(settings).unwrap()
    }

    #[test]
    fn item_is_a_document_of_its_text_or_of_its_json() {
        let item =
            json!({ "id": 7, "title": "Tide/ebb", "body": { "html": "<p>Low</p>" }, "at": "2026-01-02T03:04:05Z" });
        let plain = listed(&stream(json!({ "path": "/articles" })), &item).unwrap();
        assert_eq!((plain.external_id.as_str(), plain.name.as_str()), ("articles/7", "7.json"));
        assert_eq!(serde_json::from_slice::<Value>(&plain.content.unwrap()).unwrap(), item);
        let settings = json!({
            "path": "articles", "name": "/title", "content": "/body/html", "mediaType": "text/html", "cursor": { "field": "/at" },
        });
        let text = listed(&stream(settings), &item).unwrap();
        assert_eq!((text.name.as_str(), text.content.unwrap().as_ref()), ("Tide_ebb.html", b"<p>Low</p>".as_slice()));
        assert_eq!(text.modified.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert_ne!(plain.revision, text.revision);
    }

    #[test]
    fn items_without_an_id_or_content_fail_alone() {
        let reading = stream(json!({ "content": "/body" }));
        for item in [json!({}), json!({ "id": null }), json!({ "id": " " }), json!(7), json!({ "id": 1 })] {
            assert_eq!(listed(&reading, &item).unwrap_err().code, FailureCode::SourceRejected, "{item}");
        }
        assert!(detail_path("a/{id}", "../b").is_err() && detail_path("a/{id}", "..").is_err());
        assert_eq!(detail_path("a/{id}/b", "7").unwrap(), "a/7/b");
    }

    #[test]
    fn revision_changes_with_the_content() {
        let reading = stream(json!({ "detail": "a/{id}" }));
        let revision = |version: i32| listed(&reading, &json!({ "id": 1, "v": version })).unwrap().revision;
        assert!(revision(1) == revision(1) && revision(1) != revision(2));
    }
}
