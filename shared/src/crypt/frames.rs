//! A sealed stream: content of any length, encrypted in frames that are verified one by one.
//!
//! ```text
//! sealed  = header frame*                            at least one frame, even of empty content
//! header  = "NVF" version:u8 key_id:u32 prefix:[u8; 16]
//! frame   = XChaCha20-Poly1305(FRAME_BYTES of content; the last frame holds the rest) tag:[u8; 16]
//! nonce   = prefix  frame number:u56  last:u8         integers are big-endian
//! data    = header  workspace id  blob id             authenticated with every frame
//! ```
//!
//! The nonce binds a frame to its place and says whether it is the last (the STREAM construction), the
//! authenticated data binds it to its blob: a stream cut short, reordered, spliced, or moved to another
//! id or tenant does not open. Frames have a fixed size and their own nonce, so that any of them can be
//! opened without those before it, and several at once.

use std::mem;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use orion::hazardous::aead::xchacha20poly1305::{Nonce, Tag, XChaCha20Poly1305};
use thiserror::Error;

use super::{Key, random};
use crate::id::{BlobId, WorkspaceId};

/// Content bytes in every frame but the last. With header and tag it stays below 256 KiB, a size that
/// stores take well, and seals in about a millisecond.
pub const FRAME_BYTES: usize = 256 * 1024 - 64;

const MAGIC: [u8; 4] = *b"NVF\x01";
const PREFIX_BYTES: usize = 16;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + PREFIX_BYTES;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// Whose content a sealed stream is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The stored bytes.
    pub blob: BlobId,
}

/// Why a sealed stream does not open. Trying again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Not written by a [`Sealer`], or by one of a later version.
    #[error("this is not a sealed stream of a known version")]
    Unknown,
    /// Sealed under another generation of the master key.
    #[error("sealed under master key {id}, which is not at hand")]
    MissingKey {
        /// The generation.
        id: u32,
    },
    /// Changed, cut short, out of order, of another blob, or sealed under another master key.
    #[error("the sealed bytes are not what was written")]
    Tampered,
}

/// Cuts one stream of content into frames.
#[derive(Debug)]
pub struct Sealer {
    places: Places,
    /// What the next frame is made of; in front of the first one, the header.
    buffer: BytesMut,
    /// Where in the buffer the content starts.
    start: usize,
}

impl Sealer {
    /// Starts a stream, under a nonce prefix of its own.
    #[must_use]
    pub fn new(key: Key, identity: Identity) -> Self {
        let mut header = [0; HEADER_BYTES];
        let mut fields = &mut header[..];
        fields.put_slice(&MAGIC);
        fields.put_u32(key.id());
        fields.put_slice(&random::<PREFIX_BYTES>());
        Self { places: Places::new(key, identity, &header), buffer: BytesMut::from(&header[..]), start: HEADER_BYTES }
    }

    /// Takes content, and gives a frame to seal as soon as there is one; to be called until it gives none.
    pub fn push(&mut self, content: &mut Bytes) -> Option<Unsealed> {
        while !content.is_empty() {
            let room = self.start + FRAME_BYTES - self.buffer.len();
            // A full frame waits for the next byte: only that tells that it is not the last.
            if room == 0 {
                return Some(self.cut(false));
            }
            self.buffer.reserve(room + TAG_BYTES);
            self.buffer.put(content.split_to(room.min(content.len())));
        }
        None
    }

    /// What is left, as the last frame.
    #[must_use]
    pub fn finish(mut self) -> Unsealed {
        self.cut(true)
    }

    fn cut(&mut self, last: bool) -> Unsealed {
        Unsealed { place: self.places.next(last), buffer: self.buffer.split(), start: mem::take(&mut self.start) }
    }
}

/// A frame that [`Sealer`] cut.
#[derive(Debug)]
pub struct Unsealed {
    place: Place,
    buffer: BytesMut,
    start: usize,
}

