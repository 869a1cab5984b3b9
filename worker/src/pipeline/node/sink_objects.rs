//! The objects that a sink writes: one for each document and each content of a file, one for all chunks, vectors or records.

use std::{
    io::{BufWriter, Write},
    sync::Arc,
};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::{
        expression::Expected,
        node::sink_connection::{ObjectFormat, SinkConnection},
    },
};
use serde_json::{Map, Value, json};

use super::{
    chunking::compute,
    element_json::DocumentJson,
    evaluation::{evaluate, parse},
    markdown::markdown,
    sink_connection::Destination,
    sink_rows::rows,
};
use crate::{
    connectors::{DynObjectTarget, ObjectContent, ObjectPlace, Row, objects::key},
    pipeline::{
        contract::{Call, Effect, Output, TargetAccess},
        element::{DocumentElement, Elements, FileElement},
        writing::{self, Object},
    },
    runner::JobError,
};

/// Extension and media type of what is written.
type Kind = (&'static str, &'static str);
const TEXT: Kind = (".txt", "text/plain; charset=utf-8");
const MARKDOWN: Kind = (".md", "text/markdown; charset=utf-8");
const JSON: Kind = (".json", "application/json");
const JSON_LINES: Kind = (".jsonl", "application/x-ndjson");

/// Writes the objects of the input.
pub(super) async fn write(
    settings: &SinkConnection,
    call: &Call<'_>,
    access: TargetAccess<'_>,
    target: &DynObjectTarget,
    input: Elements,
) -> Result<Output, JobError> {
    let name = name(settings, call, &input).await?;
    let kind = kind(&input, settings.object.format);
    let extension = kind.map_or_else(|| key::extension(&call.file.content.name), |(extension, _)| extension);
    let place = key::place(&settings.into, &name, extension).map_err(JobError::Fail)?;
    let destination = Destination::new(call, access, &place)?;
    let objects = if is_one_object(&input) { 1 } else { u32::try_from(input.len()).unwrap_or(u32::MAX) };
    // Rows are made before anything is recorded: an element that cannot be written leaves what is there.
    let contents = match input {
        Elements::Bytes(files) => Contents::Files(files),
        Elements::Documents(documents) => Contents::Documents(documents),
        input => Contents::Rows(rows(settings, call, &destination.key, input).await?),
    };
    let Some(written) = destination.begin(call, access, objects).await? else { return Ok(Output::default()) };
    ObjectWriter { settings, call, destination: &destination, target, place: &place }.put_all(contents).await?;
    let Destination { key, gate, .. } = destination;
    let obsolete = (objects..written).map(|ordinal| writing::row_id(&key, ordinal));
    writing::delete_objects(&gate, target, &place, obsolete).await?;
    Ok(Output::effects(vec![Effect::Written { elements: objects, destination: key.destination }]))
}

/// What the elements of an input become.
enum Contents {
    Files(Vec<FileElement>),
    Documents(Vec<DocumentElement>),
    Rows(Vec<Row>),
}

const fn is_one_object(input: &Elements) -> bool {
    !matches!(input, Elements::Bytes(_) | Elements::Documents(_))
}

/// The name that the settings give the first element: the objects of a call have one name.
async fn name(settings: &SinkConnection, call: &Call<'_>, input: &Elements) -> Result<String, JobError> {
    let expression = parse(&settings.object.name, Expected::Any)?;
    let (_, names) = evaluate(call, input.first(), move |variables| expression.evaluate(variables)).await?;
    match names.into_iter().next() {
        Some(Value::String(name)) => Ok(name),
        _ => {
            let detail = "the expression `object.name` gave no text";
            Err(JobError::Fail(Failure::new(FailureCode::ExpressionFailed, detail)))
        }
    }
}

/// What the input becomes; `None`: bytes as they are.
const fn kind(input: &Elements, format: ObjectFormat) -> Option<Kind> {
    match (input, format) {
        (Elements::Bytes(_), _) => None,
        (_, ObjectFormat::Json) => Some(JSON),
        (Elements::Documents(_), ObjectFormat::Auto) => Some(TEXT),
        (Elements::Documents(_), ObjectFormat::Markdown) => Some(MARKDOWN),
        (_, ObjectFormat::Auto | ObjectFormat::Markdown) => Some(JSON_LINES),
    }
}

struct ObjectWriter<'a> {
    settings: &'a SinkConnection,
    call: &'a Call<'a>,
    destination: &'a Destination<'a>,
    target: &'a DynObjectTarget,
    place: &'a ObjectPlace,
}

