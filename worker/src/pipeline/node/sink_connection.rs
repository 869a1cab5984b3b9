//! Sink: rows for the system behind a connection, before the job is completed. Their ids depend on pipeline, node, file and ordinal
//! alone, so that a repetition writes over what is there.

use std::sync::Arc;

use async_trait::async_trait;
use nvisy_shared::{
    pipeline::{
        expression::{EvaluationError, Expected, Expression, Variables},
        node::sink_connection::SinkConnection,
    },
    store::external_target::{self, Source, TargetKey},
};
use serde_json::{Map, Value, json};

use super::{
    element_json::{ChunkJson, DocumentJson},
    evaluation::{evaluate, parse},
};
use crate::{
    connectors::{Place, Row, gate::Gate},
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, wrong_input},
        element::Elements,
        model::without_nul,
        writing,
    },
    runner::JobError,
};

/// Fields of a chunk or document that are written otherwise, or not at all.
const NOT_FIELDS: [&str; 2] = ["text", "elements"];

#[async_trait]
impl Behaviour for SinkConnection {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        // A branch that is not taken and a preview write nothing.
        if input.is_empty() || call.preview {
            return Ok(Output::default());
        }
        let access =
            call.target_access.ok_or_else(|| JobError::retry("a sink has no connection")("the plan gave it none"))?;
        let (connection, target) = (&access.connection.connection, &*access.connection.target);
        let place =
            Place { into: self.into.clone(), id_field: self.id_field.clone(), vector_field: self.vector_field.clone() };
        let place_json = serde_json::to_value(&place).map_err(JobError::retry("a place cannot be written as JSON"))?;
        let parts = [connection.id.0.as_bytes().as_slice(), place_json.to_string().as_bytes()].concat();
        let key = TargetKey {
            workspace_id: call.workspace,
            pipeline_id: call.pipeline,
            node: call.node.to_owned(),
            file_id: call.file.id,
            destination: external_target::destination(&[&parts]),
        };
        let elements = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let rows = rows(self, call, &key, input).await?;

        let gate = Gate::of(call.cx, connection);
        gate.check_circuit().await?;
        gate.begin(access.claim).await?;
        let source = Source { version: access.version, run: call.run };
        let outside = external_target::Place::Connection(connection.id, &place_json);
        let written = writing::begin(call.cx, access.claim, &key, outside, source, elements).await?;
        let Some(written) = written else { return Ok(Output::default()) };

        let needs_vectors = target.needs_vectors();
        let has_vectors = rows.iter().any(|row| row.vector.is_some());
        // Passages that the embedding provider rejects have no vector; the others are not lost with them.
        let (rows, left_out): (Vec<Row>, Vec<Row>) =
            rows.into_iter().partition(|row| !needs_vectors || !has_vectors || row.vector.is_some());
        if let Some(first) = rows.first()
            && let Err(failure) = target.prepare(&place, first).await
        {
            return Err(gate.failed(failure).await?);
        }
        writing::write(&gate, target, &place, &rows, self.batch_size as usize).await?;
        let obsolete = (elements..written).map(|ordinal| writing::row_id(&key, ordinal));
        let obsolete: Vec<_> = left_out.iter().map(|row| row.id).chain(obsolete).collect();
        writing::delete(&gate, target, &place, &obsolete).await?;

        let mut effects = vec![Effect::Written { elements, destination: key.destination }];
        if !left_out.is_empty() {
            let message = format!("{} of {elements} elements have no vector and were not written", left_out.len());
            effects.push(Effect::Warning { message });
        }
        Ok(Output::effects(effects))
    }
}

/// The rows of all elements, in order.
async fn rows(
    settings: &SinkConnection,
    call: &Call<'_>,
    key: &TargetKey,
    input: Elements,
) -> Result<Vec<Row>, JobError> {
    let (input, values) = if settings.fields.is_empty() {
        let values = (0..input.len()).map(|place| own_fields(call, &input, place)).collect::<Result<Vec<_>, _>>()?;
        (input, values)
    } else {
        let expressions = settings
            .fields
            .iter()
            .map(|(name, source)| Ok((name.clone(), parse(source, Expected::Any)?)))
            .collect::<Result<Vec<(String, Arc<Expression>)>, JobError>>()?;
        evaluate(call, input, move |variables| fields(&expressions, variables)).await?
    };
    let default_space = call.cx.spaces.default().id;
    let rows = values.into_iter().zip(0_u32..).map(|(mut fields, ordinal)| {
        let place = ordinal as usize;
        if let (Some(field), Some(text)) = (&settings.text_field, text(&input, place)) {
            fields.insert(field.clone(), text.into());
        }
        // The node's own id and vector are not those of a record.
        fields.remove(&settings.id_field);
        settings.vector_field.as_ref().map(|field| fields.remove(field));
        let vector = match &input {
            Elements::Vectors(elements) => {
                let vectors = &elements[place].vectors;
                vectors.get(&default_space).or_else(|| vectors.values().next()).cloned()
            }
            _ => None,
        };
        let fields = fields.into_iter().map(|(name, value)| (name, without_nul(value))).collect();
        Row { id: writing::row_id(key, ordinal), vector, fields }
    });
    Ok(rows.collect())
}

fn fields(
    expressions: &[(String, Arc<Expression>)],
    variables: &Variables,
) -> Result<Map<String, Value>, EvaluationError> {
    expressions.iter().map(|(name, expression)| Ok((name.clone(), expression.evaluate(variables)?))).collect()
}

/// The fields that an element has without expressions: those of its flow, and the file.
fn own_fields(call: &Call<'_>, input: &Elements, place: usize) -> Result<Map<String, Value>, JobError> {
    let written = match input {
        Elements::Documents(documents) => serde_json::to_value(DocumentJson::from(&documents[place])),
        Elements::Chunks(chunks) => serde_json::to_value(ChunkJson::from(&chunks[place])),
        Elements::Vectors(vectors) => serde_json::to_value(ChunkJson::from(&vectors[place].chunk)),
        Elements::Records(records) => {
            return Ok(records[place].row.as_object().cloned().unwrap_or_default());
        }
        Elements::Bytes(_) => return Err(wrong_input("sink.connection")),
    };
    let written = written.map_err(JobError::retry("an element cannot be written as JSON"))?;
    let mut fields = match written {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, _| !NOT_FIELDS.contains(&name.as_str()));
    fields.insert("fileId".to_owned(), json!(call.file.id));
    fields.insert("fileName".to_owned(), call.file.content.name.clone().into());
    Ok(fields)
}

fn text(input: &Elements, place: usize) -> Option<String> {
    match input {
        Elements::Documents(documents) => Some(documents[place].document.text.clone()),
        Elements::Chunks(chunks) => Some(chunks[place].text.clone()),
        Elements::Vectors(vectors) => Some(vectors[place].chunk.text.clone()),
        Elements::Records(_) | Elements::Bytes(_) => None,
    }
}
