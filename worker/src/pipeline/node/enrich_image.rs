//! Model: descriptions of images, as documents.

use std::{os::unix::fs::FileExt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use nvisy_extract::{Document, Element, ElementKind};
use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::node::{NodeSpec, enrich_image::EnrichImage},
};
use serde_json::{Map, Value, json};

use super::{
    chunking::compute,
    prompt::Prompt,
    prompting::{Questions, Tokens, file_metadata},
    storing::store_text,
};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, TextBlob, wrong_input},
        element::{DocumentElement, DocumentInfo, Elements, FileElement, Origin},
        model::AskError,
    },
    providers::Image,
    runner::JobError,
};

/// The largest image that is sent; providers take no larger ones.
const MAX_IMAGE_BYTES: u64 = 20 << 20;

impl Behaviour for EnrichImage {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let Elements::Bytes(files) = input else { return Err(wrong_input("enrich.image")) };
        let values = [("maxWords", self.max_words.to_string())];
        let prompt = Prompt::new(Self::TYPE, self.model.prompt.as_deref(), &values).with("");
        let questions = Questions::new(schema());
        let mut tokens = Tokens::default();
        let (mut documents, mut effects) = (Vec::new(), Vec::new());
        for file in files {
            let image = image(call, &file).await?;
            let media_type = image.media_type.clone();
            let answer = questions.ask(call, prompt.clone(), Some(image), &mut tokens).await;
            let answer = answer.map_err(|error| match error {
                AskError::Job(error) => error,
                AskError::TooLong(reason) => {
                    let detail = format!("the model does not read the image: {reason}");
                    JobError::Fail(Failure::new(FailureCode::TooLarge, detail))
                }
            })?;
            let text = answer["description"].as_str().unwrap_or_default().trim().to_owned();
            let mut origin = Origin::clone(&file.origin);
            origin.metadata.insert(self.field.clone(), text.as_str().into());
            if file.blob == call.file.content.blob {
                // The text of which chunks are ranges.
                let blob = TextBlob::New(store_text(call, text.clone()).await?);
                effects.push(Effect::Extraction { media_type, text: blob, page_count: None });
                effects.push(file_metadata(Map::from_iter([(self.field.clone(), text.as_str().into())]))?);
            }
            documents.push(document(text, origin));
        }
        let (spent, saved) = (tokens.spent, tokens.saved);
        Ok(Output { ports: vec![Elements::Documents(documents)], effects, tokens: spent, tokens_saved: saved })
    }
}

fn schema() -> Value {
    json!({
        "type": "object", "properties": { "description": { "type": "string", "minLength": 1 } },
        "required": ["description"], "additionalProperties": false,
    })
}

fn document(text: String, mut origin: Origin) -> DocumentElement {
    let element = Element::new(ElementKind::Paragraph, 0..text.len(), None);
    let characters = text.chars().count() as u64;
    origin.document = Some(DocumentInfo { characters, ..DocumentInfo::default() });
    let document = Document { elements: vec![element], text, ..Document::default() };
    DocumentElement { document: Arc::new(document), origin: Arc::new(origin), edits: Arc::default() }
}

/// The image in a file, in a format that models read.
async fn image(call: &Call<'_>, file: &FileElement) -> Result<Image, JobError> {
    let fail = |code, detail: String| JobError::Fail(Failure::new(code, detail));
    if file.bytes > MAX_IMAGE_BYTES {
        let detail = format!("the image is larger than {MAX_IMAGE_BYTES} bytes, which models do not read");
        return Err(fail(FailureCode::TooLarge, detail));
    }
    let staged = call.stage(file).await?;
    let bytes = usize::try_from(file.bytes).unwrap_or_default();
    let content = compute(move || {
        let mut content = vec![0; bytes];
        staged.read_exact_at(&mut content, 0).map(|()| content)
    });
    let content = content.await?.map_err(JobError::retry("the staged file cannot be read"))?;
    let media_type = media_type(&content).ok_or_else(|| {
        let detail = "models read images in PNG, JPEG, GIF and WebP".to_owned();
        fail(FailureCode::UnsupportedMedia, detail)
    })?;
    Ok(Image { media_type: media_type.to_owned(), base64: STANDARD.encode(content) })
}

/// The media type of an image, by its first bytes.
fn media_type(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