impl Unsealed {
    /// The sealed bytes, with the header in front of the first frame. Takes about a millisecond of computing.
    #[must_use]
    pub fn seal(mut self) -> Bytes {
        let tag = self.place.seal(&mut self.buffer[self.start..]);
        self.buffer.put_slice(tag.unprotected_as_ref());
        self.buffer.freeze()
    }
}

/// Takes the sealed frames of one stream, in order.
#[derive(Debug)]
pub struct Opener {
    places: Places,
}

impl Opener {
    /// Reads the header off the first frame.
    ///
    /// # Errors
    /// There is no header, or it asks for another key.
    pub fn new(key: Key, identity: Identity, first: &mut Bytes) -> Result<Self, FrameError> {
        let header: [u8; HEADER_BYTES] = *first.first_chunk().ok_or(FrameError::Unknown)?;
        let (magic, rest) = header.split_first_chunk().ok_or(FrameError::Unknown)?;
        let (id, _prefix) = rest.split_first_chunk().ok_or(FrameError::Unknown)?;
        if *magic != MAGIC {
            return Err(FrameError::Unknown);
        }
        let id = u32::from_be_bytes(*id);
        if id != key.id() {
            return Err(FrameError::MissingKey { id });
        }
        first.advance(HEADER_BYTES);
        Ok(Self { places: Places::new(key, identity, &header) })
    }

    /// Takes the next frame. The content is complete once a frame has opened as the `last`, and not before.
    pub fn push(&mut self, frame: Bytes, last: bool) -> Sealed {
        Sealed { place: self.places.next(last), frame }
    }
}

/// A frame that is to be opened.
#[derive(Debug)]
pub struct Sealed {
    place: Place,
    frame: Bytes,
}

impl Sealed {
    /// The content. Takes about a millisecond of computing.
    ///
    /// # Errors
    /// The frame is not its stream's next, or not its last though it should be, or last though it should not.
    pub fn open(self) -> Result<Bytes, FrameError> {
        let (content, tag) = self.frame.split_last_chunk::<TAG_BYTES>().ok_or(FrameError::Tampered)?;
        let mut content = BytesMut::from(content);
        self.place.open(&mut content, &Tag::from(*tag))?;
        Ok(content.freeze())
    }
}

/// What all frames of a stream share.
#[derive(Debug)]
struct Cipher {
    key: Key,
    /// Authenticated with every frame.
    data: [u8; HEADER_BYTES + 2 * size_of::<uuid::Bytes>()],
}

/// Gives the frames of one stream their places.
#[derive(Debug)]
struct Places {
    cipher: Arc<Cipher>,
    next: u64,
}

impl Places {
    fn new(key: Key, identity: Identity, header: &[u8; HEADER_BYTES]) -> Self {
        let mut data = [0; _];
        let mut fields = &mut data[..];
        fields.put_slice(header);
        fields.put_slice(identity.workspace.0.as_bytes());
        fields.put_slice(identity.blob.0.as_bytes());
        Self { cipher: Arc::new(Cipher { key, data }), next: 0 }
    }

    fn next(&mut self, last: bool) -> Place {
        let mut nonce = [0; NONCE_BYTES];
        let (prefix, mut rest) = nonce.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&self.cipher.data[HEADER_BYTES - PREFIX_BYTES..HEADER_BYTES]);
        // 56 bits of frame number, which no stream uses up, and one byte for the flag.
        rest.put_u64(self.next << 8 | u64::from(last));
        self.next += 1;
        Place { cipher: Arc::clone(&self.cipher), nonce: Nonce::from(nonce) }
    }
}

/// A frame's place in its stream: with it, the frame can be sealed or opened on any thread, in any order.
#[derive(Debug)]
struct Place {
    cipher: Arc<Cipher>,
    nonce: Nonce,
}

impl Place {
    fn seal(&self, content: &mut [u8]) -> Tag {
        let Cipher { key, data } = &*self.cipher;
        XChaCha20Poly1305::seal_inplace(key.secret(), &self.nonce, Some(data), content)
            .expect("a frame is far below the cipher's limit of 256 GiB")
    }

