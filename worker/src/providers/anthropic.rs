//! Anthropic's messages.

use nvisy_shared::{domain::connection::model::ModelSettings, secret::Secret};
use serde_json::{Value, json};

use super::{Completion, ModelFailure, ProviderRequest, Question, invalid, joined, message, set, tokens};

/// The version of the protocol.
const VERSION: &str = "2023-06-01";

pub(super) fn request(settings: &ModelSettings, key: Option<&Secret<String>>, question: &Question) -> ProviderRequest {
    let mut messages = Vec::new();
    for (place, turn) in question.turns.iter().enumerate() {
        let text = json!({ "type": "text", "text": turn.text });
        let content = match question.image.as_ref().filter(|_| place == 0) {
            None => vec![text],
            Some(image) => {
                let image = json!({
                    "type": "image",
                    "source": { "type": "base64", "media_type": image.media_type, "data": image.base64 },
                });
                vec![image, text]
            }
        };
        messages.push(message(turn.role(), content));
    }
    let mut body = json!({
        "model": settings.model, "system": question.system, "max_tokens": question.max_tokens,
    });
    set(&mut body, "messages", Some(messages.into()));
    set(&mut body, "temperature", settings.temperature.map(Value::from));
    let mut headers = vec![("anthropic-version", VERSION.to_owned())];
    headers.extend(key.map(|key| ("x-api-key", key.expose().clone())));
    ProviderRequest { path: vec!["v1".to_owned(), "messages".to_owned()], headers, body }
}

pub(super) fn answer(body: &Value) -> Result<Completion, ModelFailure> {
    let content = body.get("content").ok_or_else(|| invalid("content"))?;
    let reason = body.get("stop_reason").and_then(Value::as_str).unwrap_or_default();
    if reason == "refusal" {
        return Err(ModelFailure::Refused("the model refused to answer".to_owned()));
    }
    let cached = tokens(body, "/usage/cache_read_input_tokens") + tokens(body, "/usage/cache_creation_input_tokens");
    Ok(Completion {
        text: joined(Some(content)),
        input_tokens: tokens(body, "/usage/input_tokens") + cached,
        output_tokens: tokens(body, "/usage/output_tokens"),
        is_cut: reason == "max_tokens",
    })
}
