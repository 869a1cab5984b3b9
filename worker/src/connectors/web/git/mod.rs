//! Files of Git repositories, over HTTP with protocol 2.
//!
//! A listing fetches the trees of one commit, without history and, where the server can, without contents; the ids of contents are
//! the revisions of files, and each changed one is fetched by itself as it is streamed into the object store. So there is no working
//! copy, and neither memory nor disk grow with contents. The protocol is spoken here: the crate `gix` adds 61 crates to the build and
//! dials by itself, and `gix-pack` adds 25 for an index of packs on disk.

mod object;
mod pack;
mod packets;
mod repository;
mod source;
mod tree;

pub(in crate::connectors) use self::source::open;
