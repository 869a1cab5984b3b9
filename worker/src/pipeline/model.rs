//! Asking the model of a connection: limits that all workers share, budgets, answers that are found again, and the repair of
//! answers that do not fit.

use std::borrow::Cow;

use nvisy_shared::{
    domain::{
        connection::model::ModelSettings,
        failure::{Failure, FailureCode},
    },
    id::{FileId, RunId},
    pipeline::{content_key::ContentKey, json_output},
    store::{self, TransactionTrait, job::Claim, model_usage::ModelCall},
    telemetry::metrics::metrics,
};
use serde_json::{Value, json};

use super::{
    budget::{self, Account},
    connections::ModelConnection,
    contract::Call,
    schemas::{self, Described},
};
use crate::{
    connectors::gate::{self, BLOCKED_DELAY, Gate},
    providers::{Completion, ModelFailure, Question, Turn},
    runner::JobError,
};

/// What a call of a node needs to ask a model.
#[derive(Clone, Copy, Debug)]
pub struct ModelAccess<'a> {
    /// The connection of the node.
    pub connection: &'a ModelConnection,
    /// The run, which pays.
    pub run: RunId,
    /// The file, with which the answers go.
    pub file: FileId,
    /// The job.
    pub claim: &'a Claim,
    /// Makes answers new, where nothing is to be reused.
    pub salt: Option<&'a str>,
}

/// An answer that fits its schema.
#[derive(Debug)]
pub struct Asked {
    /// The answer.
    pub value: Value,
    /// Tokens that were read and written for it.
    pub tokens: u64,
    /// Tokens of an answer that was found.
    pub tokens_saved: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The question or its answer is too long for the model: a part of it may not be.
    TooLong(String),
    /// Any other reason.
    Job(JobError),
}

impl<E: Into<JobError>> From<E> for AskError {
    fn from(error: E) -> Self {
        Self::Job(error.into())
    }
}

/// Asks a question whose answer is JSON of the question's schema. An answer is paid once: it is kept under a key of the question, in
/// the transaction that counts it, and a repeated attempt finds it.
///
/// # Errors
/// [`AskError::TooLong`]; waits, budgets and failures as of nodes.
pub async fn ask(call: &Call<'_>, access: ModelAccess<'_>, question: &Question) -> Result<Asked, AskError> {
    let schema = question.schema.as_ref().unwrap_or(&Value::Bool(true));
    let validator = schemas::validator(Described::ModelOutput, schema);
    let validator = validator.map_err(JobError::retry("the schema of a node cannot be used"))?;
    let key = key(access, question);
    if let Some(mut found) = store::model_usage::find_answer(&call.cx.db, call.workspace, &key.0).await? {
        let tokens_saved = found["tokens"].as_u64().unwrap_or_default();
        let value = found.get_mut("value").map(Value::take).unwrap_or_default();
        return Ok(Asked { value, tokens: 0, tokens_saved });
    }
    let mut question = Cow::Borrowed(question);
    let mut tokens = 0;
    let mut reasons = Vec::new();
    // Once, and once more to repair it.
    for _ in 0..2 {
        let answer = send(call, access, &question).await?;
        tokens += answer.input_tokens + answer.output_tokens;
        let value = parse(&answer.text);
        reasons = match &value {
            Some(value) => json_output::errors(&validator, value),
            None => vec!["the answer is not a JSON object".to_owned()],
        };
        let kept = value.filter(|_| reasons.is_empty()).map(without_nul);
        record(call, access, &answer, kept.as_ref().map(|value| (&key, value, tokens))).await?;
        match kept {
            Some(value) => return Ok(Asked { value, tokens, tokens_saved: 0 }),
            None if answer.is_cut => {
                return Err(AskError::TooLong("the answer has more tokens than `maxOutputTokens` allows".to_owned()));
            }
            None => question.to_mut().turns.extend([Turn::model(answer.text), Turn::user(repair(&reasons))]),
        }
    }
    let detail = format!("the model `{}` gave no valid answer, also when asked again", settings(access).model);
    // The reasons quote the answer, and with it the document.
    tracing::info!(connection.id = %access.connection.id, reasons = reasons.len(), "a model gave no valid answer");
    Err(JobError::Fail(Failure::new(FailureCode::InvalidModelOutput, detail)).into())
}

fn settings<'a>(access: ModelAccess<'a>) -> &'a ModelSettings {
    access.connection.client.settings()
}

/// The key of an answer: a hash of everything on which it depends.
fn key(access: ModelAccess<'_>, question: &Question) -> ContentKey {
    let question = question_text(question);
    let salt = access.salt.unwrap_or_default();
    ContentKey::of([b"answer".as_slice(), access.connection.identity.as_bytes(), salt.as_bytes(), question.as_bytes()])
}

/// Everything in a question on which its answer depends. Written from references: an image has megabytes.
fn question_text(question: &Question) -> String {
    let turns: Vec<_> = question.turns.iter().map(|turn| (turn.model, turn.text.as_str())).collect();
    let image = question.image.as_ref().map(|image| (image.media_type.as_str(), image.base64.as_str()));
    let parts = (&question.system, turns, image, &question.schema, question.max_tokens);
    serde_json::to_string(&parts).expect("texts, numbers and JSON can be written as JSON")
}

