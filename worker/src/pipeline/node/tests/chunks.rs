//! Documents into chunks, and chunks into vectors.

use nvisy_shared::{domain::failure::FailureCode, pipeline::port::Flow};
use serde_json::json;

use super::{Fixture, chunk, document, failure, texts};
use crate::pipeline::{contract::Effect, element::Elements, spaces::OpenSpace};

#[tokio::test]
async fn chunkers_fit_the_model_and_fail_without_text() {
    let fixture = Fixture::new().await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let words = "A sentence with several words. ".repeat(300);
    for kind in ["chunk.section", "chunk.characters", "chunk.page"] {
        let run = |text: &str| fixture.run(kind, json!({}), &file, Elements::Documents(vec![document(text)]));
        let output = run(&words).await.unwrap();
        let Elements::Chunks(chunks) = &output.ports[0] else { panic!("chunks") };
        let most = fixture.cx.spaces.default().embedder.max_tokens();
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.tokens as usize <= most), "{kind}");
        assert_eq!(failure(run(" \n").await).code, FailureCode::Empty, "{kind}");
        let none = fixture.run(kind, json!({}), &file, Elements::empty(Flow::Document)).await.unwrap();
        assert!(none.ports[0].is_empty());
    }
    fixture.close().await;
}

#[tokio::test]
async fn similarity_separates_subjects() {
    let fixture = Fixture::with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let text = "The cat sleeps on the warm sofa. The kitten plays with a ball of wool. \
        Interest rates were raised by the central bank. The bank expects lower inflation and interest rates next year.";
    let documents = Elements::Documents(vec![document(text)]);
    let output = fixture.run("chunk.similarity", json!({ "threshold": 0.3 }), &file, documents).await.unwrap();
    let chunks = texts(&output.ports[0]);
    assert_eq!(chunks.len(), 2, "{chunks:?}");
    assert!(chunks[0].ends_with("wool.") && chunks[1].starts_with("Interest"), "{chunks:?}");
    fixture.close().await;
}

#[tokio::test]
async fn embed_computes_a_vector_for_prefix_and_text() {
    let fixture = Fixture::with(&[("NVISY_EMBEDDING_PROVIDER", "local")]).await;
    let file = fixture.file("a.txt", "text/plain", b"words").await;
    let chunks = vec![chunk(0, "blades", None), chunk(1, "blades", Some("Turbines")), chunk(2, "blades", None)];
    let served = fixture.cx.spaces.default().clone();
    let space = served.id;
    let open = OpenSpace { served, connection: None };
    let output = fixture.run_for(&[open], "embed", json!({}), &file, Elements::Chunks(chunks.clone())).await.unwrap();
    let Elements::Vectors(vectors) = &output.ports[0] else { panic!("vectors") };
    assert_eq!(vectors.iter().map(|element| element.chunk.clone()).collect::<Vec<_>>(), chunks);
    let vector = |place: usize| vectors[place].vectors[&space].clone();
    assert_eq!(vector(0).len(), 384);
    assert_eq!(vector(0), vector(2));
    let whole = vec!["Turbines\n\nblades".to_owned()];
    let whole = fixture.cx.spaces.default().embedder.embed(nvisy_embed::InputType::Passage, whole).await.unwrap();
    assert_eq!(vector(1).as_ref(), whole[0].as_slice());

    let sink = json!({ "collection": "default" });
    let output = fixture.run("sink.collection", sink.clone(), &file, output.ports[0].clone()).await.unwrap();
    let [Effect::Collection { collection, rows }] = output.effects.as_slice() else { panic!("{output:?}") };
    assert_eq!((collection.as_str(), rows.len()), ("default", 3));
    let output = fixture.run("sink.collection", sink.clone(), &file, Elements::Chunks(chunks.clone())).await.unwrap();
    let [Effect::Collection { rows, .. }] = output.effects.as_slice() else { panic!("{output:?}") };
    assert!(rows.iter().all(|row| row.vectors.is_empty()));
    let output = fixture.run("sink.collection", sink, &file, Elements::empty(Flow::Vectors)).await.unwrap();
    assert!(output.effects.is_empty());
    fixture.close().await;
}
