//! Model: descriptions of the tables of documents.

use std::sync::Arc;

use nvisy_extract::{Document, ElementKind};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::node::{NodeSpec, ResultKind, enrich_table::EnrichTable},
};
use serde_json::{Map, Value, json};

use super::{
    chunking::documents,
    prompt::Prompt,
    prompting::{Questions, Tokens, access, file_metadata, records},
    windows::windows,
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output},
        element::Elements,
        model::AskError,
    },
    runner::JobError,
};

/// Bytes of the shortest beginning of a table that is asked about.
const MIN_TABLE_BYTES: usize = 400;

impl Behaviour for EnrichTable {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let mut elements = documents("enrich.table", input)?;
        let prompt = Prompt::new(Self::TYPE, self.model.prompt.as_deref(), &[]);
        let questions = Questions::new(schema());
        let mut tokens = Tokens::default();
        let (mut metadata, mut rows) = (Map::new(), Vec::new());
        for element in &mut elements {
            let tables = tables(call, (&prompt, &questions), &element.document, &mut tokens).await?;
            match self.result {
                ResultKind::Metadata => {
                    Arc::make_mut(&mut element.origin).metadata.insert(self.field.clone(), tables.clone());
                    metadata.insert(self.field.clone(), tables);
                }
                ResultKind::Records => rows.extend(records(&self.field, &element.origin, tables)),
            }
        }
        let (output, effects) = match self.result {
            ResultKind::Metadata if metadata.is_empty() => (Elements::Documents(elements), Vec::new()),
            ResultKind::Metadata => (Elements::Documents(elements), vec![file_metadata(metadata)?]),
            ResultKind::Records => (Elements::Records(rows), Vec::new()),
        };
        Ok(Output { ports: vec![output], effects, tokens: tokens.spent, tokens_saved: tokens.saved })
    }
}

fn schema() -> Value {
    let column = json!({
        "type": "object",
        "properties": { "name": { "type": "string" }, "description": { "type": "string" } },
        "required": ["name", "description"], "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": { "description": { "type": "string", "minLength": 1 }, "columns": { "type": "array", "items": column } },
        "required": ["description", "columns"], "additionalProperties": false,
    })
}

/// The description of each table, with its byte range and page.
async fn tables(
    call: &Call<'_>,
    asking: (&Prompt, &Questions),
    document: &Document,
    tokens: &mut Tokens,
) -> Result<Value, JobError> {
    let mut tables = Vec::new();
    for element in document.elements.iter().filter(|element| element.kind == ElementKind::Table) {
        let text = &document.text[element.start..element.end];
        let mut table = describe(call, asking, text, tokens).await?;
        table["start"] = element.start.into();
        table["end"] = element.end.into();
        if let Some(page) = element.page {
            table["page"] = page.into();
        }
        tables.push(table);
    }
    Ok(Value::Array(tables))
}

/// Asks about a table, or about its beginning if the model does not read all of it.
async fn describe(
    call: &Call<'_>,
    (prompt, questions): (&Prompt, &Questions),
    text: &str,
    tokens: &mut Tokens,
) -> Result<Value, JobError> {
    let settings = access(call)?.connection.client.settings();
    let mut bytes = ((settings.context_tokens - settings.max_output_tokens) as usize).max(MIN_TABLE_BYTES);
    loop {
        let beginning = windows(text, bytes).into_iter().next().unwrap_or(0..0);
        match questions.ask(call, prompt.with(&text[beginning]), None, tokens).await {
            Ok(answer) => return Ok(answer),
            Err(AskError::Job(error)) => return Err(error),
            Err(AskError::TooLong(_)) if bytes > MIN_TABLE_BYTES => bytes /= 2,
            Err(AskError::TooLong(reason)) => {
                let detail = format!("the model does not read a table of {bytes} bytes: {reason}");
                return Err(JobError::Fail(Failure::new(FailureCode::TooLarge, detail)));
            }
        }
    }
}
