use std::io::{Seek, Write};

use ::tar::{Builder, EntryType, Header};
use ::zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};
use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::FileErrorKind;

const LIMITS: UnpackLimits = UnpackLimits { max_members: 100, max_depth: 1 };

/// The members of a file with their content, or why there are none.
#[derive(Debug, PartialEq)]
enum Unpacked {
    Members(Vec<(String, Vec<u8>)>),
    NotAnArchive,
    Failed(FileErrorKind),
}

fn unpack_within(name: &str, content: &[u8], limits: UnpackLimits, max_expanded_bytes: u64) -> Unpacked {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    let info = FileInfo { file_name: name.to_owned(), declared_type: None };
    let mut messages = Vec::new();
    let extract = ExtractLimits { max_expanded_bytes, ..ExtractLimits::default() };
    let mut send = |message| {
        messages.push(message);
        Ok(())
    };
    unpack(file, &info, &extract, limits, &mut send).unwrap();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    let mut is_open = false;
    for message in messages {
        match message {
            UnpackMessage::Member(path) => {
                assert!(!is_open);
                is_open = true;
                members.push((path, Vec::new()));
            }
            UnpackMessage::Bytes(bytes) => {
                assert!(is_open && bytes.len() <= MESSAGE_BYTES);
                members.last_mut().unwrap().1.extend(bytes);
            }
            UnpackMessage::MemberEnd => is_open = false,
            UnpackMessage::End => return Unpacked::Members(members),
            UnpackMessage::NotAnArchive => {
                assert!(members.is_empty());
                return Unpacked::NotAnArchive;
            }
            UnpackMessage::Failed(error) => return Unpacked::Failed(error.kind),
        }
    }
    panic!("the last message is missing");
}

fn unpacked(name: &str, content: &[u8]) -> Unpacked {
    unpack_within(name, content, LIMITS, 64 << 20)
}

fn members(found: &[(&str, &str)]) -> Unpacked {
    let owned = |(path, content): &(&str, &str)| ((*path).to_owned(), content.as_bytes().to_vec());
    Unpacked::Members(found.iter().map(owned).collect())
}

fn zip_with(parts: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        match name.strip_suffix('/') {
            Some(folder) => zip.add_directory(folder, options).unwrap(),
            None => zip.start_file(*name, options).unwrap(),
        }
        zip.write_all(content).ok();
    }
    zip.finish().unwrap().into_inner()
}

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(parts, SimpleFileOptions::default())
}

