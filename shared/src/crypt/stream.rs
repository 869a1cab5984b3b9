//! Sealed streams: content of any length, encrypted in frames that are verified one by one.
//!
//! ```text
//! sealed  = header frame*                            at least one frame, even for empty content
//! header  = "NVF" version:u8 key_generation:u32 prefix:[u8; 16]
//! frame   = XChaCha20-Poly1305(FRAME_BYTES of content; the last frame holds the rest) tag:[u8; 16]
//! nonce   = prefix  frame number:u56  last:u8         integers are big-endian
//! data    = header  workspace id  blob id             authenticated with every frame
//! ```
//!
//! The nonce binds a frame to its position and states whether it is the last (the STREAM construction); the authenticated
//! data binds it to its blob. A stream that was truncated, reordered, spliced, or moved to another id or tenant does not
//! open. Frames have a fixed size and their own nonce, so each opens independently of the others, and several at once.

use std::mem;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use orion::hazardous::aead::xchacha20poly1305::{Nonce, Tag, XChaCha20Poly1305};
use thiserror::Error;

use super::{DerivedKey, random};
use crate::id::{BlobId, WorkspaceId};

/// Content bytes of every frame but the last. With header and tag a frame stays below 256 KiB, a size that suits object
/// stores, and is sealed in about a millisecond.
pub const FRAME_BYTES: usize = 256 * 1024 - 64;

const MAGIC: [u8; 4] = *b"NVF\x01";
const PREFIX_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + PREFIX_BYTES;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// The blob that a sealed stream belongs to.
#[derive(Clone, Copy, Debug)]
pub struct BlobIdentity {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The blob.
    pub blob: BlobId,
}

/// Why a sealed stream does not open. A retry gives the same error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No [`Sealer`] wrote the stream, or one of a later version did.
    #[error("this is not a sealed stream of a known version")]
    Unknown,
    /// The stream is sealed under another generation of the master key.
    #[error("sealed under generation {generation} of the master key, which is not available")]
    MissingKey {
        /// The generation.
        generation: u32,
    },
    /// The stream was changed, truncated or reordered, belongs to another blob, or is sealed under another master key.
    #[error("the sealed bytes differ from those that were written")]
    Tampered,
}

/// Splits one stream of content into frames.
#[derive(Debug)]
pub struct Sealer {
    positions: FramePositions,
    /// The content of the next frame; before the first frame, also the header.
    buffer: BytesMut,
    /// Offset of the content in the buffer.
    content_start: usize,
}

impl Sealer {
    /// Starts a stream with a random nonce prefix.
    #[must_use]
    pub fn new(key: DerivedKey, identity: BlobIdentity) -> Self {
        let mut header = [0; HEADER_BYTES];
        let mut fields = &mut header[..];
        fields.put_slice(&MAGIC);
        fields.put_u32(key.generation());
        fields.put_slice(&random::<PREFIX_BYTES>());
        Self {
            positions: FramePositions::new(key, identity, &header),
            buffer: BytesMut::from(&header[..]),
            content_start: HEADER_BYTES,
        }
    }

    /// Adds content. Returns a frame as soon as one is complete; call it again until it returns `None`.
    pub fn push(&mut self, content: &mut Bytes) -> Option<UnsealedFrame> {
        while !content.is_empty() {
            let missing = self.content_start + FRAME_BYTES - self.buffer.len();
            // A full frame waits for the next byte, which shows that the frame is not the last.
            if missing == 0 {
                return Some(self.take_frame(false));
            }
            self.buffer.reserve(missing + TAG_BYTES);
            self.buffer.put(content.split_to(missing.min(content.len())));
        }
        None
    }

    /// The remaining content as the last frame.
    #[must_use]
    pub fn finish(mut self) -> UnsealedFrame {
        self.take_frame(true)
    }

    fn take_frame(&mut self, last: bool) -> UnsealedFrame {
        UnsealedFrame {
            position: self.positions.next(last),
            buffer: self.buffer.split(),
            content_start: mem::take(&mut self.content_start),
        }
    }
}

/// A frame of a [`Sealer`], not encrypted yet.
#[derive(Debug)]
pub struct UnsealedFrame {
    position: FramePosition,
    buffer: BytesMut,
    content_start: usize,
}

impl UnsealedFrame {
    /// The length of the content, in bytes; of the first frame with the header.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The sealed bytes; those of the first frame begin with the header. Takes about a millisecond of CPU time.
    #[must_use]
    pub fn seal(mut self) -> Bytes {
        let tag = self.position.seal(&mut self.buffer[self.content_start..]);
        self.buffer.put_slice(tag.unprotected_as_ref());
        self.buffer.freeze()
    }
}

