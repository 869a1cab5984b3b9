//! Transform: bytes to documents, extracted in a child process.

use std::{collections::BTreeSet, os::unix::fs::FileExt, sync::Arc};

use nvisy_extract::{
    Document, Element, ElementKind, ExtractError, ExtractLimits, FileError, FileErrorKind, FileInfo, MediaType,
    OcrMode, OcrSettings, SNIFF_BYTES, Script, sniff,
};
use nvisy_shared::{
    config::ExtractConfig,
    domain::failure::{Failure, FailureCode},
    pipeline::node::partition::{Ocr, OcrLanguage, Partition, PartitionMode},
};
use sha2::{Digest, Sha256};

use super::storing::store_text;
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, TextBlob, wrong_input},
        element::{DocumentElement, DocumentInfo, Elements, FileElement, Origin, StagedFile},
    },
    runner::JobError,
};

impl Behaviour for Partition {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Bytes(files) = input else { return Err(wrong_input("partition")) };
        let mut documents = Vec::with_capacity(files.len());
        let mut effects = Vec::new();
        for file in files {
            let (document, media_type) = read(call, &file, self).await?;
            if file.blob == call.file.content.blob {
                let text = text_blob(call, &file, &document).await?;
                let media_type = media_type.as_str().to_owned();
                effects.push(Effect::Extraction { media_type, text, page_count: document.page_count });
                effects.extend(gaps(&document));
            }
            documents.push(element(document, &file.origin));
        }
        Ok(Output { ports: vec![Elements::Documents(documents)], effects, ..Output::default() })
    }
}

/// The parts of a document that its text lacks, for the log of the item.
fn gaps(document: &Document) -> impl Iterator<Item = Effect> {
    let reason = document.failure.as_ref().map(|failure| failure.detail.as_str());
    let others = document.warnings.iter().filter(move |warning| Some(warning.as_str()) != reason);
    let incomplete = document.failure.clone().map(failure);
    let incomplete = incomplete.map(|failure| Effect::Incomplete { path: None, failure });
    incomplete.into_iter().chain(others.map(|warning| Effect::Warning { message: warning.clone() }))
}

/// The document of a file, and the media type of its content, which may differ from the declared one.
async fn read(call: &Call<'_>, file: &FileElement, settings: &Partition) -> Result<(Document, MediaType), JobError> {
    let staged = call.stage(file).await?;
    let head = head(&staged)?;
    let media_type = sniff(&head, &file.name, Some(&file.media_type));
    let limits = ExtractLimits { partial: settings.partial, ..extract_limits(&call.cx.config.extract) };
    let ocr = ocr_settings(&call.cx.config.extract, settings);
    let read = nvisy_extract::run(&call.cx.extractor, &staged, &file_info(file), &limits, &ocr).await;
    let document = read.map_err(job_error)?;
    // The reader of the whole file knows more than its first bytes tell.
    let media_type = document.media_type.unwrap_or(media_type);
    let document = match settings.mode {
        PartitionMode::Auto => document,
        PartitionMode::Fast => without_structure(document),
    };
    Ok((document, media_type))
}

/// What the reader of a file is told about it.
pub(super) fn file_info(file: &FileElement) -> FileInfo {
    FileInfo { file_name: file.name.clone(), declared_type: Some(file.media_type.clone()) }
}

pub(super) fn extract_limits(config: &ExtractConfig) -> ExtractLimits {
    ExtractLimits {
        memory_bytes: config.memory_bytes,
        wall_seconds: config.seconds,
        max_pages: config.pages,
        max_text_bytes: config.text_bytes,
        max_expanded_bytes: config.expanded_bytes,
        partial: false,
    }
}

/// How text in pictures is recognised: not at all where the operator has not given the models.
fn ocr_settings(config: &ExtractConfig, settings: &Partition) -> OcrSettings {
    let mode = match settings.ocr {
        Ocr::Never => OcrMode::Never,
        Ocr::Auto => OcrMode::Auto,
        Ocr::Always => OcrMode::Always,
    };
    OcrSettings { mode, directory: Some(config.ocr_directory.clone()), scripts: scripts(&settings.languages) }
}

/// The scripts of languages, each once.
fn scripts(languages: &BTreeSet<OcrLanguage>) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for language in languages {
        let script = match language {
            OcrLanguage::Zh => Script::Chinese,
            OcrLanguage::Ja => Script::Japanese,
            _ => Script::Latin,
        };
        if !scripts.contains(&script) {
            scripts.push(script);
        }
    }
    scripts
}

pub(super) fn job_error(error: ExtractError) -> JobError {
    match error {
        ExtractError::File(error) => JobError::Fail(failure(error)),
        error @ ExtractError::Process(_) => JobError::retry("the extraction process cannot be started")(error),
    }
}

