//! A pack while it arrives: object by object, each unpacked piece by piece.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};
use nvisy_shared::domain::failure::FailureCode;

use super::{
    object::{self, IdHasher, Kind, ObjectId},
    packets::{Packet, Packets, invalid, refused},
};
use crate::connectors::CallFailure;

/// Bytes of trees and commits, and of deltas to them, that are held at once.
const MAX_HELD_BYTES: usize = 128 << 20;
/// Bytes of an unpacked piece.
const PIECE_BYTES: usize = 64 << 10;

/// The form of an object in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The whole object.
    Whole(Kind),
    /// The difference to another one.
    Delta(ObjectId),
}

/// A pack in a response.
pub(super) struct Pack {
    packets: Packets,
    buffer: BytesMut,
    objects: u32,
    current: Option<Unpacking>,
}

struct Unpacking {
    zlib: Decompress,
    left: u64,
}

impl Pack {
    /// Begins with a response to `fetch`, behind the section of the pack.
    pub(super) async fn open(mut packets: Packets) -> Result<Self, CallFailure> {
        loop {
            match packets.next().await? {
                Packet::Data(line) if line.as_ref() == b"packfile\n" => break,
                Packet::Flush => return Err(invalid("it has no pack")),
                // Other sections, such as that of shallow commits.
                Packet::Data(_) | Packet::Delimiter => {}
            }
        }
        let mut pack = Self { packets, buffer: BytesMut::new(), objects: 0, current: None };
        let head = pack.take(12).await?;
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if &head[..4] != b"PACK" || number(4) != 2 {
            return Err(invalid("it has no pack of version 2"));
        }
        pack.objects = number(8);
        Ok(pack)
    }

    /// Reads more of the pack; returns whether there was more.
    async fn fill(&mut self) -> Result<bool, CallFailure> {
        loop {
            match self.packets.next().await? {
                Packet::Data(data) => match data.first() {
                    Some(1) => {
                        self.buffer.extend_from_slice(&data[1..]);
                        return Ok(true);
                    }
                    Some(3) => return Err(refused(&data[1..])),
                    // Progress, for people.
                    _ => {}
                },
                Packet::Delimiter => {}
                Packet::Flush => return Ok(false),
            }
        }
    }

    async fn take(&mut self, bytes: usize) -> Result<Bytes, CallFailure> {
        while self.buffer.len() < bytes {
            if !self.fill().await? {
                return Err(invalid("the pack ends early"));
            }
        }
        Ok(self.buffer.split_to(bytes).freeze())
    }

    /// The form and length of the next object, whose content [`Pack::piece`] reads; `None`: there is no further one.
    pub(super) async fn next(&mut self) -> Result<Option<(Form, u64)>, CallFailure> {
        while self.piece().await?.is_some() {}
        if self.objects == 0 {
            return Ok(None);
        }
        self.objects -= 1;
        let mut byte = self.take(1).await?[0];
        let code = (byte >> 4) & 7;
        let (mut length, mut shift) = (u64::from(byte & 15), 4);
        while byte & 0x80 != 0 {
            byte = self.take(1).await?[0];
            if shift > 56 {
                return Err(invalid("an object is too large"));
            }
            length |= u64::from(byte & 0x7f) << shift;
            shift += 7;
        }
        let form = match code {
            1 => Form::Whole(Kind::Commit),
            2 => Form::Whole(Kind::Tree),
            3 => Form::Whole(Kind::Blob),
            4 => Form::Whole(Kind::Tag),
            7 => {
                let id = self.take(20).await?;
                let id = id.as_ref().try_into().map_err(|_| invalid("an id is cut short"))?;
                Form::Delta(ObjectId(id))
            }
            _ => return Err(invalid("the pack has an object of unknown form")),
        };
        self.current = Some(Unpacking { zlib: Decompress::new(true), left: length });
        Ok(Some((form, length)))
    }