/// Opens the sealed frames of one stream, which it takes in order.
#[derive(Debug)]
pub struct Opener {
    positions: FramePositions,
}

impl Opener {
    /// Reads and removes the header of the first frame.
    ///
    /// # Errors
    /// The header is missing, or names another key.
    pub fn new(key: DerivedKey, identity: BlobIdentity, first: &mut Bytes) -> Result<Self, FrameError> {
        let header: [u8; HEADER_BYTES] = *first.first_chunk().ok_or(FrameError::Unknown)?;
        let (magic, rest) = header.split_first_chunk().ok_or(FrameError::Unknown)?;
        let (generation, _prefix) = rest.split_first_chunk().ok_or(FrameError::Unknown)?;
        if *magic != MAGIC {
            return Err(FrameError::Unknown);
        }
        let generation = u32::from_be_bytes(*generation);
        if generation != key.generation() {
            return Err(FrameError::MissingKey { generation });
        }
        first.advance(HEADER_BYTES);
        Ok(Self { positions: FramePositions::new(key, identity, &header) })
    }

    /// Takes the next frame. The content is complete only once a frame has opened as the `last`.
    pub fn push(&mut self, frame: Bytes, last: bool) -> SealedFrame {
        SealedFrame { position: self.positions.next(last), frame }
    }
}

/// A frame of an [`Opener`], not decrypted yet.
#[derive(Debug)]
pub struct SealedFrame {
    position: FramePosition,
    frame: Bytes,
}

impl SealedFrame {
    /// The content. Takes about a millisecond of CPU time.
    ///
    /// # Errors
    /// The frame was changed, is not the next of its stream, or is not the last although `last` says so, or vice versa.
    pub fn open(self) -> Result<Bytes, FrameError> {
        let (content, tag) = self.frame.split_last_chunk::<TAG_BYTES>().ok_or(FrameError::Tampered)?;
        let mut content = BytesMut::from(content);
        self.position.open(&mut content, &Tag::from(*tag))?;
        Ok(content.freeze())
    }
}

/// The values that all frames of a stream share.
#[derive(Debug)]
struct StreamCipher {
    key: DerivedKey,
    /// Authenticated with every frame.
    associated_data: [u8; HEADER_BYTES + 2 * size_of::<uuid::Bytes>()],
}

/// Numbers the frames of one stream.
#[derive(Debug)]
struct FramePositions {
    cipher: Arc<StreamCipher>,
    next: u64,
}

impl FramePositions {
    fn new(key: DerivedKey, identity: BlobIdentity, header: &[u8; HEADER_BYTES]) -> Self {
        let mut associated_data = [0; _];
        let mut fields = &mut associated_data[..];
        fields.put_slice(header);
        fields.put_slice(identity.workspace.0.as_bytes());
        fields.put_slice(identity.blob.0.as_bytes());
        Self { cipher: Arc::new(StreamCipher { key, associated_data }), next: 0 }
    }

    fn next(&mut self, last: bool) -> FramePosition {
        let mut nonce = [0; NONCE_BYTES];
        let (prefix, mut rest) = nonce.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&self.cipher.associated_data[HEADER_BYTES - PREFIX_BYTES..HEADER_BYTES]);
        // 56 bits of frame number, more than any stream needs, and one byte for the flag.
        rest.put_u64(self.next << 8 | u64::from(last));
        self.next += 1;
        FramePosition { cipher: Arc::clone(&self.cipher), nonce: Nonce::from(nonce) }
    }
}

/// The position of a frame in its stream. It seals or opens the frame on any thread, in any order.
#[derive(Debug)]
struct FramePosition {
    cipher: Arc<StreamCipher>,
    nonce: Nonce,
}

impl FramePosition {
    fn seal(&self, content: &mut [u8]) -> Tag {
        let StreamCipher { key, associated_data } = &*self.cipher;
        XChaCha20Poly1305::seal_inplace(key.secret(), &self.nonce, Some(associated_data), content)
            .expect("a frame is far below the cipher's limit of 256 GiB")
    }

    fn open(&self, content: &mut [u8], tag: &Tag) -> Result<(), FrameError> {
        let StreamCipher { key, associated_data } = &*self.cipher;
        XChaCha20Poly1305::open_inplace(key.secret(), &self.nonce, tag, Some(associated_data), content)
            .map_err(|_| FrameError::Tampered)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{KeyPurpose, Keyring, MasterKey};

    struct Fixture {
        keyring: Keyring,
        identity: BlobIdentity,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                keyring: Keyring::new(MasterKey::generate()),
                identity: BlobIdentity { workspace: WorkspaceId(Uuid::from_u128(1)), blob: BlobId(Uuid::from_u128(2)) },
            }
        }

