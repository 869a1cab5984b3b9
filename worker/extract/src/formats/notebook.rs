//! Notebooks (Jupyter): cells of Markdown and code, and the texts that code printed.

use serde_json::Value;

use super::builder::DocumentBuilder;
use super::markdown;
use crate::{ElementKind, FileError, FileErrorKind, MediaType};

/// Whether a JSON text is a notebook: it has cells and says in which format.
pub(super) fn is_notebook(value: &Value) -> bool {
    value.get("nbformat").is_some()
        && value.get("cells").or_else(|| value.get("worksheets")).is_some_and(Value::is_array)
}

/// Reads a notebook.
pub(super) fn read(json: &str, builder: &mut DocumentBuilder) -> Result<(), FileError> {
    let value: Value = serde_json::from_str(json.trim_start_matches('\u{FEFF}'))
        .map_err(|_| FileError::new(FileErrorKind::Corrupt, "The notebook is cut short or damaged."))?;
    builder.media_type(MediaType::Notebook);
    builder.if_empty("The notebook has no text.");
    let metadata = &value["metadata"];
    builder.title(metadata["title"].as_str().unwrap_or_default());
    let language = metadata["language_info"]["name"].as_str().or_else(|| metadata["kernelspec"]["language"].as_str());
    builder.property("language", language.unwrap_or_default());
    let cells = value["cells"].as_array().or_else(|| value["worksheets"][0]["cells"].as_array());
    for cell in cells.into_iter().flatten() {
        let source = joined(cell.get("source").or_else(|| cell.get("input")));
        match cell["cell_type"].as_str().unwrap_or_default() {
            "markdown" => add_markdown(builder, source)?,
            "heading" => {
                let level = cell["level"].as_u64().unwrap_or(1).clamp(1, 6) as u8;
                builder.push(ElementKind::Heading { level }, &source)?;
            }
            "code" => {
                builder.push(ElementKind::Code, &source)?;
                for output in cell["outputs"].as_array().into_iter().flatten() {
                    let data = output.get("data").unwrap_or(output);
                    let text = output.get("text").or_else(|| data.get("text/plain"));
                    let text = match text {
                        Some(text) => joined(Some(text)),
                        None => joined(output.get("evalue")),
                    };
                    builder.push(ElementKind::Aside, &text)?;
                }
            }
            _ => builder.push(ElementKind::Paragraph, &source)?,
        }
    }
    Ok(())
}

/// A text, or its lines.
fn joined(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn add_markdown(builder: &mut DocumentBuilder, source: String) -> Result<(), FileError> {
    let cell = markdown::describe(source);
    if let Some(title) = &cell.title {
        builder.title(title);
    }
    for element in &cell.elements {
        let text = &cell.text[element.start..element.end];
        match (&element.label, element.kind) {
            (Some(words), kind) => builder.push(kind, words)?,
            (None, ElementKind::Table) => builder.table_at(text, None, &[])?,
            (None, kind) => builder.push(kind, text)?,
        }
    }
    Ok(())
}
