//! Archives in a child process: members come one after the other, and a bad archive gives a typed failure.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use nvisy_extract::{ExtractError, ExtractLimits, FileError, FileErrorKind, Members, UnpackLimits};

use super::{data, files, named, worker};

const UNPACK: UnpackLimits = UnpackLimits { max_members: 100, max_depth: 2 };

/// The members of a file with their sizes; `None`: it is no archive.
async fn members(
    name: &str,
    bytes: &[u8],
    limits: &ExtractLimits,
) -> Result<Option<Vec<(String, usize)>>, ExtractError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    let Some(mut members) = Members::open(&worker(), &file, &named(name), limits, UNPACK).await? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    while let Some(path) = members.next().await? {
        let mut size = 0;
        while let Some(bytes) = members.bytes().await? {
            size += bytes.len();
        }
        found.push((path, size));
    }
    assert!(members.next().await?.is_none(), "the end stays the end");
    Ok(Some(found))
}

async fn failure(name: &str, bytes: &[u8], limits: &ExtractLimits) -> FileErrorKind {
    match members(name, bytes, limits).await {
        Err(ExtractError::File(FileError { kind, .. })) => kind,
        other => panic!("{name}: expected a failure, got {other:?}"),
    }
}

#[tokio::test]
async fn members_come_with_all_their_bytes() {
    let large = vec![b'x'; 3 << 20];
    let inner = files::zip(&[("deep.txt", b"deep")]);
    let zip = files::zip(&[("large.txt", &large), ("empty", b""), ("inner.zip", &inner)]);
    let owned = |path: &str, size: usize| (path.to_owned(), size);
    let expected = vec![owned("large.txt", 3 << 20), owned("empty", 0), owned("inner.zip/deep.txt", 4)];
    assert_eq!(members("a.zip", &zip, &ExtractLimits::default()).await.expect("members"), Some(expected));
    let empty = members("a.zip", &files::zip(&[]), &ExtractLimits::default()).await.expect("no members");
    assert_eq!(empty, Some(Vec::new()));
    let docx = files::zip(&[("[Content_Types].xml", b"<Types/>")]);
    assert_eq!(members("a.docx", &docx, &ExtractLimits::default()).await.expect("no archive"), None);
}

#[tokio::test]
async fn bad_archives_fail_with_their_kind() {
    let zip = files::zip(&[("a.txt", b"some words")]);
    assert_eq!(failure("a.zip", &zip[..zip.len() / 2], &ExtractLimits::default()).await, FileErrorKind::Corrupt);
    assert_eq!(failure("a.zip", &files::zip_bomb(), &ExtractLimits::default()).await, FileErrorKind::TooLarge);
    // A mail is read and decoded in memory.
    let mail = [b"From: a@example.org\r\n\r\n".as_slice(), &vec![b'x'; 48 << 20]].concat();
    let limits = ExtractLimits { memory_bytes: 64 << 20, ..ExtractLimits::default() };
    assert_eq!(failure("a.eml", &mail, &limits).await, FileErrorKind::OutOfMemory);
}

#[tokio::test]
async fn hanging_child_is_killed() {
    let file = tempfile::tempfile().expect("a temporary file");
    let limits = ExtractLimits { wall_seconds: 1, ..ExtractLimits::default() };
    let started = Instant::now();
    let opened = Members::open(&data("hang.sh"), &file, &named("a.zip"), &limits, UNPACK).await;
    assert!(matches!(opened.err(), Some(ExtractError::File(FileError { kind: FileErrorKind::TimedOut, .. }))));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn slow_reader_is_no_timeout() {
    let large = vec![b'x'; 3 << 20];
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&files::zip(&[("large.txt", &large)])).expect("written");
    let limits = ExtractLimits { wall_seconds: 1, ..ExtractLimits::default() };
    let opened = Members::open(&worker(), &file, &named("a.zip"), &limits, UNPACK).await.expect("an archive");
    let mut members = opened.expect("an archive");
    members.next().await.expect("a member").expect("a member");
    // The child waits for its reader, which a full object store can make slow.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut size = 0;
    while let Some(bytes) = members.bytes().await.expect("bytes") {
        size += bytes.len();
    }
    assert_eq!(size, large.len());
}

#[tokio::test]
async fn missing_program_is_a_process_error() {
    let file = tempfile::tempfile().expect("a temporary file");
    let limits = ExtractLimits::default();
    let opened = Members::open(&data("no-such-program"), &file, &named("a.zip"), &limits, UNPACK).await;
    assert!(matches!(opened.err(), Some(ExtractError::Process(_))));
}
