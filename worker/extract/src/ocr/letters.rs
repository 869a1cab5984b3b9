//! The letters that the second model knows, and those among them that a hint of languages allows.

use serde::{Deserialize, Serialize};

/// The writing of languages that the models read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Latin letters.
    Latin,
    /// Chinese characters, and Latin letters among them.
    Chinese,
    /// Kana, Chinese characters, and Latin letters among them.
    Japanese,
}

/// Greek letters that look like Latin ones. The others stand in formulas of all languages.
const SIMILAR_LETTERS: &str = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧικνου";

/// Letters by their number in the output of the model; the first stands for none.
pub(super) struct Letters {
    texts: Vec<String>,
    /// Whether a letter may be read, by number; empty: all may.
    allowed: Vec<bool>,
}

impl Letters {
    /// The letters of a list, one a line. Without scripts all are allowed.
    pub(super) fn new(list: &str, scripts: &[Script]) -> Self {
        let mut texts = vec![String::new()];
        texts.extend(list.lines().map(str::to_owned));
        texts.push(" ".to_owned());
        let is_allowed = |text: &String| text.chars().all(|letter| is_in(letter, scripts));
        let allowed = if scripts.is_empty() { Vec::new() } else { texts.iter().map(is_allowed).collect() };
        Self { texts, allowed }
    }

    /// The text and the mean probability of the most probable letters: repeated ones are one, and the first class separates.
    pub(super) fn read(&self, output: &[f32], steps: usize, classes: usize) -> (String, f32) {
        let (mut text, mut sum, mut count) = (String::new(), 0.0, 0_usize);
        let mut before = 0;
        for step in output.chunks_exact(classes).take(steps) {
            let Some((class, probability)) = self.best(step) else { continue };
            if class != 0 && class != before {
                if let Some(letter) = self.texts.get(class) {
                    text.push_str(letter);
                }
                sum += probability;
                count += 1;
            }
            before = class;
        }
        (text, if count == 0 { 0.0 } else { sum / count as f32 })
    }

    /// The most probable class of a step. Where that is a letter that is not allowed, there is a letter: the most probable
    /// one of those that are, with its share of them.
    fn best(&self, step: &[f32]) -> Option<(usize, f32)> {
        let (class, probability) = most(step.iter().copied().enumerate())?;
        if class == 0 || self.is_allowed(class) {
            return Some((class, probability));
        }
        let letters = || step.iter().copied().enumerate().skip(1).filter(|(class, _)| self.is_allowed(*class));
        let (class, probability) = most(letters())?;
        let sum: f32 = letters().map(|(_, probability)| probability).sum();
        let is_letter = 1.0 - step[0];
        Some((class, if sum > 0.0 { is_letter * probability / sum } else { 0.0 }))
    }

    fn is_allowed(&self, class: usize) -> bool {
        self.allowed.get(class).is_none_or(|allowed| *allowed)
    }
}

fn most(classes: impl Iterator<Item = (usize, f32)>) -> Option<(usize, f32)> {
    classes.max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Whether texts in a script have a letter. Digits, marks and signs are in all of them.
fn is_in(letter: char, scripts: &[Script]) -> bool {
    match letter {
        // Hiragana and Katakana, also of half the width.
        '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF61}'..='\u{FF9F}' => {
            scripts.contains(&Script::Japanese)
        }
        // Roman numerals as one letter, Chinese characters and their marks, letters and signs of full width.
        '\u{2160}'..='\u{217F}'
        | '\u{2E80}'..='\u{303F}'
        | '\u{3100}'..='\u{312F}'
        | '\u{3200}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{FFA0}'..='\u{FFEF}'
        | '\u{20000}'..='\u{3FFFF}' => scripts.iter().any(|script| *script != Script::Latin),
        // Coptic.
        '\u{3E2}'..='\u{3EF}' => false,
        letter => !SIMILAR_LETTERS.contains(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of each: 1 to 8, and 9 is the blank.
    const LIST: &str = "o\nο\n口\nロ\n力\nカ\nΩ\n7";

    /// A step in which the classes have these probabilities, and all others none.
    fn step(probabilities: &[(usize, f32)]) -> Vec<f32> {
        let mut step = vec![0.0; 10];
        for (class, probability) in probabilities {
            step[*class] = *probability;
        }
        step
    }

    fn read(scripts: &[Script], steps: &[Vec<f32>]) -> (String, f32) {
        Letters::new(LIST, scripts).read(&steps.concat(), steps.len(), 10)
    }

    #[test]
    fn repeated_letters_are_one_unless_separated() {
        let (letter, none) = (step(&[(1, 0.9)]), step(&[(0, 0.9)]));
        let steps = [letter.clone(), letter.clone(), none, letter];
        assert_eq!(read(&[], &steps).0, "oo");
    }

    #[test]
    fn letters_of_other_scripts_become_those_of_the_hint() {
        // A Greek letter is likely, and no letter at all more likely than the Latin one.
        let greek = [step(&[(2, 0.8), (0, 0.1), (1, 0.08), (8, 0.02)])];
        assert_eq!(read(&[], &greek), ("ο".to_owned(), 0.8));
        let (text, confidence) = read(&[Script::Latin], &greek);
        assert_eq!(text, "o");
        assert!((confidence - 0.72).abs() < 1e-6, "{confidence}");

        let mouth = [step(&[(4, 0.6), (3, 0.4)])];
        assert_eq!(read(&[], &mouth).0, "ロ");
        assert_eq!(read(&[Script::Chinese], &mouth).0, "口");
        assert_eq!(read(&[Script::Japanese], &mouth).0, "ロ");
        assert_eq!(read(&[Script::Latin, Script::Japanese], &mouth).0, "ロ");
    }

    #[test]
    fn letters_of_the_hint_are_read_as_without_it() {
        let steps = [step(&[(1, 0.7), (2, 0.3)]), step(&[(9, 0.6)]), step(&[(7, 0.9)]), step(&[(8, 0.5), (0, 0.4)])];
        assert_eq!(read(&[Script::Latin], &steps), read(&[], &steps));
        assert_eq!(read(&[Script::Latin], &steps).0, "o Ω7");
    }

    #[test]
    fn step_without_an_allowed_letter_has_no_confidence() {
        let (_, confidence) = read(&[Script::Latin], &[step(&[(3, 1.0)])]);
        assert_eq!(confidence, 0.0);
    }
}