    /// The next piece of the object's content; `None`: it is complete.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CallFailure> {
        let Some(mut current) = self.current.take() else { return Ok(None) };
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            if self.buffer.is_empty() && !self.fill().await? {
                return Err(invalid("the pack ends early"));
            }
            let (read, made) = (current.zlib.total_in(), current.zlib.total_out());
            let status = current.zlib.decompress(&self.buffer, &mut piece, FlushDecompress::None);
            let status = status.map_err(|_| invalid("an object of the pack is damaged"))?;
            let (read, made) = (current.zlib.total_in() - read, current.zlib.total_out() - made);
            self.buffer.advance(usize::try_from(read).unwrap_or(usize::MAX));
            let is_end = status == Status::StreamEnd;
            if made > current.left || (is_end && made < current.left) {
                return Err(invalid("an object has another length than the pack says"));
            }
            current.left -= made;
            if is_end || made > 0 {
                piece.truncate(usize::try_from(made).unwrap_or(usize::MAX));
                if !is_end {
                    self.current = Some(current);
                }
                return Ok(Some(piece.into()));
            }
            if read == 0 && !self.fill().await? {
                return Err(invalid("the pack ends early"));
            }
        }
    }

    /// The commits and trees of the pack. Contents, which servers send that cannot leave them out, are passed over.
    pub(super) async fn trees(&mut self) -> Result<HashMap<ObjectId, Bytes>, CallFailure> {
        let mut held = Held::default();
        while let Some((form, length)) = self.next().await? {
            match form {
                Form::Whole(kind @ (Kind::Commit | Kind::Tree)) => {
                    let content = self.collect(&mut held, length).await?;
                    held.objects.insert(ObjectId::of(kind, &content), (kind, content));
                }
                Form::Delta(base) => {
                    let delta = self.collect(&mut held, length).await?;
                    held.deltas.push((base, delta));
                }
                Form::Whole(Kind::Blob | Kind::Tag) => {}
            }
        }
        held.resolve();
        Ok(held.objects.into_iter().map(|(id, (_, content))| (id, content)).collect())
    }

    async fn collect(&mut self, held: &mut Held, length: u64) -> Result<Bytes, CallFailure> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        held.bytes = held.bytes.saturating_add(length);
        if held.bytes > MAX_HELD_BYTES {
            let reason = format!("the folders of the repository have more than {MAX_HELD_BYTES} bytes");
            return Err(CallFailure::item(FailureCode::SourceRejected, reason));
        }
        let mut content = Vec::with_capacity(length);
        while let Some(piece) = self.piece().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content.into())
    }
}

/// Trees and commits in memory.
#[derive(Default)]
struct Held {
    objects: HashMap<ObjectId, (Kind, Bytes)>,
    deltas: Vec<(ObjectId, Bytes)>,
    bytes: usize,
}

impl Held {
    /// Applies deltas whose base is known; the others are those of contents.
    fn resolve(&mut self) {
        loop {
            let before = self.deltas.len();
            for (base, delta) in std::mem::take(&mut self.deltas) {
                let Some((kind, content)) = self.objects.get(&base).cloned() else {
                    self.deltas.push((base, delta));
                    continue;
                };
                let room = MAX_HELD_BYTES.saturating_sub(self.bytes);
                if let Some(content) = object::apply_delta(&content, &delta, room) {
                    self.bytes += content.len();
                    self.objects.insert(ObjectId::of(kind, &content), (kind, content));
                }
            }
            if self.deltas.len() == before {
                return;
            }
        }
    }
}

/// The content of an object while it is compared with its id.
pub(super) struct CheckedBlob {
    pack: Pack,
    hash: Option<IdHasher>,
    id: ObjectId,
}

impl CheckedBlob {
    /// The content of the first object of a pack.
    pub(super) async fn open(mut pack: Pack, id: ObjectId) -> Result<(Self, u64), CallFailure> {
        match pack.next().await? {
            Some((Form::Whole(Kind::Blob), length)) => {
                let hash = Some(IdHasher::new(Kind::Blob, length));
                Ok((Self { pack, hash, id }, length))
            }
            _ => Err(invalid("the pack has another object than the file")),
        }
    }

    /// The next piece; `None`: the content is complete and has the id.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, CallFailure> {
        if let Some(piece) = self.pack.piece().await? {
            if let Some(hash) = &mut self.hash {
                hash.update(&piece);
            }
            return Ok(Some(piece));
        }
        match self.hash.take().map(IdHasher::finish) {
            Some(id) if id != self.id => Err(invalid("the content has another id than the file")),
            _ => Ok(None),
        }
    }
}
