//! Members of archives and mails.

use std::{collections::BTreeMap, io::Write};

use nvisy_shared::domain::failure::FailureCode;
use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Fixture, failure, texts};
use crate::pipeline::{contract::Effect, element::Elements};

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A tape archive of these files, each with its name as content.
fn tar(names: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(name.len() as u64);
        tar.append_data(&mut header, name, name.as_bytes()).expect("written to memory");
    }
    tar.into_inner().expect("written to memory")
}

/// An archive with a damaged member between two good ones.
fn damaged_archive() -> Vec<u8> {
    let mut archive = zip(&[("one.txt", b"one"), ("two.txt", b"two and more"), ("three.txt", b"three")]);
    let name = archive.windows(7).position(|window| window == b"two.txt").expect("its header");
    archive[name + 7] ^= 0xFF;
    archive
}

#[tokio::test]
async fn unpack_stores_members_and_passes_other_files() {
    let fixture = Fixture::new().await;
    let docx = zip(&[("[Content_Types].xml", b"<Types/>")]);
    let archive = zip(&[("b/one.md", b"# One"), ("two.pdf", b"%PDF"), ("c.docx", &docx)]);
    let archive = fixture.file("a.zip", "application/zip", &archive).await;
    let note = fixture.file("note.txt", "text/plain", b"words").await;
    let office = fixture.file("plan.docx", "application/zip", &docx).await;
    let mail = fixture.file("m.eml", "message/rfc822", b"From: a@example.org\r\n\r\nHello").await;
    let files = [&archive, &note, &archive, &office, &mail].map(|file| file.content.clone());
    let output = fixture.run("unpack", json!({}), &archive, Elements::Bytes(files.to_vec())).await.unwrap();
    assert!(output.ports[0].is_empty());
    assert_eq!(texts(&output.ports[1]), ["note.txt", "plan.docx", "m.eml"]);
    let mut members = BTreeMap::new();
    for effect in output.effects {
        let Effect::Member { path, media_type, content } = effect else { panic!("{effect:?}") };
        assert_eq!(members.insert(path, (media_type, content)).map(|_| ()), None);
    }
    let paths: Vec<_> = members.iter().map(|(path, (media_type, _))| (path.as_str(), media_type.as_str())).collect();
    let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    assert_eq!(paths, [("b/one.md", "text/markdown"), ("c.docx", word), ("two.pdf", "application/pdf")]);
    assert_eq!(fixture.read(members["b/one.md"].1).await, "# One");
    assert_eq!(members["c.docx"].1.bytes, docx.len() as u64);
    fixture.close().await;
}

#[tokio::test]
async fn file_that_was_read_before_is_not_fetched_unless_it_is_a_mail() {
    let fixture = Fixture::new().await;
    let mut note = fixture.file("note.txt", "text/plain", b"words").await;
    note.found.is_read = true;
    let mail = b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\n\
                 Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nwords\r\n--x--\r\n";
    let mut mail = fixture.file("m.eml", "message/rfc822", mail).await;
    mail.found.is_read = true;
    for (file, is_fetched) in [(&note, false), (&mail, true)] {
        let input = Elements::Bytes(vec![file.content.clone()]);
        let output = fixture.run("unpack", json!({}), file, input).await.unwrap();
        let Elements::Bytes(others) = &output.ports[1] else { panic!("files") };
        assert_eq!((others.len(), others[0].staged.is_some()), (1, is_fetched));
        assert_eq!(output.effects.len(), usize::from(is_fetched), "{:?}", output.effects);
    }
    fixture.close().await;
}

#[tokio::test]
async fn office_document_that_is_cut_short_is_left_to_its_reader() {
    let fixture = Fixture::new().await;
    let docx = zip(&[("word/document.xml", b"<w:document/>"), ("[Content_Types].xml", b"<Types/>")]);
    let cut = fixture.file("plan.docx", "application/zip", &docx[..docx.len() - 30]).await;
    let output = fixture.run("unpack", json!({}), &cut, Elements::Bytes(vec![cut.content.clone()])).await.unwrap();
    assert_eq!(texts(&output.ports[1]), ["plan.docx"]);
    assert!(output.effects.is_empty(), "{:?}", output.effects);
    fixture.close().await;
}

#[tokio::test]
async fn bad_member_of_an_archive_fails_alone() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.zip", "application/zip", &damaged_archive()).await;
    let output = fixture.run("unpack", json!({}), &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    let effects = output.unwrap().effects;
    let [one, Effect::Incomplete { path: Some(path), failure }, three] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((path.as_str(), failure.code), ("two.txt", FailureCode::Corrupt));
    for (effect, name, text) in [(one, "one.txt", "one"), (three, "three.txt", "three")] {
        let Effect::Member { path, content, .. } = effect else { panic!("{effect:?}") };
        assert_eq!((path.as_str(), fixture.read(*content).await.as_str()), (name, text));
    }
    fixture.close().await;
}

#[tokio::test]
async fn archive_without_a_readable_member_fails_and_mail_does_not() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.zip", "application/zip", &damaged_archive()[..60]).await;
    let failed = fixture.run("unpack", json!({}), &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    assert_eq!(failure(failed).code, FailureCode::Corrupt);
    let mail = "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\n\
                Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLj";
    let mail = fixture.file("m.eml", "message/rfc822", mail.as_bytes()).await;
    let output = fixture.run("unpack", json!({}), &mail, Elements::Bytes(vec![mail.content.clone()])).await.unwrap();
    assert_eq!(texts(&output.ports[1]), ["m.eml"]);
    assert!(matches!(output.effects.as_slice(), [Effect::Incomplete { path: Some(path), .. }] if path == "a.pdf"));
    fixture.close().await;
}

#[tokio::test]
async fn archive_that_exceeds_a_limit_leaves_no_members() {
    let fixture = Fixture::new().await;
    let archive = fixture.file("a.tar", "application/x-tar", &tar(&["one.txt", "two.txt", "three.txt"])).await;
    let stored = fixture.deployment.stored_objects().await;
    let few = json!({ "maxMembers": 2 });
    let failed = fixture.run("unpack", few, &archive, Elements::Bytes(vec![archive.content.clone()])).await;
    assert_eq!(failure(failed).code, FailureCode::TooLarge);
    assert_eq!(fixture.deployment.stored_objects().await, stored);
    fixture.close().await;
}
