//! Gemini's `generateContent`.

use nvisy_shared::{
    domain::connection::model::{JsonMode, ModelSettings},
    secret::Secret,
};
use serde_json::{Value, json};

use super::{Completion, ModelFailure, ProviderRequest, Question, invalid, joined, set, tokens};

pub(super) fn request(
    settings: &ModelSettings,
    key: Option<&Secret<String>>,
    question: &Question,
    mode: JsonMode,
) -> ProviderRequest {
    let mut contents = Vec::new();
    for (place, turn) in question.turns.iter().enumerate() {
        let mut parts = vec![json!({ "text": turn.text })];
        if let Some(image) = question.image.as_ref().filter(|_| place == 0) {
            parts.push(json!({ "inlineData": { "mimeType": image.media_type, "data": image.base64 } }));
        }
        let mut content = json!({ "role": if turn.model { "model" } else { "user" } });
        set(&mut content, "parts", Some(parts.into()));
        contents.push(content);
    }
    let mut generation = json!({ "maxOutputTokens": question.max_tokens });
    set(&mut generation, "temperature", settings.temperature.map(Value::from));
    if let Some(schema) = question.schema.as_ref().filter(|_| mode != JsonMode::Prompt) {
        set(&mut generation, "responseMimeType", Some("application/json".into()));
        set(&mut generation, "responseJsonSchema", (mode == JsonMode::Schema).then(|| schema.clone()));
    }
    let mut body = json!({
        "systemInstruction": { "parts": [{ "text": question.system }] },
        "generationConfig": generation,
    });
    set(&mut body, "contents", Some(contents.into()));
    // In a header: the provider also takes the key in the URL, where logs would have it.
    let headers = key.map(|key| ("x-goog-api-key", key.expose().clone())).into_iter().collect();
    let model = format!("{}:generateContent", settings.model.trim_start_matches("models/"));
    ProviderRequest { path: vec!["v1beta".to_owned(), "models".to_owned(), model], headers, body }
}

pub(super) fn answer(body: &Value) -> Result<Completion, ModelFailure> {
    if let Some(reason) = body.pointer("/promptFeedback/blockReason").and_then(Value::as_str) {
        return Err(ModelFailure::Refused(format!("the provider blocked the question: {reason}")));
    }
    let candidate = body.pointer("/candidates/0").ok_or_else(|| invalid("candidate"))?;
    let reason = candidate.get("finishReason").and_then(Value::as_str).unwrap_or_default();
    if ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"].contains(&reason) {
        return Err(ModelFailure::Refused(format!("the provider stopped the answer: {reason}")));
    }
    let thoughts = tokens(body, "/usageMetadata/thoughtsTokenCount");
    Ok(Completion {
        text: joined(candidate.pointer("/content/parts")),
        input_tokens: tokens(body, "/usageMetadata/promptTokenCount"),
        output_tokens: tokens(body, "/usageMetadata/candidatesTokenCount") + thoughts,
        is_cut: reason == "MAX_TOKENS",
    })
}