fn tar(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in parts {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn zip_gives_its_files_in_order() {
    let zip = zip(&[
        ("b.txt", b"two"),
        ("folder/", b""),
        ("folder/a.txt", b"one"),
        ("../../etc/passwd", b"out"),
        ("__MACOSX/b.txt", b"fork"),
        ("empty", b""),
    ]);
    let expected = members(&[("b.txt", "two"), ("folder/a.txt", "one"), ("etc/passwd", "out"), ("empty", "")]);
    assert_eq!(unpacked("a.zip", &zip), expected);
    assert_eq!(unpacked("no-extension", &zip), expected);
    assert_eq!(unpacked("a.zip", &self::zip(&[])), members(&[]));
}

#[test]
fn tar_gives_its_regular_files() {
    let mut tar = Builder::new(Vec::new());
    let mut add = |path: &str, kind: EntryType, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_entry_type(kind);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        // As a writer that checks no paths would.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, content).unwrap();
    };
    add("folder/", EntryType::Directory, b"");
    add("/folder/../a.txt", EntryType::Regular, b"one");
    add("link", EntryType::Symlink, b"");
    add("hard", EntryType::Link, b"");
    add("pipe", EntryType::Fifo, b"");
    add("a.txt", EntryType::Regular, b"two");
    add("folder/a.txt", EntryType::Regular, b"three");
    let tar = tar.into_inner().unwrap();
    let expected = members(&[("folder/a.txt", "one"), ("a.txt", "two"), ("folder/a (2).txt", "three")]);
    assert_eq!(unpacked("a.tar", &tar), expected);
    assert_eq!(unpacked("a.tar.gz", &gzip(&tar)), expected);
    assert_eq!(unpacked("a.tgz", &gzip(&tar)), expected);
}

#[test]
fn long_names_of_tar_are_read() {
    let path = format!("{}/end.txt", "folder".repeat(30));
    assert_eq!(unpacked("a.tar", &tar(&[(&path, b"x")])), members(&[(&path, "x")]));
}

#[test]
fn gzip_gives_its_content() {
    assert_eq!(unpacked("notes.txt.gz", &gzip(b"words")), members(&[("notes.txt", "words")]));
    let mut two = gzip(b"one, ");
    two.extend(gzip(b"two"));
    assert_eq!(unpacked("notes.gz", &two), members(&[("notes", "one, two")]));
}

#[test]
fn archives_within_archives_are_unpacked_to_the_depth() {
    let inner = zip(&[("deep.txt", b"deep")]);
    let middle = tar(&[("inner.zip", &inner), ("middle.txt", b"middle")]);
    let outer = zip(&[("m/middle.tar.gz", &gzip(&middle)), ("outer.txt", b"outer")]);
    let at = |max_depth| match unpack_within("o.zip", &outer, UnpackLimits { max_depth, ..LIMITS }, 64 << 20) {
        Unpacked::Members(members) => members.into_iter().map(|(path, _)| path).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(1), ["m/middle.tar.gz", "outer.txt"]);
    assert_eq!(at(2), ["m/middle.tar.gz/inner.zip", "m/middle.tar.gz/middle.txt", "outer.txt"]);
    assert_eq!(at(3), ["m/middle.tar.gz/inner.zip/deep.txt", "m/middle.tar.gz/middle.txt", "outer.txt"]);
}

/// Two small files and a folder, made with 7z.
const SEVEN_ZIP: &[u8] = include_bytes!("../../tests/data/two.7z");

#[test]
fn seven_zip_gives_its_files() {
    assert_eq!(unpacked("a.7z", SEVEN_ZIP), members(&[("folder/b.txt", "Second file.\n"), ("a.txt", "First file.\n")]));
    let outer = zip(&[("inner.7z", SEVEN_ZIP)]);
    let limits = UnpackLimits { max_depth: 2, ..LIMITS };
    let Unpacked::Members(found) = unpack_within("o.zip", &outer, limits, 64 << 20) else { panic!("an archive") };
    assert!(found.iter().any(|(path, _)| path == "inner.7z/folder/b.txt"), "{found:?}");
    assert_eq!(unpacked("a.7z", &SEVEN_ZIP[..SEVEN_ZIP.len() - 20]), Unpacked::Failed(FileErrorKind::Corrupt));
    let few = UnpackLimits { max_members: 1, ..LIMITS };
    assert_eq!(unpack_within("a.7z", SEVEN_ZIP, few, 64 << 20), Unpacked::Failed(FileErrorKind::TooLarge));
    assert_eq!(unpack_within("a.7z", SEVEN_ZIP, LIMITS, 10), Unpacked::Failed(FileErrorKind::TooLarge));
}

#[test]
fn office_documents_are_no_archives() {
    let docx = zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>")]);
    let odt = zip(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", b"<c/>")]);
    assert_eq!(unpacked("a.docx", &docx), Unpacked::NotAnArchive);
    assert_eq!(unpacked("a.odt", &odt), Unpacked::NotAnArchive);
    // Also at a depth where archives are unpacked.
    let outer = zip(&[("a.docx", &docx)]);
    let expected = Unpacked::Members(vec![("a.docx".to_owned(), docx)]);
    assert_eq!(unpack_within("a.zip", &outer, UnpackLimits { max_depth: 3, ..LIMITS }, 64 << 20), expected);
}

#[test]
fn attachments_of_a_mail_are_its_members() {
    let mail = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Plans\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nSee the plans.\r\n\
        --x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"../plan/a.pdf\"\r\n\r\nJVBERi0xLjcK\r\n\
        --x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.csv\r\n\r\n1,2\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@example.org\r\nSubject: Inner\r\n\r\nInner text.\r\n\
        --x--\r\n";
    let Unpacked::Members(found) = unpacked("a.eml", mail.as_bytes()) else { panic!("members") };
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, [".._plan_a.pdf", "Größe.csv", "attachment-3.eml"]);
    assert_eq!(found[0].1, b"%PDF-1.7\n");
    assert_eq!(found[1].1, b"1,2");
    assert!(found[2].1.starts_with(b"From: c@example.org"));
    assert_eq!(unpacked("a.eml", b"From: a@example.org\r\nSubject: None\r\n\r\nOnly text."), members(&[]));
}

#[test]
fn too_many_members_are_too_large() {
    let parts: Vec<_> = (0..4).map(|number| (["a", "b", "c", "d"][number], b"x".as_slice())).collect();
    let limits = UnpackLimits { max_members: 3, max_depth: 2 };
    let too_large = Unpacked::Failed(FileErrorKind::TooLarge);
    for content in [zip(&parts), tar(&parts), gzip(&tar(&parts))] {
        assert_eq!(unpack_within("a", &content, limits, 64 << 20), too_large);
    }
    // Members of archives within count, too.
    let outer = zip(&[("1.zip", &zip(&parts[..2])), ("2.zip", &zip(&parts[2..]))]);
    assert_eq!(unpack_within("a.zip", &outer, limits, 64 << 20), too_large);
}

#[test]
fn expanded_bytes_are_bounded() {
    let zeros = vec![0; 40 << 20];
    let too_large = Unpacked::Failed(FileErrorKind::TooLarge);
    let bomb = zip(&[("a", &zeros)]);
    // By the ratio of one member.
    assert_eq!(unpacked("a.zip", &bomb), too_large);
    let limits = UnpackLimits { max_depth: 5, ..LIMITS };
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [
        ("a.gz", gzip(&zeros)),
        ("a.tgz", gzip(&tar(&[("a", &zeros)]))),
        ("nested.zip", zip(&[("a.zip", &zip_with(&[("a", &zeros)], stored))])),
        ("nested.gz", gzip(&gzip(&gzip(&zeros)))),
        ("many.zip", zip(&[("a", &zeros[..12 << 20]), ("b", &zeros[..12 << 20]), ("c", &zeros[..12 << 20])])),
    ] {
        assert_eq!(unpack_within(name, &content, limits, 32 << 20), too_large, "{name}");
    }
}

#[test]
fn sizes_that_a_tar_declares_are_not_trusted() {
    let mut header = Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend([1; 512]);
    assert_eq!(unpacked("a.tar", &tar), Unpacked::Failed(FileErrorKind::Corrupt));
}

#[test]
fn protected_archives_are_encrypted() {
    // The flag of an encrypted member, in both of its headers.
    let mut zip = zip(&[("a.txt", b"secret")]);
    zip[6] |= 1;
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    zip[central + 8] |= 1;
    assert_eq!(unpacked("a.zip", &zip), Unpacked::Failed(FileErrorKind::Encrypted));
}

#[test]
fn damaged_archives_are_corrupt() {
    let corrupt = Unpacked::Failed(FileErrorKind::Corrupt);
    let content: Vec<u8> = (0..60_000_u32).map(|number| ((number * number) >> 7) as u8).collect();
    let zip = zip(&[("a.bin", &content), ("b.bin", &content)]);
    let tar = tar(&[("a.bin", &content), ("b.bin", &content)]);
    for (name, content) in [("a.zip", &zip), ("a.tar", &tar), ("a.tgz", &gzip(&tar)), ("a.gz", &gzip(&content))] {
        for cut in [content.len() / 3, content.len() / 2] {
            assert_eq!(unpacked(name, &content[..cut]), corrupt, "{name} cut at {cut}");
        }
    }
    // A member whose content is not what its checksum says.
    let mut changed = zip;
    changed[200] ^= 0xFF;
    assert_eq!(unpacked("a.zip", &changed), corrupt);
}

#[test]
fn archive_with_an_unknown_compression_is_unsupported() {
    let mut zip = zip(&[("a.txt", b"some words")]);
    // LZMA.
    zip[8] = 14;
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    zip[central + 10] = 14;
    assert_eq!(unpacked("a.zip", &zip), Unpacked::Failed(FileErrorKind::UnsupportedMedia));
}
