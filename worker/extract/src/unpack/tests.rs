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
    /// Members, and the failures of others with their paths. An empty path is the rest of the file.
    Incomplete(Vec<(String, Vec<u8>)>, Vec<(String, FileErrorKind)>),
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
    let mut failures = Vec::new();
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
            UnpackMessage::MemberFailed(path, error) => {
                if std::mem::take(&mut is_open) {
                    assert_eq!(members.pop().unwrap().0, path);
                }
                failures.push((path, error.kind));
            }
            UnpackMessage::End | UnpackMessage::CutShort(_) => {
                assert!(!is_open);
                failures.extend(message.error().map(|error| (String::new(), error.kind)));
                return match failures.is_empty() {
                    true => Unpacked::Members(members),
                    false => Unpacked::Incomplete(members, failures),
                };
            }
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

fn owned(found: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    found.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())).collect()
}

fn members(found: &[(&str, &str)]) -> Unpacked {
    Unpacked::Members(owned(found))
}

fn incomplete(found: &[(&str, &str)], failed: &[(&str, FileErrorKind)]) -> Unpacked {
    let failed = failed.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
    Unpacked::Incomplete(owned(found), failed)
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
    let cut = &SEVEN_ZIP[..SEVEN_ZIP.len() - 20];
    assert_eq!(unpacked("a.7z", cut), incomplete(&[], &[("", FileErrorKind::Corrupt)]));
    let few = UnpackLimits { max_members: 1, ..LIMITS };
    assert_eq!(unpack_within("a.7z", SEVEN_ZIP, few, 64 << 20), Unpacked::Failed(FileErrorKind::TooLarge));
    let large = [("folder/b.txt", FileErrorKind::TooLarge), ("a.txt", FileErrorKind::TooLarge)];
    assert_eq!(unpack_within("a.7z", SEVEN_ZIP, LIMITS, 10), incomplete(&[], &large));
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
fn office_document_without_its_list_of_parts_is_no_archive() {
    let parts: [(&str, &[u8]); 2] = [("word/document.xml", b"<w:document/>"), ("[Content_Types].xml", b"<Types/>")];
    let docx = zip(&parts);
    assert_eq!(unpacked("whole", &docx), Unpacked::NotAnArchive);
    let cut = &docx[..docx.len() - 30];
    assert_eq!(unpacked("upload", cut), Unpacked::NotAnArchive);
    // The first bytes of others do not say it, but the name does.
    let other = zip(&[("content.xml", b"<c/>")]);
    assert_eq!(unpacked("a.ods", &other[..other.len() - 30]), Unpacked::NotAnArchive);
    assert_eq!(unpacked("a.zip", &other[..other.len() - 30]), incomplete(&[], &[("", FileErrorKind::Corrupt)]));
    // Within an archive it is a member as it is.
    let outer = zip(&[("cut.docx", cut), ("last.txt", b"last")]);
    let expected = vec![("cut.docx".to_owned(), cut.to_vec()), ("last.txt".to_owned(), b"last".to_vec())];
    let limits = UnpackLimits { max_depth: 2, ..LIMITS };
    assert_eq!(unpack_within("a.zip", &outer, limits, 64 << 20), Unpacked::Members(expected));
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
fn mails_within_archives_and_mails_have_their_attachments_behind_them() {
    let attached = |parts: &str| {
        format!(
            "From: a@example.org\r\nSubject: Outer\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"o\"\r\n\r\n{parts}--o--\r\n"
        )
    };
    let inner = "From: c@example.org\r\nSubject: Inner\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=\"i\"\r\n\r\n--i\r\nContent-Type: text/plain\r\n\r\nInner text.\r\n\
        --i\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"a.csv\"\r\n\r\n1,2\r\n--i--\r\n";
    let mail = attached(&format!("--o\r\nContent-Type: message/rfc822\r\n\r\n{inner}"));
    let paths = |name: &str, content: &[u8], max_depth: u32| match unpack_within(
        name,
        content,
        UnpackLimits { max_depth, ..LIMITS },
        64 << 20,
    ) {
        Unpacked::Members(members) => members.into_iter().map(|(path, _)| path).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(paths("a.eml", mail.as_bytes(), 1), ["attachment-1.eml"]);
    assert_eq!(paths("a.eml", mail.as_bytes(), 2), ["attachment-1.eml", "attachment-1.eml/a.csv"]);
    let zip = zip(&[("m/a.eml", mail.as_bytes()), ("b.txt", b"last")]);
    assert_eq!(paths("a.zip", &zip, 2), ["m/a.eml", "m/a.eml/attachment-1.eml", "b.txt"]);
    assert_eq!(
        paths("a.zip", &zip, 3),
        ["m/a.eml", "m/a.eml/attachment-1.eml", "m/a.eml/attachment-1.eml/a.csv", "b.txt"]
    );
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
    let bomb = zip(&[("a", &zeros), ("b.txt", b"words")]);
    // By the ratio of one member.
    let without_bomb = incomplete(&[("b.txt", "words")], &[("a", FileErrorKind::TooLarge)]);
    assert_eq!(unpacked("a.zip", &bomb), without_bomb);
    let limits = UnpackLimits { max_depth: 5, ..LIMITS };
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [
        ("a.gz", gzip(&zeros)),
        ("a.tgz", gzip(&tar(&[("a", &zeros)]))),
        ("nested.gz", gzip(&gzip(&gzip(&zeros)))),
        ("many.zip", zip(&[("a", &zeros[..12 << 20]), ("b", &zeros[..12 << 20]), ("c", &zeros[..12 << 20])])),
    ] {
        assert_eq!(unpack_within(name, &content, limits, 32 << 20), too_large, "{name}");
    }
    // A member that is larger than all may be together is not read.
    let nested = zip(&[("a.zip", &zip_with(&[("a", &zeros)], stored)), ("b.txt", b"words")]);
    let without_large = incomplete(&[("b.txt", "words")], &[("a.zip", FileErrorKind::TooLarge)]);
    assert_eq!(unpack_within("nested.zip", &nested, limits, 32 << 20), without_large);
}

#[test]
fn sizes_that_a_tar_declares_are_not_trusted() {
    let mut header = Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend([1; 512]);
    let failures = [("a", FileErrorKind::TooLarge), ("", FileErrorKind::Corrupt)];
    assert_eq!(unpacked("a.tar", &tar), incomplete(&[], &failures));
}

/// A zip container whose member of this name has other bytes at places of its local and its central header.
fn changed(mut zip: Vec<u8>, name: &str, local: usize, central: usize, change: impl Fn(&mut u8)) -> Vec<u8> {
    let places: Vec<_> = zip.windows(name.len()).enumerate().filter(|(_, window)| *window == name.as_bytes()).collect();
    let [(first, _), (second, _)] = places.as_slice() else { panic!("{places:?}") };
    let places = [first - 30 + local, second - 46 + central];
    places.into_iter().for_each(|place| change(&mut zip[place]));
    zip
}

#[test]
fn bad_members_of_a_zip_fail_alone() {
    let content: Vec<u8> = (0..60_000_u32).map(|number| ((number * number) >> 7) as u8).collect();
    let large = vec![0; 40 << 20];
    let inner = zip(&[("deep.txt", b"deep")]);
    let parts: [(&str, &[u8]); 7] = [
        ("good.txt", b"good"),
        ("secret.txt", b"secret"),
        ("strange.txt", b"strange"),
        ("large.bin", &large),
        ("damaged.bin", &content),
        ("broken.zip", &inner[..inner.len() - 30]),
        ("last.txt", b"last"),
    ];
    let zip = zip(&parts);
    let zip = changed(zip, "secret.txt", 6, 8, |flags| *flags |= 1);
    let mut zip = changed(zip, "strange.txt", 8, 10, |method| *method = 1);
    let damaged = zip.windows(11).position(|window| window == b"damaged.bin").unwrap();
    zip[damaged + 2_000] ^= 0xFF;
    let failed = [
        ("secret.txt", FileErrorKind::Encrypted),
        ("strange.txt", FileErrorKind::UnsupportedMedia),
        ("large.bin", FileErrorKind::TooLarge),
        ("damaged.bin", FileErrorKind::Corrupt),
        ("broken.zip", FileErrorKind::Corrupt),
    ];
    let expected = incomplete(&[("good.txt", "good"), ("last.txt", "last")], &failed);
    let limits = UnpackLimits { max_depth: 2, ..LIMITS };
    assert_eq!(unpack_within("a.zip", &zip, limits, 64 << 20), expected);
}

#[test]
fn members_before_the_damage_are_kept() {
    let content: Vec<u8> = (0..60_000_u32).map(|number| ((number * number) >> 7) as u8).collect();
    let tar = tar(&[("a.txt", b"one"), ("b.bin", &content), ("c.txt", b"three")]);
    let gzip = gzip(&tar);
    let failed = [("b.bin", FileErrorKind::Corrupt), ("", FileErrorKind::Corrupt)];
    for (name, content) in [("a.tar", &tar), ("a.tgz", &gzip)] {
        for cut in [content.len() / 3, content.len() / 2] {
            let expected = incomplete(&[("a.txt", "one")], &failed);
            assert_eq!(unpacked(name, &content[..cut]), expected, "{name} cut at {cut}");
        }
    }
    // Within an archive the path says which one is cut short.
    let outer = self::zip(&[("in.tgz", &gzip[..gzip.len() / 2]), ("last.txt", b"last")]);
    let limits = UnpackLimits { max_depth: 2, ..LIMITS };
    let failed = [("in.tgz/b.bin", FileErrorKind::Corrupt), ("in.tgz", FileErrorKind::Corrupt)];
    let expected = incomplete(&[("in.tgz/a.txt", "one"), ("last.txt", "last")], &failed);
    assert_eq!(unpack_within("a.zip", &outer, limits, 64 << 20), expected);
}

#[test]
fn damaged_archives_without_members_are_corrupt() {
    let content: Vec<u8> = (0..60_000_u32).map(|number| ((number * number) >> 7) as u8).collect();
    let zip = zip(&[("a.bin", &content), ("b.bin", &content)]);
    for cut in [zip.len() / 3, zip.len() / 2] {
        assert_eq!(unpacked("a.zip", &zip[..cut]), incomplete(&[], &[("", FileErrorKind::Corrupt)]));
    }
    let gzip = gzip(&content);
    assert_eq!(unpacked("a.gz", &gzip[..gzip.len() / 2]), incomplete(&[], &[("a", FileErrorKind::Corrupt)]));
}

#[test]
fn damaged_attachment_fails_alone() {
    let mail = "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
        --x\r\nContent-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nwords\r\n\
        --x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=b.pdf\r\n\r\nJVBERi0xLjcKJVBERi0xLj";
    assert_eq!(
        unpacked("a.eml", mail.as_bytes()),
        incomplete(&[("a.txt", "words")], &[("b.pdf", FileErrorKind::Corrupt)])
    );
}

#[test]
fn attachments_of_the_mails_of_a_mailbox_are_members() {
    let mail = |number: u32| {
        format!(
            "From a@example.org Sat Nov  1 10:00:00 2025\nFrom: a@example.org\nSubject: {number}\nDate: Sat, 1 Nov 2025 10:00:00 +0100\n\
             MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n\
             --x\nContent-Type: text/plain\n\nText {number}.\n\
             --x\nContent-Type: text/csv; name=\"a.csv\"\nContent-Disposition: attachment; filename=\"a.csv\"\n\n{number},2\n--x--\n\n"
        )
    };
    let mailbox = format!("{}{}", mail(1), mail(2));
    assert_eq!(unpacked("in.mbox", mailbox.as_bytes()), members(&[("1/a.csv", "1,2"), ("2/a.csv", "2,2")]));
}

/// A tape archive as of before POSIX, with a folder and a file.
fn old_tar() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in [("folder/", b"".as_slice()), ("folder/a.txt", b"old words")] {
        let mut header = Header::new_old();
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn tar_of_before_posix_is_read() {
    assert_eq!(unpacked("a", &old_tar()), members(&[("folder/a.txt", "old words")]));
    assert_eq!(unpacked("a.tgz", &gzip(&old_tar())), members(&[("folder/a.txt", "old words")]));
}

/// `words of the tide\n` three hundred times, compressed by `bzip2`, `xz` and `zstd` (two frames, of which the second has a checksum).
const COMPRESSED: [(&str, &[u8]); 3] = [
    ("tide.txt.bz2", include_bytes!("../../tests/data/tide.txt.bz2")),
    ("tide.txt.xz", include_bytes!("../../tests/data/tide.txt.xz")),
    ("tide.txt.zst", include_bytes!("../../tests/data/tide.txt.zst")),
];

#[test]
fn compressed_streams_give_their_content() {
    let tide = "words of the tide\n".repeat(300);
    for (name, content) in COMPRESSED {
        assert_eq!(unpacked(name, content), members(&[("tide.txt", &tide)]), "{name}");
        let cut = &content[..content.len() * 2 / 3];
        let Unpacked::Incomplete(_, failed) = unpacked(name, cut) else { panic!("{name}") };
        assert_eq!(failed[0].1, FileErrorKind::Corrupt, "{name}");
    }
}

#[test]
fn compressed_tape_archives_give_their_members() {
    for (name, content) in [
        ("two.tar.bz2", include_bytes!("../../tests/data/two.tar.bz2").as_slice()),
        ("two.tar.xz", include_bytes!("../../tests/data/two.tar.xz")),
        ("two.tar.zst", include_bytes!("../../tests/data/two.tar.zst")),
    ] {
        let expected = members(&[("a.txt", "First file.\n"), ("folder/b.txt", "Second file.\n")]);
        assert_eq!(unpacked(name, content), expected, "{name}");
    }
}

#[test]
fn members_of_any_usual_compression_are_read() {
    let tide = "words of the tide\n".repeat(300);
    let methods = include_bytes!("../../tests/data/methods.zip");
    let names = ["bzip2", "deflate64", "lzma", "ppmd", "xz", "zstd"];
    let expected: Vec<_> = names.iter().map(|name| (*name, tide.as_str())).collect();
    assert_eq!(unpacked("a.zip", methods), members(&expected));
    for (name, content) in [
        ("bzip2.7z", include_bytes!("../../tests/data/bzip2.7z").as_slice()),
        ("ppmd.7z", include_bytes!("../../tests/data/ppmd.7z")),
    ] {
        assert_eq!(unpacked(name, content), members(&[("tide.txt", &tide)]), "{name}");
    }
}

/// Two files, packed apart, the first with a password, made with 7z.
#[test]
fn protected_seven_zip_is_encrypted() {
    let protected = include_bytes!("../../tests/data/protected.7z");
    let failed = [("a.txt", FileErrorKind::Encrypted), ("folder/b.txt", FileErrorKind::Encrypted)];
    assert_eq!(unpacked("a.7z", protected), incomplete(&[], &failed));
}

#[test]
fn damaged_block_of_a_seven_zip_costs_its_files_only() {
    let blocks = include_bytes!("../../tests/data/blocks.7z");
    let good = [("a.txt", "First file.\n"), ("folder/b.txt", "Second file.\n")];
    assert_eq!(unpacked("a.7z", blocks), members(&good));
    let mut damaged = blocks.to_vec();
    // Behind the header of 32 bytes the packed files stand in their order.
    damaged[36] ^= 0xFF;
    assert_eq!(unpacked("a.7z", &damaged), incomplete(&good[1..], &[("a.txt", FileErrorKind::Corrupt)]));
}
