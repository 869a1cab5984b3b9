//! Similarity of texts by MinHash: the share of equal values in two signatures estimates the share of common pieces of the texts, and
//! equal bands of signatures find candidates without comparing all.

/// Values of a signature. The standard error of an estimate is at most 0.05.
const VALUES: usize = 128;
/// Letters in a piece of a text.
const PIECE_LETTERS: usize = 5;

/// The signature of a text: for each of several hash functions the smallest value of all pieces of five letters, regardless of case and
/// white space. 16 bits of each suffice to compare two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature(Vec<u16>);

impl Signature {
    /// The signature of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut smallest = [u64::MAX; VALUES];
        let mut piece = Vec::with_capacity(PIECE_LETTERS);
        let mut add = |piece: &[char]| {
            let hash = piece.iter().fold(0, |hash, letter| mix(hash ^ u64::from(u32::from(*letter))));
            for (index, value) in smallest.iter_mut().enumerate() {
                // Multiplication by an odd number is a permutation; its upper half depends on all bits.
                let permuted = hash.wrapping_mul(FACTORS[index]) >> 16;
                *value = permuted.min(*value);
            }
        };
        for letter in letters(text) {
            if piece.len() == PIECE_LETTERS {
                piece.remove(0);
            }
            piece.push(letter);
            if piece.len() == PIECE_LETTERS {
                add(&piece);
            }
        }
        if piece.len() < PIECE_LETTERS {
            add(&piece);
        }
        Self(smallest.iter().map(|value| (mix(*value) & 0xffff) as u16).collect())
    }

    /// The estimated share of common pieces, from 0 to 1.
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        let equal = self.0.iter().zip(&other.0).filter(|(one, other)| one == other).count();
        equal as f64 / VALUES as f64
    }

    /// Hashes of parts of the signature. Texts of the given similarity have, but for one pair in a hundred, an equal one.
    pub(super) fn bands(&self, similarity: f64) -> Vec<i64> {
        let rows = rows(similarity);
        let hash = |(band, values): (usize, &[u16])| {
            values.iter().fold(mix(band as u64 + 1), |hash, value| mix(hash ^ u64::from(*value))).cast_signed()
        };
        self.0.chunks(rows).enumerate().map(hash).collect()
    }

    /// The signature as bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// The signature of bytes; `None` if they are none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let values: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        (bytes.len() == 2 * VALUES).then_some(Self(values))
    }
}

/// Values in a band: as many as let texts of this similarity have an equal band with a probability of 99 %.
fn rows(similarity: f64) -> usize {
    let found = |rows: &usize| {
        let equal = similarity.powi(i32::try_from(*rows).unwrap_or(i32::MAX));
        1.0 - (1.0 - equal).powi(i32::try_from(VALUES / rows).unwrap_or(i32::MAX)) >= 0.99
    };
    [32, 16, 8, 4, 2].into_iter().find(found).unwrap_or(1)
}

/// The letters of a text in lower case, with one space for white space of any length.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    let words = text.split_whitespace().enumerate();
    words.flat_map(|(place, word)| {
        (place > 0).then_some(' ').into_iter().chain(word.chars().flat_map(char::to_lowercase))
    })
}

/// The finalizer of SplitMix64: each bit of the result depends on all of the value.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Odd numbers, one for each hash function.
const FACTORS: [u64; VALUES] = {
    let mut factors = [0; VALUES];
    let mut index = 0;
    while index < VALUES {
        factors[index] = mix(index as u64 + 1) | 1;
        index += 1;
    }
    factors
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn exact(one: &str, other: &str) -> f64 {
        let pieces = |text: &str| -> HashSet<String> {
            let letters: Vec<char> = letters(text).collect();
            letters.windows(PIECE_LETTERS).map(|piece| piece.iter().collect()).collect()
        };
        let (one, other) = (pieces(one), pieces(other));
        one.intersection(&other).count() as f64 / one.union(&other).count() as f64
    }

    fn text(words: std::ops::Range<u64>) -> String {
        words.map(|word| format!("{:x} ", mix(word) & 0xff_ffff)).collect()
    }

    #[test]
    fn estimate_is_near_the_share_of_common_pieces() {
        let mut errors = Vec::new();
        for common in [0_u64, 20, 50, 80, 95, 100] {
            let (one, other) = (text(0..100), text(100 - common..200 - common));
            let estimate = Signature::of(&one).similarity(&Signature::of(&other));
            errors.push(estimate - exact(&one, &other));
        }
        assert!(errors.iter().all(|error| error.abs() < 0.15), "{errors:?}");
        let mean = errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64;
        assert!(mean < 0.05, "{errors:?}");
    }

    #[test]
    fn similar_texts_have_an_equal_band() {
        for similarity in [0.5, 0.6, 0.7, 0.8, 0.9] {
            let (mut near, mut found) = (0, 0);
            for seed in 0..200_u64 {
                let (first, shift) = (seed * 1000, 100 - (seed % 50));
                let (one, other) = (text(first..first + 100), text(first + 100 - shift..first + 200 - shift));
                if exact(&one, &other) >= similarity {
                    near += 1;
                    let (one, other) = (Signature::of(&one).bands(similarity), Signature::of(&other).bands(similarity));
                    found += usize::from(one.iter().any(|band| other.contains(band)));
                }
            }
            assert!(near > 10 && found * 20 >= near * 19, "{similarity}: {found} of {near}");
        }
    }

    #[test]
    fn case_and_white_space_do_not_count_and_short_texts_have_signatures() {
        assert_eq!(Signature::of("The  Tide\nturns"), Signature::of("the tide turns"));
        assert_eq!(Signature::of("ab").similarity(&Signature::of("ab")), 1.0);
        assert!(Signature::of("ab").similarity(&Signature::of("cd")) < 0.1);
        let signature = Signature::of("the tide turns");
        assert_eq!(Signature::from_bytes(&signature.to_bytes()), Some(signature));
        assert_eq!(Signature::from_bytes(&[1, 2]), None);
    }
}
