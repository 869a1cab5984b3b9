//! Repeatable texts.

use crate::noise::Noise;

const VOCABULARY: usize = 30_000;
const STOP_WORDS: [&str; 16] =
    ["the", "of", "and", "in", "to", "is", "for", "with", "that", "on", "are", "by", "was", "how", "what", "which"];

/// Words of a vocabulary in which a few are frequent, as in a language, and a third are stop words.
pub fn words(noise: &mut Noise, count: usize) -> String {
    let word = |noise: &mut Noise| {
        let share = noise.share();
        if noise.share() < 0.35 {
            return STOP_WORDS[(share * share * STOP_WORDS.len() as f64) as usize].to_owned();
        }
        let rank = ((VOCABULARY as f64).powf(share) as usize).min(VOCABULARY - 1);
        name(rank)
    };
    (0..count).map(|_| word(noise)).collect::<Vec<_>>().join(" ")
}

/// A word for each number.
fn name(mut number: usize) -> String {
    const SYLLABLES: [&str; 16] =
        ["bal", "cor", "den", "fi", "gal", "hu", "jo", "kem", "lin", "mar", "nok", "pel", "rus", "tav", "vor", "zan"];
    let mut name = String::new();
    for _ in 0..4 {
        name.push_str(SYLLABLES[number % 16]);
        number /= 16;
    }
    name
}

/// A number with separators of thousands.
pub fn thousands(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}
