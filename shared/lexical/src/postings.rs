//! Packed postings: the documents of a term, with its frequency and the document's length, in blocks that a search can skip.
//!
//! A block has up to [`BLOCK_POSTINGS`] postings, in a few bytes each:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the number of postings, less one |
//! | 3 varints | the first document less the last one of the block before, the lowest frequency, the shortest length |
//! | 3 varints, if there are several postings | the highest numbers of the three columns |
//! | 3 columns | the documents less the first, the frequencies less the lowest, the lengths less the shortest |
//!
//! All numbers of a column have as many bytes as its highest one, none if that is 0, so that each can be read without those
//! before it.

mod row;

pub(crate) use self::row::Block;
pub use self::row::Row;

/// The maximum number of postings of a block.
pub const BLOCK_POSTINGS: usize = 128;

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
    let mut packed = Vec::with_capacity(postings.len() * 5 + 8);
    let mut before = 0;
    for block in postings.chunks(BLOCK_POSTINGS) {
        let (first, last) = (block[0].document, block[block.len() - 1].document);
        let (lowest, highest) = range(block.iter().map(|posting| posting.frequency));
        let (shortest, longest) = range(block.iter().map(|posting| posting.length));
        packed.push((block.len() - 1) as u8);
        put(&mut packed, distance(before, first));
        put(&mut packed, u64::from(lowest));
        put(&mut packed, u64::from(shortest));
        if block.len() > 1 {
            let maxima = [distance(first, last), u64::from(highest - lowest), u64::from(longest - shortest)];
            maxima.iter().for_each(|maximum| put(&mut packed, *maximum));
            let [documents, frequencies, lengths] = maxima.map(width);
            for posting in block {
                put_wide(&mut packed, documents, distance(first, posting.document));
            }
            for posting in block {
                put_wide(&mut packed, frequencies, u64::from(posting.frequency - lowest));
            }
            for posting in block {
                put_wide(&mut packed, lengths, u64::from(posting.length - shortest));
            }
        }
        before = last;
    }
    packed
}

/// The postings of packed bytes; those of a damaged block and after it are missing.
pub fn unpack(packed: &[u8]) -> impl Iterator<Item = Posting> {
    heads(packed).flat_map(move |head| {
        let columns = head.columns_of(packed);
        (0..head.count()).map(move |place| head.posting(columns, place))
    })
}

/// The heads of packed bytes up to a damaged block.
fn heads(packed: &[u8]) -> impl Iterator<Item = Head> {
    let (mut rest, mut before) = (packed, 0);
    std::iter::from_fn(move || {
        let head = Head::take(packed.len(), &mut rest, before)?;
        before = head.last;
        Some(head)
    })
}

/// The beginning of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Its first document.
    pub(crate) first: i64,
    /// Its last document.
    pub(crate) last: i64,
    /// Where its columns begin in the packed bytes.
    columns: usize,
    lowest_frequency: u32,
    /// No document has the term more often.
    pub(crate) highest_frequency: u32,
    /// No document is shorter.
    pub(crate) shortest_length: u32,
    count: u8,
    /// Bytes of a number of each column.
    widths: [u8; 3],
}

impl Head {
    /// Takes a block from the rest of packed bytes, of which there are `end`.
    fn take(end: usize, rest: &mut &[u8], before: i64) -> Option<Self> {
        let (more, after) = rest.split_first()?;
        *rest = after;
        let count = usize::from(*more) + 1;
        if count > BLOCK_POSTINGS {
            return None;
        }
        let first = before.wrapping_add(take(rest)?.cast_signed());
        let lowest_frequency = u32::try_from(take(rest)?).ok()?;
        let shortest_length = u32::try_from(take(rest)?).ok()?;
        let maxima = if count > 1 { [take(rest)?, take(rest)?, take(rest)?] } else { [0; 3] };
        let widths = maxima.map(width);
        let columns = end - rest.len();
        *rest = rest.get(count * widths.iter().sum::<usize>()..)?;
        Some(Self {
            columns,
            first,
            last: first.checked_add_unsigned(maxima[0])?,
            lowest_frequency,
            highest_frequency: lowest_frequency.checked_add(u32::try_from(maxima[1]).ok()?)?,
            shortest_length,
            count: count as u8,
            widths: widths.map(|width| width as u8),
        })
    }

    /// The number of its postings.
    pub(crate) fn count(&self) -> usize {
        self.count.into()
    }

