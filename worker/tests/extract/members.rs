//! Archives in a child process: members come one after the other, and a bad archive gives a typed failure.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use nvisy_extract::{ExtractError, ExtractLimits, FileError, FileErrorKind, Member, Members, UnpackLimits};

use super::{data, files, named, worker};

const UNPACK: UnpackLimits = UnpackLimits { max_members: 100, max_depth: 2 };

/// The members of a file with their sizes; `None`: it is no archive.
async fn members(
    name: &str,
    bytes: &[u8],
    limits: &ExtractLimits,
) -> Result<Option<Vec<(String, usize)>>, ExtractError> {
    members_within(name, bytes, limits, UNPACK).await
}

/// As [`members`], within other limits.
async fn members_within(
    name: &str,
    bytes: &[u8],
    limits: &ExtractLimits,
    unpack: UnpackLimits,
) -> Result<Option<Vec<(String, usize)>>, ExtractError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    let Some(mut members) = Members::open(&worker(), &file, &named(name), limits, unpack).await? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    while let Some(member) = members.next().await? {
        let Member::Content(path) = member else { panic!("{member:?}") };
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

/// What the parts of an archive are: `+` a complete member, `-` one that fails, `|` the missing rest.
async fn parts(name: &str, bytes: &[u8], limits: &ExtractLimits) -> Result<Vec<String>, ExtractError> {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("written");
    let members = Members::open(&worker(), &file, &named(name), limits, UNPACK).await?;
    let mut members = members.expect("an archive");
    let mut parts = Vec::new();
    while let Some(member) = members.next().await? {
        match member {
            Member::Failed(path, error) => parts.push(format!("-{path} {:?}", error.kind)),
            Member::CutShort(error) => parts.push(format!("|{:?}", error.kind)),
            Member::Content(path) => loop {
                match members.bytes().await {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        parts.push(format!("+{path}"));
                        break;
                    }
                    Err(error) if members.is_interrupted() => {
                        assert!(matches!(error, ExtractError::File(_)));
                        break;
                    }
                    Err(error) => return Err(error),
                }
            },
        }
    }
    Ok(parts)
}

#[tokio::test]
async fn bad_member_fails_alone() {
    let default = ExtractLimits::default();
    let random: Vec<u8> = (0..60_000_u32).map(|number| ((number * number) >> 7) as u8).collect();
    let mut zip = files::zip(&[("a.txt", b"good"), ("b.bin", &random), ("c.txt", b"good")]);
    let place = zip.windows(5).position(|window| window == b"b.bin").expect("its header");
    zip[place + 3_000] ^= 0xFF;
    let found = parts("a.zip", &zip, &default).await.expect("two members");
    assert_eq!(found, ["+a.txt", "-b.bin Corrupt", "+c.txt"]);
    let tar = files::tar(&[("a.txt", b"good"), ("b.bin", &random)]);
    let found = parts("a.tar", &tar[..20_000], &default).await.expect("a member");
    assert_eq!(found, ["+a.txt", "-b.bin Corrupt", "|Corrupt"]);
}

#[tokio::test]
async fn bad_archives_fail_with_their_kind() {
    let default = ExtractLimits::default();
    let zip = files::zip(&[("a.txt", b"some words")]);
    assert_eq!(parts("a.zip", &zip[..zip.len() / 2], &default).await.expect("a typed failure"), ["|Corrupt"]);
    assert_eq!(
        parts("a.zip", &files::zip_bomb(), &default).await.expect("a typed failure"),
        ["-word/document.xml TooLarge"]
    );
    let many: Vec<(String, &[u8])> = (0..101).map(|number| (number.to_string(), b"x".as_slice())).collect();
    let many: Vec<_> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    assert_eq!(failure("a.tar", &files::tar(&many), &ExtractLimits::default()).await, FileErrorKind::TooLarge);
    // A mail is read into memory, of which this program, without optimisation, has a good part itself.
    let mail = [b"From: a@example.org\r\n\r\n".as_slice(), &vec![b'x'; 160 << 20]].concat();
    let limits = ExtractLimits { memory_bytes: 160 << 20, ..ExtractLimits::default() };
    assert_eq!(parts("a.eml", &mail, &limits).await.expect("a typed failure"), ["|OutOfMemory"]);
}

#[tokio::test]
async fn archives_deeper_than_the_limit_are_members_as_they_are() {
    let mut nested = files::zip(&[("core.txt", b"Slack water.")]);
    for _ in 0..50 {
        nested = files::zip(&[("inner.zip", &nested)]);
    }
    let found = members("a.zip", &nested, &ExtractLimits::default()).await.expect("members").expect("an archive");
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["inner.zip/inner.zip"]);
    assert!(found[0].1 < nested.len(), "{found:?}");
}

#[tokio::test]
async fn archive_of_archives_of_archives_is_too_large() {
    // Ten files in ten archives in ten archives in ten archives, in some kilobytes.
    let names: Vec<_> = (0..10).map(|number| format!("{number}.zip")).collect();
    let tenfold = |content: &[u8]| files::zip(&names.iter().map(|name| (name.as_str(), content)).collect::<Vec<_>>());
    let mut nested = tenfold(b"Slack water.");
    for _ in 0..3 {
        nested = tenfold(&nested);
    }
    let unpack = UnpackLimits { max_depth: 10, ..UNPACK };
    // Fewer members than that, of too many bytes in all.
    let large = tenfold(&tenfold(&vec![0; 1 << 20]));
    let limits = ExtractLimits { max_expanded_bytes: 20 << 20, ..ExtractLimits::default() };
    for (content, limits) in [(&nested, &ExtractLimits::default()), (&large, &limits)] {
        let failure = members_within("a.zip", content, limits, unpack).await.expect_err("a limit");
        assert!(matches!(&failure, ExtractError::File(FileError { kind: FileErrorKind::TooLarge, .. })), "{failure:?}");
    }
}

#[tokio::test]
async fn mails_within_mails_are_members_to_the_depth() {
    let mail = files::nested_mail(1_000);
    let found = members("a.eml", mail.as_bytes(), &ExtractLimits::default()).await.expect("members");
    let found = found.expect("a mail");
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["attachment-1.eml", "attachment-1.eml/attachment-1.eml"]);
    assert!((1..found[0].1).contains(&found[1].1) && found[0].1 < mail.len(), "{found:?}");
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
