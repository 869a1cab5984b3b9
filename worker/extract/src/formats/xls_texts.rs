//! Texts of XLS: in bytes or in UTF-16, and cut by the ends of records.

use encoding_rs::{UTF_16LE, WINDOWS_1252};

/// The texts of a record and of those that continue it.
pub(super) struct Texts<'a> {
    bytes: &'a [u8],
    /// The records behind, the next one last.
    further: Vec<&'a [u8]>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(record: &'a [u8], mut further: Vec<&'a [u8]>) -> Self {
        further.reverse();
        Self { bytes: record, further }
    }

    /// All texts that cells share, behind two numbers of them. `None`: the last one is cut short.
    pub(super) fn shared(mut self) -> Option<Vec<String>> {
        self.skip(8)?;
        let mut texts = Vec::new();
        while !self.is_at_end() {
            texts.push(self.text_with_parts(true)?);
        }
        Some(texts)
    }

    /// A text of a cell.
    pub(super) fn text(mut self) -> Option<String> {
        self.text_with_parts(false)
    }

    /// A text behind its number of units and its flags; before it the numbers of what stands behind it, if that can be there.
    fn text_with_parts(&mut self, has_parts: bool) -> Option<String> {
        let mut units = usize::from(self.number16()?);
        let mut flags = self.byte()?;
        let mut behind = 0;
        if has_parts && flags & 8 != 0 {
            // Stretches of one font.
            behind += 4 * usize::from(self.number16()?);
        }
        if has_parts && flags & 4 != 0 {
            // Readings.
            behind += usize::from(self.number16()?) | usize::from(self.number16()?) << 16;
        }
        let mut text = String::with_capacity(units);
        loop {
            let (part, bytes) = bytes_or_wide(self.bytes, units, flags & 1 != 0);
            text.push_str(&part);
            self.bytes = &self.bytes[bytes..];
            units -= if flags & 1 != 0 { bytes / 2 } else { bytes };
            if units == 0 {
                break;
            }
            // The rest of a text has flags of its own.
            self.bytes = self.further.pop()?;
            flags = self.byte()?;
        }
        if has_parts {
            self.skip(behind)?;
        }
        Some(text)
    }

    fn is_at_end(&mut self) -> bool {
        while self.bytes.is_empty() {
            let Some(next) = self.further.pop() else { return true };
            self.bytes = next;
        }
        false
    }

    fn byte(&mut self) -> Option<u8> {
        if self.is_at_end() {
            return None;
        }
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(byte)
    }

    fn number16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            if self.is_at_end() {
                return None;
            }
            let part = count.min(self.bytes.len());
            self.bytes = &self.bytes[part..];
            count -= part;
        }
        Some(())
    }
}

/// As many units of a text as there are, in UTF-16 or its lower bytes, and how many bytes they take.
pub(super) fn bytes_or_wide(bytes: &[u8], units: usize, is_wide: bool) -> (String, usize) {
    let count = if is_wide { units.min(bytes.len() / 2) * 2 } else { units.min(bytes.len()) };
    // Writers that know no UTF-16 put bytes of Windows there.
    let encoding = if is_wide { UTF_16LE } else { WINDOWS_1252 };
    (encoding.decode_without_bom_handling(&bytes[..count]).0.into_owned(), count)
}