    fn open(&self, content: &mut [u8], tag: &Tag) -> Result<(), FrameError> {
        let Cipher { key, data } = &*self.cipher;
        XChaCha20Poly1305::open_inplace(key.secret(), &self.nonce, tag, Some(data), content)
            .map_err(|_| FrameError::Tampered)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypt::{Keyring, MasterKey, Purpose};

    const FRAME: usize = FRAME_BYTES;

    struct Fixture {
        keyring: Keyring,
        identity: Identity,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                keyring: Keyring::new(MasterKey::generate()),
                identity: Identity { workspace: WorkspaceId(Uuid::from_u128(1)), blob: BlobId(Uuid::from_u128(2)) },
            }
        }

        fn key(&self) -> Key {
            self.keyring.derive(self.identity.workspace, Purpose::Blob)
        }

        /// Seals content given in parts of a size.
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

        fn open_as(&self, identity: Identity, frames: &[Bytes]) -> Result<Vec<u8>, FrameError> {
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
    fn content_of_any_length_in_any_parts_comes_back() {
        let fixture = Fixture::new();
        for length in [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 7] {
            let content = content(length);
            for part in [997, FRAME - 1, FRAME, FRAME + 1, 4 * FRAME] {
                let frames = fixture.seal(&content, part);
                assert_eq!(frames.len(), length.div_ceil(FRAME).max(1), "{length} in {part}");
                assert!(frames.iter().all(|frame| frame.len() <= 256 * 1024));
                assert!(fixture.open(&frames).unwrap() == content, "{length} in {part}");
            }
        }
    }

    #[test]
    fn single_bytes_come_back() {
        let fixture = Fixture::new();
        let content = content(500);
        assert_eq!(fixture.open(&fixture.seal(&content, 1)).unwrap(), content);
    }

    #[test]
    fn nothing_of_the_content_shows_and_no_two_streams_are_alike() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&[b'a'; 1000], 1000);
        assert!(!frames[0].windows(4).any(|window| window == b"aaaa"));
        assert_ne!(frames[0], fixture.seal(&[b'a'; 1000], 1000)[0]);
    }

    #[test]
    fn a_missing_end_is_noticed() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(3 * FRAME), FRAME);
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
    fn an_added_end_is_noticed() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(FRAME), FRAME);
        frames.push(frames[0].slice(HEADER_BYTES..));
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn changed_order_is_noticed() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(4 * FRAME), FRAME);
        frames.swap(1, 2);
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn frames_of_another_stream_of_the_same_blob_are_noticed() {
        let fixture = Fixture::new();
        let mut frames = fixture.seal(&content(2 * FRAME), FRAME);
        frames[1] = fixture.seal(&content(2 * FRAME), FRAME)[1].clone();
        assert_eq!(fixture.open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn another_blob_or_tenant_or_master_key_does_not_open_it() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&content(10), 10);

        let blob = BlobId(Uuid::from_u128(3));
        let other = Identity { blob, ..fixture.identity };
        assert_eq!(fixture.open_as(other, &frames), Err(FrameError::Tampered));

        let workspace = WorkspaceId(Uuid::from_u128(3));
        let other = Identity { workspace, ..fixture.identity };
        assert_eq!(fixture.open_as(other, &frames), Err(FrameError::Tampered));

        assert_eq!(Fixture::new().open(&frames), Err(FrameError::Tampered));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let fixture = Fixture::new();
        let frames = fixture.seal(&content(40), 40);
        for bit in 0..frames[0].len() * 8 {
            let mut changed = BytesMut::from(&frames[0][..]);
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(fixture.open(&[changed.freeze()]).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_generation_of_the_key_is_named() {
        let fixture = Fixture::new();
        let mut changed = BytesMut::from(&fixture.seal(&content(1), 1)[0][..]);
        changed[MAGIC.len() + 3] = 2;
        assert_eq!(fixture.open(&[changed.freeze()]), Err(FrameError::MissingKey { id: 2 }));
    }
}
