//! Encoded binary within a text: pictures and keys in Base64, checksums in hexadecimal digits. It has no words to find.

use std::ops::Range;

/// Shortest run of letters that is taken for encoded binary.
const MIN_RUN_BYTES: usize = 256;
/// Shortest line of a block of encoded lines, and the fewest lines of one.
const MIN_LINE_BYTES: usize = 60;
const MIN_LINES: usize = 5;

/// The parts of a range without encoded binary.
pub(super) fn without_noise(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = range.start;
    for noise in noise(text, range.clone()) {
        if from < noise.start {
            parts.push(from..noise.start);
        }
        from = noise.end;
    }
    if from < range.end {
        parts.push(from..range.end);
    }
    parts
}

/// Stretches of encoded binary, in order.
fn noise(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    // The open block of encoded lines.
    let mut block: Option<(Range<usize>, usize)> = None;
    let mut place = range.start;
    let mut close = |block: &mut Option<(Range<usize>, usize)>| {
        if let Some((lines, count)) = block.take()
            && (count >= MIN_LINES || lines.len() >= MIN_RUN_BYTES * 2)
            && is_encoded(&bytes[lines.clone()])
        {
            found.push(lines);
        }
    };
    while place < range.end {
        if !is_letter(bytes[place]) {
            // Only a line end continues a block.
            if !matches!(bytes[place], b'\n' | b'\r') {
                close(&mut block);
            }
            place += 1;
            continue;
        }
        let run = bytes[place..range.end].iter().take_while(|byte| is_letter(**byte)).count();
        let end = place + run;
        match &mut block {
            Some((lines, count)) if run >= MIN_LINE_BYTES => {
                lines.end = end;
                *count += 1;
            }
            // The last line of a block is shorter.
            Some((lines, count)) if *count >= MIN_LINES && is_line(bytes, place, end) => {
                lines.end = end;
                close(&mut block);
            }
            _ => {
                close(&mut block);
                if run >= MIN_LINE_BYTES {
                    block = Some((place..end, if run >= MIN_RUN_BYTES { MIN_LINES } else { 1 }));
                }
            }
        }
        place = end;
    }
    close(&mut block);
    found
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// Whether a run is a line of its own.
fn is_line(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
    start.checked_sub(1).is_none_or(|place| is_end(bytes.get(place))) && is_end(bytes.get(end))
}

/// Whether letters are too mixed to be words, or hexadecimal digits.
fn is_encoded(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    let (mut digits, mut upper, mut lower, mut hexadecimal, mut all) = (0, 0, 0, 0, 0);
    for &byte in bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        seen[usize::from(byte)] = true;
        all += 1;
        digits += usize::from(byte.is_ascii_digit());
        upper += usize::from(byte.is_ascii_uppercase());
        lower += usize::from(byte.is_ascii_lowercase());
        hexadecimal += usize::from(byte.is_ascii_hexdigit());
    }
    let distinct = seen.iter().filter(|is_seen| **is_seen).count();
    if hexadecimal == all {
        return distinct >= 4;
    }
    distinct >= 24 && [digits, upper, lower].iter().all(|count| count * 20 >= all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        without_noise(text, 0..text.len()).into_iter().map(|range| &text[range]).collect()
    }

    /// Bytes in Base64 without a pattern.
    fn encoded(letters: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(state >> 58) as usize])
        };
        (0..letters).map(|_| next()).collect()
    }

    #[test]
    fn encoded_binary_is_left_out() {
        let picture = encoded(4_000);
        assert_eq!(
            kept(&format!("before ![x](data:image/png;base64,{picture}) after")),
            "before ![x](data:image/png;base64,) after"
        );
        let lines: Vec<String> =
            encoded(760).as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        assert_eq!(kept(&format!("key:\n{}\nQUJD\nend.", lines.join("\n"))), "key:\n\nend.");
        assert_eq!(kept(&format!("sum {}.", "deadbeef".repeat(2_000))), "sum .");
    }

    #[test]
    fn words_are_kept() {
        for text in [
            "plain words, and some more of them",
            &"x".repeat(3_000),
            &"水と火。".repeat(300),
            &"Donaudampfschifffahrtsgesellschaft".repeat(20),
            &"-".repeat(1_000),
            "2f9c1a7be4d05f6e8a1b 64 0xdeadbeef",
        ] {
            assert_eq!(kept(text), *text);
        }
    }
}