        fn key(&self) -> DerivedKey {
            self.keyring.derive(self.identity.workspace, KeyPurpose::Blob)
        }

        /// Seals content that arrives in parts of this size.
        fn seal(&self, content: &[u8], part: usize) -> Vec<Bytes> {
            let mut sealer = Sealer::new(self.key(), self.identity);
            let mut frames = Vec::new();
            for part in content.chunks(part) {
                let mut part = Bytes::copy_from_slice(part);
                while let Some(frame) = sealer.push(&mut part) {
                    frames.push(frame.seal());
                }
            }
            frames.push(sealer.finish().seal());
            frames
        }

        fn open_as(&self, identity: BlobIdentity, frames: &[Bytes]) -> Result<Vec<u8>, FrameError> {
            let mut frames = frames.to_vec();
            let mut opener = Opener::new(self.key(), identity, &mut frames[0])?;
            let count = frames.len();
            let mut content = Vec::new();
            for (index, frame) in frames.into_iter().enumerate() {
                content.extend_from_slice(&opener.push(frame, index + 1 == count).open()?);
            }
            Ok(content)
        }

        fn open(&self, frames: &[Bytes]) -> Result<Vec<u8>, FrameError> {
            self.open_as(self.identity, frames)
        }
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn content_of_any_length_and_part_size_survives_a_round_trip() {
        let fixture = Fixture::new();
        for length in [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES + 7] {
            let content = content(length);
            for part in [997, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 4 * FRAME_BYTES] {
                let frames = fixture.seal(&content, part);
                assert_eq!(frames.len(), length.div_ceil(FRAME_BYTES).max(1), "{length} in {part}");
                assert!(frames.iter().all(|frame| frame.len() <= 256 * 1024));
                assert!(fixture.open(&frames).unwrap() == content, "{length} in {part}");
            }
        }
    }

    #[test]
    fn content_in_single_bytes_survives_a_round_trip() {
        let fixture = Fixture::new();
        let content = content(500);
        assert_eq!(fixture.open(&fixture.seal(&content, 1)).unwrap(), content);
    }

    #[test]
    fn sealed_streams_hide_content_and_differ_each_time() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&[b'a'; 1000], 1000);
        assert!(!frames[0].windows(4).any(|window| window == b"aaaa"));
        assert_ne!(frames[0], fixture.seal(&[b'a'; 1000], 1000)[0]);
    }

    #[test]
    fn truncated_stream_is_rejected() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(3 * FRAME_BYTES), FRAME_BYTES);
        frames.pop();
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));

        let mut frames = fixture.seal(&content(100), 100);
        let shorter = frames[0].len() - 1;
        frames[0].truncate(shorter);
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
        frames[0].truncate(HEADER_BYTES + 3);
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
        frames[0].truncate(HEADER_BYTES - 1);
        assert_eq!(fixture.open(&frames), Err(FrameError::Unknown));
    }

    #[test]
    fn appended_frame_is_rejected() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(FRAME_BYTES), FRAME_BYTES);
        frames.push(frames[0].slice(HEADER_BYTES..));
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn reordered_frames_are_rejected() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(4 * FRAME_BYTES), FRAME_BYTES);
        frames.swap(1, 2);
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn frame_of_another_stream_of_the_same_blob_is_rejected() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(2 * FRAME_BYTES), FRAME_BYTES);
        frames[1] = fixture.seal(&content(2 * FRAME_BYTES), FRAME_BYTES)[1].clone();
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn stream_opens_only_for_its_blob_tenant_and_master_key() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&content(10), 10);

        let blob = BlobId(Uuid::from_u128(3));
        let other = BlobIdentity { blob, ..fixture.identity };
        assert_eq!(fixture.open_as(other, &frames), Err(FrameError::Tampered));

        let workspace = WorkspaceId(Uuid::from_u128(3));
        let other = BlobIdentity { workspace, ..fixture.identity };
        assert_eq!(fixture.open_as(other, &frames), Err(FrameError::Tampered));

        assert_eq!(Fixture::new().open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn every_flipped_bit_is_rejected() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&content(40), 40);
        for bit in 0..frames[0].len() * 8 {
            let mut changed = BytesMut::from(&frames[0][..]);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(fixture.open(&[changed.freeze()]).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn error_names_the_missing_key_generation() {
        let fixture = Fixture::new();
        let mut changed = BytesMut::from(&fixture.seal(&content(1), 1)[0][..]);
        changed[MAGIC.len() + 3] = 2;
        assert_eq!(fixture.open(&[changed.freeze()]), Err(FrameError::MissingKey { generation: 2 }));
    }
}
