//! Packed postings: the documents of a term, with its frequency and the document's length, in a few bytes each.

/// A document that has a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    /// The number of the document.
    pub document: i64,
    /// How often it has the term.
    pub frequency: u32,
    /// The number of its words.
    pub length: u32,
}

/// Packs postings in the order of their documents.
#[must_use]
pub fn pack(postings: &[Posting]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(postings.len() * 5);
    let mut last = 0;
    for posting in postings {
        put(&mut packed, posting.document.wrapping_sub(last).cast_unsigned());
        put(&mut packed, u64::from(posting.frequency));
        put(&mut packed, u64::from(posting.length));
        last = posting.document;
    }
    packed
}

/// The postings of packed bytes; those after a damaged one are missing.
pub fn unpack(packed: &[u8]) -> impl Iterator<Item = Posting> {
    let (mut rest, mut document) = (packed, 0_i64);
    std::iter::from_fn(move || {
        let distance = take(&mut rest)?;
        document = document.wrapping_add(distance.cast_signed());
        let (frequency, length) = (take(&mut rest)?, take(&mut rest)?);
        Some(Posting { document, frequency: u32::try_from(frequency).ok()?, length: u32::try_from(length).ok()? })
    })
}

fn put(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_are_the_same_after_packing() {
        let documents = [0, 1, 127, 128, 4_096, 1 << 40, i64::MAX];
        let postings: Vec<_> = documents
            .iter()
            .zip(1..)
            .map(|(document, n)| Posting { document: *document, frequency: n, length: n * 1_000_000 })
            .collect();
        let packed = pack(&postings);
        assert_eq!(unpack(&packed).collect::<Vec<_>>(), postings);
        assert_eq!(unpack(&packed[..packed.len() - 1]).count(), postings.len() - 1, "a damaged end is left out");
        assert_eq!(unpack(&[0xff; 40]).count(), 0);
        assert_eq!(pack(&[Posting { document: 5, frequency: 1, length: 200 }]).len(), 4);
    }
}
