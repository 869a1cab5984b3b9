//! Files in the bodies of requests: uploads, and runs that bring their files. The bytes are received, then rows refer to them.

mod accept;
mod file_name;
mod multipart;
mod part_fields;

pub use self::{
    accept::{UploadOutcome, accept, delete_unreferenced, record_update, set},
    multipart::{FormKind, MultipartUpload, REQUEST, ReceivedForm, UploadLimits, binaries},
};
