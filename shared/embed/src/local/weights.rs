//! Reads the tensors of a published `model.safetensors` one at a time.
//!
//! The caller lays out each tensor and drops it before the next, so loading needs hardly more memory than the model itself. The
//! format: eight bytes of length, that much JSON (name to type, shape and byte range), then the data.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use half::{bf16, f16};
use serde::Deserialize;

use crate::OpenModelError;

/// A longer header is invalid: that of a model with a thousand tensors has about 100 kB.
const HEADER_LIMIT_BYTES: u64 = 16 << 20;
/// Bytes that are read and converted at a time.
const READ_BYTES: usize = 1 << 20;

/// An open tensor file.
pub(super) struct Weights {
    file: File,
    data: u64,
    tensors: HashMap<String, Tensor>,
    prefix: String,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Weights {
    /// Opens `path` and reads its table of tensors. The prefix of tensor names (`bert.`, `roberta.`, none) is that of `landmark`, a
    /// tensor that every model has.
    pub(super) fn open(path: &Path, landmark: &str) -> Result<Self, OpenModelError> {
        let invalid = |reason: String| OpenModelError::Model { path: path.to_path_buf(), reason };
        let mut file = File::open(path).map_err(|error| invalid(error.to_string()))?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|error| invalid(error.to_string()))?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_LIMIT_BYTES {
            return Err(invalid("it is not a safetensors file".into()));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|error| invalid(error.to_string()))?;
        let header: HashMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
        let tensors: HashMap<String, Tensor> = header
            .into_iter()
            .filter(|(name, _)| name != "__metadata__")
            .map(|(name, value)| Ok((name, serde_json::from_value(value)?)))
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| invalid(error.to_string()))?;
        let prefix = tensors
            .keys()
            .find_map(|name| name.strip_suffix(landmark))
            .ok_or_else(|| invalid(format!("it has no tensor {landmark}: not an encoder of the BERT family")))?
            .to_owned();
        Ok(Self { file, data: 8 + length, tensors, prefix })
    }

    /// The shape of a tensor, or `None` if the file has no such tensor.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(&format!("{}{name}", self.prefix)).map(|tensor| tensor.shape.as_slice())
    }

    /// Reads a tensor as 32-bit floats, row by row; fails if it is missing or not of `shape`.
    pub(super) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, OpenModelError> {
        self.read_whole(&format!("{}{name}", self.prefix), shape)
    }

    /// As [`Weights::shape`], of a tensor whose name has no prefix, as those of heads on an encoder.
    pub(super) fn head_shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// As [`Weights::read`], of a tensor whose name has no prefix.
    pub(super) fn read_head(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, OpenModelError> {
        self.read_whole(name, shape)
    }

    /// Reads the tensor with this whole name.
    fn read_whole(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, OpenModelError> {
        let invalid = |reason: &str| OpenModelError::Tensor { name: name.to_owned(), reason: reason.to_owned() };
        let tensor = self.tensors.get(name).ok_or_else(|| invalid("it is missing"))?;
        if tensor.shape != shape {
            return Err(invalid(&format!("its shape is {:?}, not {shape:?}", tensor.shape)));
        }
        let convert: fn(&[u8], &mut Vec<f32>) = match tensor.dtype.as_str() {
            "F32" => |bytes, out| out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            "F16" => |bytes, out| out.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
            "BF16" => |bytes, out| out.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
            other => return Err(invalid(&format!("its type {other} is not one of F32, F16, BF16"))),
        };
        let (start, end) = tensor.data_offsets;
        let mut left = end.saturating_sub(start) as usize;
        let count = shape.iter().product();
        let mut values = Vec::with_capacity(count);
        let mut piece = vec![0; READ_BYTES.min(left)];
        self.file.seek(SeekFrom::Start(self.data + start)).map_err(|error| invalid(&error.to_string()))?;
        while left > 0 {
            let piece = &mut piece[..READ_BYTES.min(left)];
            self.file.read_exact(piece).map_err(|error| invalid(&error.to_string()))?;
            convert(piece, &mut values);
            left -= piece.len();
        }
        if values.len() != count {
            return Err(invalid("its length does not match its shape"));
        }
        Ok(values)
    }
}