impl ObjectWriter<'_> {
    async fn put_all(&self, contents: Contents) -> Result<(), JobError> {
        match contents {
            Contents::Files(files) => self.put_files(files).await,
            Contents::Documents(documents) => self.put_documents(documents).await,
            Contents::Rows(rows) => self.put_rows(rows).await,
        }
    }

    async fn put(&self, ordinal: usize, media_type: &str, content: ObjectContent) -> Result<(), JobError> {
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        let key = self.place.key(writing::row_id(&self.destination.key, ordinal));
        let object = Object { key, media_type: media_type.to_owned(), content };
        writing::put(&self.destination.gate, self.target, &object).await
    }

    async fn put_files(&self, files: Vec<FileElement>) -> Result<(), JobError> {
        for (ordinal, file) in files.into_iter().enumerate() {
            let staged = self.call.stage(&file).await?;
            self.put(ordinal, &file.media_type, ObjectContent::File(staged, file.bytes)).await?;
        }
        Ok(())
    }

    async fn put_documents(&self, documents: Vec<DocumentElement>) -> Result<(), JobError> {
        let format = self.settings.object.format;
        for (ordinal, document) in documents.into_iter().enumerate() {
            let (media_type, text) = compute(move || text(&document, format)).await?;
            self.put(ordinal, media_type, ObjectContent::Text(text?.into())).await?;
        }
        Ok(())
    }

    /// All rows in one object, by way of a local file: as text they would be in memory twice.
    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), JobError> {
        let settings = self.settings.clone();
        let (file, bytes) = compute(move || spool(&settings, rows)).await?.map_err(spooling)?;
        let (_, media_type) = if self.settings.object.format == ObjectFormat::Json { JSON } else { JSON_LINES };
        self.put(0, media_type, ObjectContent::File(Arc::new(file), bytes)).await
    }
}

fn spooling(error: std::io::Error) -> JobError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => JobError::storage_full("the temporary directory is full")(error),
        _ => JobError::retry("an object cannot be staged on disk")(error),
    }
}

/// A document in its format, and the media type.
fn text(element: &DocumentElement, format: ObjectFormat) -> (&'static str, Result<String, JobError>) {
    match format {
        ObjectFormat::Auto => (TEXT.1, Ok(element.document.text.clone())),
        ObjectFormat::Markdown => (MARKDOWN.1, Ok(markdown(&element.document))),
        ObjectFormat::Json => {
            let json = serde_json::to_string(&DocumentJson::from(element));
            (JSON.1, json.map_err(JobError::retry("a document cannot be written as JSON")))
        }
    }
}

/// Writes rows into a file without a name: lines, or an array.
fn spool(settings: &SinkConnection, rows: Vec<Row>) -> std::io::Result<(std::fs::File, u64)> {
    let is_array = settings.object.format == ObjectFormat::Json;
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for (place, row) in rows.into_iter().enumerate() {
        if is_array {
            file.write_all(if place == 0 { b"[" } else { b",\n" })?;
        }
        serde_json::to_writer(&mut file, &fields(settings, row))?;
        if !is_array {
            file.write_all(b"\n")?;
        }
    }
    if is_array {
        file.write_all(b"]\n")?;
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// A row with its id, and its vector if the settings name a field for it.
fn fields(settings: &SinkConnection, row: Row) -> Map<String, Value> {
    let mut fields = row.fields;
    fields.insert(settings.id_field.clone(), json!(row.id));
    if let (Some(field), Some(vector)) = (&settings.vector_field, &row.vector) {
        fields.insert(field.clone(), json!(&**vector));
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use nvisy_shared::pipeline::node::NodeSpec;
    use uuid::Uuid;

    use super::*;

    fn spooled(format: ObjectFormat, vector_field: Option<&str>) -> String {
        let mut settings =
            SinkConnection { vector_field: vector_field.map(str::to_owned), ..SinkConnection::example() };
        settings.object.format = format;
        let row = |text: &str| Row {
            id: Uuid::nil(),
            vector: Some([0.5, 1.0].into()),
            fields: Map::from_iter([("text".to_owned(), json!(text))]),
        };
        let (mut file, bytes) = spool(&settings, vec![row("a\nb"), row("c")]).unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, bytes);
        text
    }

    #[test]
    fn rows_are_lines_or_an_array_with_ids_and_wanted_vectors() {
        let lines = spooled(ObjectFormat::Auto, None);
        let id = "00000000-0000-0000-0000-000000000000";
        assert_eq!(lines, format!("{{\"id\":\"{id}\",\"text\":\"a\\nb\"}}\n{{\"id\":\"{id}\",\"text\":\"c\"}}\n"));
        let array: Value = serde_json::from_str(&spooled(ObjectFormat::Json, Some("vector"))).unwrap();
        assert_eq!(array[1], json!({ "id": id, "text": "c", "vector": [0.5, 1.0] }));
    }
}
