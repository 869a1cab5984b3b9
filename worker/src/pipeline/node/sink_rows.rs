//! The rows that a sink writes for the elements of its input.

use std::sync::Arc;

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::{
        expression::{EvaluationError, Expected, Expression, Variables},
        node::sink_connection::SinkConnection,
    },
    store::external_target::TargetKey,
};
use serde_json::{Map, Value, json};

use super::{
    element_json::{ChunkJson, DocumentJson},
    evaluation::{evaluate, parse},
    sink_connection::Destination,
};
use crate::{
    connectors::{DynTarget, Place, Row},
    pipeline::{
        contract::{Call, Effect, Output, TargetAccess},
        element::Elements,
        model::without_nul,
        writing,
    },
    runner::JobError,
};

/// Fields of a chunk or document that are written otherwise, or not at all.
const NOT_FIELDS: [&str; 3] = ["text", "elements", "place"];

/// Writes a row for each element.
pub(super) async fn write(
    settings: &SinkConnection,
    call: &Call<'_>,
    access: TargetAccess<'_>,
    target: &DynTarget,
    input: Elements,
) -> Result<Output, JobError> {
    let place = Place {
        into: settings.into.clone(),
        id_field: settings.id_field.clone(),
        vector_field: settings.vector_field.clone(),
    };
    let destination = Destination::new(call, access, &place)?;
    let elements = u32::try_from(input.len()).unwrap_or(u32::MAX);
    let rows = rows(settings, call, &destination.key, input).await?;
    let Some(written) = destination.begin(call, access, elements).await? else { return Ok(Output::default()) };
    let Destination { key, gate, .. } = destination;

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
    writing::write(&gate, target, &place, &rows, settings.batch_size as usize).await?;
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

/// The rows of all elements, in order.
pub(super) async fn rows(
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
        Elements::Bytes(_) => {
            let detail = "contents of files cannot be rows: the pipeline needs `partition` before the sink";
            return Err(JobError::Fail(Failure::new(FailureCode::TargetMismatch, detail)));
        }
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
