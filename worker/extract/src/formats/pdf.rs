//! Reads PDF page by page.

use std::ops::ControlFlow;

use unpdf::{Block, Error, ExtractionQuality, Page, PageStreamOptions, ParseEvent, PdfParser, Table};

use super::builder::DocumentBuilder;
use super::rows::TableRows;
use crate::{Document, ElementKind, ExtractLimits, FileError, FileErrorKind};

/// The part of the file in which readers search the end marker; a file without one is truncated.
const TAIL_BYTES: usize = 1024;

/// Reads a PDF's text with page numbers, headings, lists and tables.
pub(super) fn read(bytes: &[u8], limits: &ExtractLimits) -> Result<Document, FileError> {
    let parser = PdfParser::from_bytes(bytes).map_err(file_error)?;
    let pages = parser.page_count();
    if pages > limits.max_pages {
        return Err(FileError::new(FileErrorKind::TooLarge, "There are more pages than one file may have."));
    }

    let mut builder = DocumentBuilder::new(limits);
    builder.page_count(pages);
    let mut error = None;
    // The worker reads several files in parallel, each within its own CPU limit.
    let options = PageStreamOptions { parallel: false, ..PageStreamOptions::default() };
    let quality = parser
        .for_each_page(options, |event| {
            let outcome = match event {
                ParseEvent::DocumentStart { metadata, .. } => {
                    builder.title(metadata.title.as_deref().unwrap_or_default());
                    Ok(())
                }
                ParseEvent::PageParsed(page) => add_page(&mut builder, &page),
                _ => Ok(()),
            };
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(reason) => {
                    error = Some(reason);
                    ControlFlow::Break(())
                }
            }
        })
        .map_err(file_error)?;
    if let Some(error) = error {
        return Err(error);
    }
    if is_damaged(bytes, &quality) {
        return Err(FileError::new(FileErrorKind::Corrupt, "The PDF is cut short or damaged: pages are missing."));
    }
    builder.finish(match pages {
        0 => "The PDF has no pages.",
        _ => "The PDF has no text layer: its pages are pictures or blank.",
    })
}

/// Whether pages are missing. A repaired file is accepted only if no loss is detected: half a document indexed as a whole one would be
/// worse than an error.
fn is_damaged(bytes: &[u8], quality: &ExtractionQuality) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let cut_short = !tail.windows(5).any(|window| window == b"%%EOF");
    quality.pages_incomplete || (quality.xref_reconstructed && cut_short)
}

fn add_page(builder: &mut DocumentBuilder, page: &Page) -> Result<(), FileError> {
    builder.page(page.number);
    for block in &page.elements {
        match block {
            Block::Paragraph(paragraph) => {
                let kind = match paragraph.heading_level() {
                    Some(level) => ElementKind::Heading { level: level.clamp(1, 6) },
                    None if paragraph.is_list_item() => ElementKind::ListItem,
                    None => ElementKind::Paragraph,
                };
                builder.push(kind, &paragraph.plain_text())?;
            }
            Block::Table(table) => builder.push(ElementKind::Table, &rows(table).text())?,
            Block::Code { content } => builder.push(ElementKind::Code, content)?,
            Block::Raw { content } => builder.push(ElementKind::Paragraph, content)?,
            Block::Image { .. } | Block::HorizontalRule | Block::PageBreak | Block::SectionBreak => {}
        }
    }
    Ok(())
}

fn rows(table: &Table) -> TableRows {
    let mut rows = TableRows::default();
    for row in &table.rows {
        rows.row();
        for cell in &row.cells {
            rows.cell(&cell.plain_text());
        }
    }
    rows
}

fn file_error(error: Error) -> FileError {
    match error {
        Error::Encrypted | Error::InvalidPassword => {
            FileError::new(FileErrorKind::Encrypted, "The PDF is protected by a password.")
        }
        _ => FileError::new(FileErrorKind::Corrupt, "The PDF's structure cannot be read."),
    }
}
