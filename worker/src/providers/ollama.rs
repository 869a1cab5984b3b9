//! Ollama's own chat: unlike its compatible one, it takes the length of the context.

use nvisy_shared::{
    domain::connection::model::{JsonMode, ModelSettings},
    secret::Secret,
};
use serde_json::{Value, json};

use super::{Completion, ModelFailure, ProviderRequest, Question, bearer, invalid, message, set, tokens};

pub(super) fn request(
    settings: &ModelSettings,
    key: Option<&Secret<String>>,
    question: &Question,
    mode: JsonMode,
) -> ProviderRequest {
    let mut messages = vec![message("system", question.system.as_str())];
    for (place, turn) in question.turns.iter().enumerate() {
        let mut message = message(turn.role(), turn.text.as_str());
        let image = question.image.as_ref().filter(|_| place == 0);
        set(&mut message, "images", image.map(|image| json!([image.base64])));
        messages.push(message);
    }
    let mut options = json!({ "num_predict": question.max_tokens, "num_ctx": settings.context_tokens });
    set(&mut options, "temperature", settings.temperature.map(Value::from));
    let mut body = json!({ "model": settings.model, "stream": false, "options": options });
    set(&mut body, "messages", Some(messages.into()));
    if let Some(schema) = &question.schema {
        let format = match mode {
            JsonMode::Schema => Some(schema.clone()),
            JsonMode::Object => Some("json".into()),
            JsonMode::Prompt => None,
        };
        set(&mut body, "format", format);
    }
    ProviderRequest { path: vec!["api".to_owned(), "chat".to_owned()], headers: bearer(key), body }
}

pub(super) fn answer(body: &Value) -> Result<Completion, ModelFailure> {
    if let Some(message) = body.get("error").and_then(Value::as_str) {
        return Err(ModelFailure::Unavailable(message.to_owned()));
    }
    let text = body.pointer("/message/content").and_then(Value::as_str).ok_or_else(|| invalid("message"))?;
    Ok(Completion {
        text: text.to_owned(),
        input_tokens: tokens(body, "/prompt_eval_count"),
        output_tokens: tokens(body, "/eval_count"),
        is_cut: body.get("done_reason").and_then(Value::as_str) == Some("length"),
    })
}