pub(super) fn failure(FileError { kind, detail }: FileError) -> Failure {
    let code = match kind {
        FileErrorKind::UnsupportedMedia => FailureCode::UnsupportedMedia,
        FileErrorKind::Encrypted => FailureCode::Encrypted,
        FileErrorKind::Corrupt => FailureCode::Corrupt,
        FileErrorKind::Empty => FailureCode::Empty,
        FileErrorKind::TooLarge => FailureCode::TooLarge,
        FileErrorKind::TimedOut => FailureCode::TimedOut,
        FileErrorKind::OutOfMemory => FailureCode::OutOfMemory,
    };
    Failure::new(code, detail)
}

/// The first bytes of a file. It was just written, so the blocking read is served from memory.
pub(super) fn head(file: &StagedFile) -> Result<Vec<u8>, JobError> {
    let mut head = vec![0; SNIFF_BYTES];
    let mut filled = 0;
    while filled < head.len() {
        let read = file.read_at(&mut head[filled..], filled as u64);
        match read.map_err(JobError::retry("the staged file cannot be read"))? {
            0 => break,
            read => filled += read,
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// The blob of the text of which chunks are ranges: that of the file if it has the same bytes.
async fn text_blob(call: &Call<'_>, file: &FileElement, document: &Document) -> Result<TextBlob, JobError> {
    if file.sha256 == hex::encode(Sha256::digest(document.text.as_bytes())) {
        return Ok(TextBlob::Stored(file.blob));
    }
    Ok(TextBlob::New(store_text(call, document.text.clone()).await?))
}

fn element(document: Document, origin: &Origin) -> DocumentElement {
    let info = DocumentInfo {
        characters: document.text.chars().count() as u64,
        page_count: document.page_count,
        title: document.title.clone(),
        properties: document.properties.clone(),
        warnings: document.warnings.clone(),
        partial: document.failure.is_some(),
        ..DocumentInfo::default()
    };
    let origin = Origin { metadata: origin.metadata.clone(), document: Some(info) };
    DocumentElement { document: Arc::new(document), origin: Arc::new(origin), edits: Arc::default() }
}

/// The document with its pages as the only structure: one element for the text of each page, and the breaks between them.
pub(super) fn without_structure(document: Document) -> Document {
    let mut elements: Vec<Element> = Vec::new();
    for element in document.elements {
        match elements.last_mut() {
            Some(last)
                if last.kind == ElementKind::Paragraph
                    && element.kind != ElementKind::PageBreak
                    && (element.page.is_none() || element.page == last.page) =>
            {
                last.end = element.end;
            }
            _ if element.kind == ElementKind::PageBreak => elements.push(element),
            _ => elements.push(Element::new(ElementKind::Paragraph, element.start..element.end, element.page)),
        }
    }
    Document { elements, ..document }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_of_one_script_allow_its_letters_once() {
        assert!(scripts(&BTreeSet::new()).is_empty());
        assert_eq!(scripts(&BTreeSet::from([OcrLanguage::De, OcrLanguage::Vi])), [Script::Latin]);
        let both = BTreeSet::from([OcrLanguage::Zh, OcrLanguage::Ja]);
        assert_eq!(scripts(&both), [Script::Japanese, Script::Chinese]);
    }

    #[test]
    fn gap_is_told_once() {
        let warnings = ["Damaged.", "Sheet 2 was not read."].map(str::to_owned).to_vec();
        let document = Document { warnings, ..Document::default() };
        assert!(gaps(&document).all(|effect| matches!(effect, Effect::Warning { .. })));
        assert_eq!(gaps(&document).count(), 2);
        let failure = Some(FileError { kind: FileErrorKind::Corrupt, detail: "Damaged.".to_owned() });
        let effects: Vec<_> = gaps(&Document { failure, ..document }).collect();
        let [Effect::Incomplete { path: None, .. }, Effect::Warning { message }] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!(message, "Sheet 2 was not read.");
    }

    #[test]
    fn document_without_structure_keeps_text_and_pages() {
        let element = |kind, start, end, page| Element::new(kind, start..end, page);
        let document = Document {
            text: "Title\n\none\n\n- two\n\nthree".to_owned(),
            elements: vec![
                element(ElementKind::Heading { level: 1 }, 0, 5, Some(1)),
                element(ElementKind::Paragraph, 7, 10, Some(1)),
                element(ElementKind::ListItem, 12, 17, Some(1)),
                element(ElementKind::PageBreak, 17, 19, Some(2)),
                element(ElementKind::Table, 19, 24, Some(2)),
            ],
            page_count: Some(2),
            title: Some("Title".to_owned()),
            ..Document::default()
        };
        let plain = without_structure(document.clone());
        assert_eq!((&plain.text, plain.page_count, &plain.title), (&document.text, Some(2), &document.title));
        assert_eq!(
            plain.elements,
            [
                element(ElementKind::Paragraph, 0, 17, Some(1)),
                element(ElementKind::PageBreak, 17, 19, Some(2)),
                element(ElementKind::Paragraph, 19, 24, Some(2)),
            ]
        );
    }
}