    fn columns_of<'a>(&self, packed: &'a [u8]) -> &'a [u8] {
        &packed[self.columns..]
    }

    fn document(&self, columns: &[u8], place: usize) -> i64 {
        self.first.wrapping_add(number(columns, self.widths[0].into(), place).cast_signed())
    }

    fn posting(&self, columns: &[u8], place: usize) -> Posting {
        let [documents, frequencies, lengths] = self.widths.map(usize::from);
        let (of_frequencies, of_lengths) = (documents * self.count(), (documents + frequencies) * self.count());
        let frequency = number(&columns[of_frequencies..], frequencies, place) as u32;
        let length = number(&columns[of_lengths..], lengths, place) as u32;
        Posting {
            document: self.first.wrapping_add(number(columns, documents, place).cast_signed()),
            frequency: self.lowest_frequency.wrapping_add(frequency),
            length: self.shortest_length.wrapping_add(length),
        }
    }
}

/// The lowest and the highest number.
fn range(numbers: impl Iterator<Item = u32>) -> (u32, u32) {
    numbers.fold((u32::MAX, 0), |(lowest, highest), number| (lowest.min(number), highest.max(number)))
}

fn distance(from: i64, to: i64) -> u64 {
    to.wrapping_sub(from).cast_unsigned()
}

/// The bytes of numbers up to a highest one.
fn width(highest: u64) -> usize {
    match highest {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        0x100_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn put_wide(packed: &mut Vec<u8>, width: usize, number: u64) {
    packed.extend_from_slice(&number.to_le_bytes()[..width]);
}

/// The number at a place of a column.
fn number(column: &[u8], width: usize, place: usize) -> u64 {
    match column[place * width..][..width] {
        [] => 0,
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
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

    fn postings(documents: impl IntoIterator<Item = i64>) -> Vec<Posting> {
        let numbered = documents.into_iter().zip(1..);
        numbered.map(|(document, n)| Posting { document, frequency: n, length: n * 1_000 }).collect()
    }

    #[test]
    fn postings_are_the_same_after_packing() {
        let sparse = postings([0, 1, 127, 128, 4_096, 1 << 40, i64::MAX]);
        assert_eq!(unpack(&pack(&sparse)).collect::<Vec<_>>(), sparse);
        for step in [1, 2, 3, 700, 200_000, 1 << 33] {
            for count in [1, 2, 127, 128, 129, 1_000] {
                let postings = postings((0..count).map(|n| 77 + n * step));
                assert_eq!(unpack(&pack(&postings)).collect::<Vec<_>>(), postings, "{count} by {step}");
                let row = Row::new(pack(&postings));
                let mut read = Vec::new();
                for block in (0..row.heads().len()).filter_map(|block| row.block(block)) {
                    let count = block.head.count();
                    block.read(0..count / 3, &mut read);
                    block.read(count / 3..count, &mut read);
                }
                assert_eq!(read, postings, "{count} by {step}");
            }
        }
        assert_eq!(unpack(&pack(&[])).count(), 0);
    }

    #[test]
    fn damaged_block_ends_the_postings() {
        let packed = pack(&postings(0..300));
        assert_eq!(unpack(&packed[..packed.len() - 1]).count(), 2 * BLOCK_POSTINGS);
        assert_eq!(unpack(&[0xff; 40]).count(), 0);
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]).count() % BLOCK_POSTINGS, 0);
        }
    }

    #[test]
    fn posting_takes_few_bytes() {
        assert_eq!(pack(&[Posting { document: 5, frequency: 1, length: 200 }]).len(), 5);
        let frequent: Vec<_> = (0..1_280).map(|n| Posting { document: 9 * n, frequency: 1, length: 200 }).collect();
        assert!(pack(&frequent).len() < 1_280 * 5 / 2);
    }

    #[test]
    fn block_knows_its_range_and_places() {
        let row = Row::new(pack(&postings((0..200).map(|n| 10 * n))));
        assert_eq!((row.heads().len(), row.count(), row.range()), (2, 200, Some((0, 1_990))));
        assert!(row.postings().eq(postings((0..200).map(|n| 10 * n))));
        let block = row.block(1).unwrap();
        assert_eq!((block.head.first, block.head.last, block.head.count()), (1_280, 1_990, 72));
        assert_eq!((block.head.highest_frequency, block.head.shortest_length), (200, 129_000));
        assert_eq!(block.place_of(1_291, 0), 2);
        assert_eq!(block.place_of(1_300, 2), 2);
        assert_eq!(block.place_of(5_000, 2), 71);
        assert_eq!([0, 1_270, 1_271, 1_990, 1_991].map(|document| row.block_from(0, document)), [0, 0, 1, 1, 2]);
        assert_ne!(row.id(), Row::new(Vec::new()).id());
    }
}
