//! OpenAI's chat completions, and all servers that are compatible with them.

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
    // OpenAI's own models have renamed the parameter; compatible servers have not.
    let limit = if settings.base_url.is_none() { "max_completion_tokens" } else { "max_tokens" };
    let mut body = json!({ "model": settings.model });
    set(&mut body, "messages", Some(messages(question).into()));
    set(&mut body, limit, Some(question.max_tokens.into()));
    set(&mut body, "temperature", settings.temperature.map(Value::from));
    if let Some(schema) = &question.schema {
        let format = match mode {
            JsonMode::Schema => {
                Some(json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema } }))
            }
            JsonMode::Object => Some(json!({ "type": "json_object" })),
            JsonMode::Prompt => None,
        };
        set(&mut body, "response_format", format);
    }
    ProviderRequest { path: vec!["chat".to_owned(), "completions".to_owned()], headers: bearer(key), body }
}

pub(super) fn answer(body: &Value) -> Result<Completion, ModelFailure> {
    // Some servers report an error with status 200.
    if let Some(message) = body.pointer("/error/message").and_then(Value::as_str) {
        return Err(ModelFailure::Unavailable(message.to_owned()));
    }
    let choice = body.pointer("/choices/0").ok_or_else(|| invalid("choice"))?;
    if let Some(reason) = choice.get("message").and_then(|message| message.get("refusal")?.as_str()) {
        return Err(ModelFailure::Refused(reason.to_owned()));
    }
    let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    if reason == "content_filter" {
        return Err(ModelFailure::Refused("the provider's content filter stopped the answer".to_owned()));
    }
    let content = choice.pointer("/message/content");
    let text = content.and_then(Value::as_str).map_or_else(|| joined(content), str::to_owned);
    Ok(Completion {
        text,
        input_tokens: tokens(body, "/usage/prompt_tokens"),
        output_tokens: tokens(body, "/usage/completion_tokens"),
        is_cut: reason == "length",
    })
}
