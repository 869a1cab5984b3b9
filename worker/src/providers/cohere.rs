//! Cohere's chat, version 2.

use nvisy_shared::{
    domain::connection::model::{JsonMode, ModelSettings},
    secret::Secret,
};
use serde_json::{Value, json};

use super::{Completion, ModelFailure, ProviderRequest, Question, bearer, invalid, joined, messages, set, tokens};

pub(super) fn request(
    settings: &ModelSettings,
    key: Option<&Secret<String>>,
    question: &Question,
    mode: JsonMode,
) -> ProviderRequest {
    let mut body = json!({ "model": settings.model, "max_tokens": question.max_tokens, "stream": false });
    set(&mut body, "messages", Some(messages(question).into()));
    set(&mut body, "temperature", settings.temperature.map(Value::from));
    if let Some(schema) = question.schema.as_ref().filter(|_| mode != JsonMode::Prompt) {
        let mut format = json!({ "type": "json_object" });
        set(&mut format, "json_schema", (mode == JsonMode::Schema).then(|| schema.clone()));
        set(&mut body, "response_format", Some(format));
    }
    ProviderRequest { path: vec!["v2".to_owned(), "chat".to_owned()], headers: bearer(key), body }
}

pub(super) fn answer(body: &Value) -> Result<Completion, ModelFailure> {
    let content = body.pointer("/message/content").ok_or_else(|| invalid("message"))?;
    let reason = body.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    if reason.starts_with("ERROR") {
        return Err(ModelFailure::Unavailable(format!("the provider ended the answer: {reason}")));
    }
    let count = |name: &str| match tokens(body, &format!("/usage/tokens/{name}")) {
        0 => tokens(body, &format!("/usage/billed_units/{name}")),
        count => count,
    };
    Ok(Completion {
        text: content.as_str().map_or_else(|| joined(Some(content)), str::to_owned),
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        is_cut: reason == "MAX_TOKENS",
    })
}