/// What the model is told about an answer that does not fit.
fn repair(reasons: &[String]) -> String {
    let reasons = reasons.iter().map(|reason| format!("- {reason}")).collect::<Vec<_>>().join("\n");
    format!("This answer does not fit the schema:\n{reasons}\nAnswer again, with the corrected JSON object only.")
}

/// Sends a question within all limits.
async fn send(call: &Call<'_>, access: ModelAccess<'_>, question: &Question) -> Result<Completion, AskError> {
    let connection = access.connection;
    let gate = Gate {
        cx: call.cx,
        workspace: call.workspace,
        connection: connection.id,
        name: &connection.name,
        limits: connection.limits,
    };
    gate.check_circuit().await?;
    let account = Account {
        workspace: call.workspace,
        run: access.run,
        connection: connection.id,
        name: &connection.name,
        monthly_budget: settings(access).monthly_budget,
    };
    budget::check(call.cx, account).await?;
    gate.begin(access.claim).await?;
    gate.take(1).await?;
    let failure = match access.connection.client.ask(question).await {
        Ok(answer) => {
            gate.succeeded().await?;
            return Ok(answer);
        }
        Err(failure) => failure,
    };
    metrics().provider_error("model", failure.name());
    let reason = gate.reason(&failure);
    Err(AskError::Job(match failure {
        ModelFailure::TooLong(reason) => return Err(AskError::TooLong(reason)),
        ModelFailure::Busy { retry_after, .. } => gate.block(gate::wait_of(retry_after), reason).await?,
        ModelFailure::Blocked(_) => gate.block(BLOCKED_DELAY, reason).await?,
        ModelFailure::Unavailable(_) => gate.unavailable("the model provider is not available", failure).await?,
        ModelFailure::Invalid(_) => JobError::retry("the model provider gives no valid response")(failure),
        ModelFailure::Rejected(_) | ModelFailure::Refused(_) => {
            JobError::Fail(Failure::new(FailureCode::ProviderRejected, failure.to_string()))
        }
    }))
}

/// Counts a call, and keeps the answer if it is one.
async fn record(
    call: &Call<'_>,
    access: ModelAccess<'_>,
    answer: &Completion,
    kept: Option<(&ContentKey, &Value, u64)>,
) -> Result<(), JobError> {
    let settings = settings(access);
    let tx = call.cx.db.begin().await?;
    let counted = ModelCall {
        connection: access.connection.id,
        model: &settings.model,
        run: access.run,
        input_tokens: i64::try_from(answer.input_tokens).unwrap_or(i64::MAX),
        output_tokens: i64::try_from(answer.output_tokens).unwrap_or(i64::MAX),
        cost: settings.cost(answer.input_tokens, answer.output_tokens),
    };
    store::model_usage::record(&tx, call.workspace, counted).await?;
    if let Some((key, value, tokens)) = kept {
        let kept = json!({ "value": value, "tokens": tokens });
        store::model_usage::insert_answer(&tx, call.workspace, access.file, &key.0, kept).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The JSON object of an answer, which many models surround with words or a code fence.
fn parse(text: &str) -> Option<Value> {
    let text = text.trim().trim_start_matches('\u{feff}');
    let whole = serde_json::from_str(text).ok();
    let object = || serde_json::from_str(&text[text.find('{')?..=text.rfind('}')?]).ok();
    whole.filter(Value::is_object).or_else(object).filter(Value::is_object)
}

/// The value without the character that PostgreSQL cannot store.
pub fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)));
            Value::Object(entries.collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Image;

    #[test]
    fn json_is_found_within_words_and_fences() {
        for text in
            ["{\"a\":1}", " \u{feff}{\"a\":1}\n", "```json\n{\"a\":1}\n```", "Here it is: {\"a\":1}. Anything else?"]
        {
            assert_eq!(parse(text), Some(json!({ "a": 1 })), "{text}");
        }
        for text in ["", "[1]", "no", "{\"a\":", "}{"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_of_a_question_is_that_of_the_answers_which_are_kept() {
        let question = Question {
            system: "Task".to_owned(),
            turns: vec![Turn::user("a \"b\""), Turn::model("{}")],
            image: Some(Image { media_type: "image/png".to_owned(), base64: "AA==".to_owned() }),
            schema: Some(json!({ "type": "object" })),
            max_tokens: 16,
        };
        let expected = r#"["Task",[[false,"a \"b\""],[true,"{}"]],["image/png","AA=="],{"type":"object"},16]"#;
        assert_eq!(question_text(&question), expected);
        let bare = Question { image: None, schema: None, turns: Vec::new(), ..question };
        assert_eq!(question_text(&bare), r#"["Task",[],null,null,16]"#);
    }

    #[test]
    fn nul_is_replaced_everywhere() {
        assert_eq!(
            without_nul(json!({ "a\0": ["b\0", { "c": "\0" }] })),
            json!({ "a\u{fffd}": ["b\u{fffd}", { "c": "\u{fffd}" }] })
        );
    }
}
