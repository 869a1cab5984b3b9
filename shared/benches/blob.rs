//! 1 GiB through the object store: NATS' client with plain bytes compared with `Blobs`, which encrypts.
//!
//! Needs `NVISY_TEST_NATS_URL` with 1 GiB of free space; `cargo bench -p nvisy-shared --bench blob`. Arguments
//! run only the named steps, so that peak memory is that of one: `-- put`, `-- get`, `-- bare-put`, `-- bare-get`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::time::Instant;
use std::{fs, io};

use async_nats::jetstream::{self, object_store};
use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use nvisy_shared::blob::{BlobSettings, Blobs};
use nvisy_shared::crypt::{Keyring, MasterKey};
use nvisy_shared::id::{self, BlobId, WorkspaceId};
use tokio::io::AsyncReadExt as _;

const TOTAL_BYTES: usize = 1 << 30;
/// About the size of the parts that an HTTP server delivers.
const PART_BYTES: usize = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("NVISY_TEST_NATS_URL").expect("NVISY_TEST_NATS_URL names a NATS server");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |step: &str| wanted.is_empty() || wanted.iter().any(|one| one == step);
    let jetstream = jetstream::new(async_nats::connect(url).await?);

    if wanted("bare-put") || wanted("bare-get") {
        let bucket = format!("bench-{}", id::new());
        let config = object_store::Config { bucket: bucket.clone(), ..Default::default() };
        let store = jetstream.create_object_store(config).await?;
        let start = Instant::now();
        // The client sends a message for each read, and is fastest when each read fills a chunk of the size that `Blobs` uses.
        let meta = object_store::ObjectMetadata {
            name: "content".to_owned(),
            chunk_size: Some(256 << 10),
            ..Default::default()
        };
        store.put(meta, &mut tokio::io::repeat(b'x').take(TOTAL_BYTES as u64)).await?;
        report("bare-put", start);

        let start = Instant::now();
        let mut object = store.get("content").await?;
        let mut buffer = vec![0; PART_BYTES];
        let mut read = 0;
        while read < TOTAL_BYTES {
            read += object.read(&mut buffer).await?;
        }
        report("bare-get", start);
        jetstream.delete_object_store(&bucket).await?;
    }

    if wanted("put") || wanted("get") {
        let bucket = format!("bench-{}", id::new());
        let settings = BlobSettings { bucket: bucket.clone(), max_bytes: None, replicas: 1 };
        let blobs = Blobs::open(jetstream.clone(), &settings, Keyring::new(MasterKey::generate())).await?;
        let (workspace, blob) = (WorkspaceId::new(), BlobId::new());
        let start = Instant::now();
        blobs.put(workspace, blob, content(), TOTAL_BYTES as u64).await?;
        report("put", start);

        let start = Instant::now();
        let content = blobs.get(workspace, blob).await?;
        let read = content.try_fold(0, async |sum, part| Ok(sum + part.len())).await?;
        assert_eq!(read, TOTAL_BYTES);
        report("get", start);
        jetstream.delete_object_store(&bucket).await?;
    }
    Ok(())
}

fn content() -> impl Stream<Item = Result<Bytes, io::Error>> {
    let part: Vec<u8> = (0..PART_BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let part = Bytes::from(part);
    stream::iter((0..TOTAL_BYTES / PART_BYTES).map(move |_| Ok(part.clone())))
}

fn report(step: &str, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    println!("{step:9} {:6.0} MiB/s  {seconds:6.2} s  peak memory so far {peak}", (TOTAL_BYTES >> 20) as f64 / seconds);
}
