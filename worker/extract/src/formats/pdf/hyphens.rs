//! Words that are cut at the end of a line, which are put together as the file writes them elsewhere.

use std::collections::HashSet;

use super::lines::Line;

/// How the last word of a line and the first of the next belong together.
pub(super) enum Joint {
    /// They are two words.
    Apart,
    /// One word with its hyphen.
    Hyphenated,
    /// One word; the hyphen is that of the line.
    Whole,
}

/// The words of the file, to tell how those that are cut at the end of a line are written.
pub(super) struct Words {
    words: HashSet<String>,
}

impl Words {
    pub(super) fn new<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut words = HashSet::new();
        for line in lines {
            // The last word may be cut.
            let text = line.text.trim_end();
            let text =
                if text.ends_with(is_hyphen) { text.rsplit_once(' ').map_or("", |(text, _)| text) } else { text };
            words.extend(text.split_whitespace().map(bare).filter(|word| word.len() > 3).map(str::to_lowercase));
        }
        Self { words }
    }

    /// How the last word of a line and the first of the next belong together.
    pub(super) fn joint(&self, head: &str, tail: &str) -> Joint {
        let last = head.chars().rev().nth(1);
        let is_cut = head.ends_with(is_hyphen) && last.is_some_and(char::is_alphanumeric);
        // A hyphen may stand for the rest of a word: `Vor- und Nachteile`.
        if !is_cut || !tail.starts_with(char::is_alphanumeric) || BETWEEN.contains(&tail) {
            return Joint::Apart;
        }
        let is_soft = head.ends_with('\u{AD}');
        let may_be_one = last.is_some_and(char::is_alphabetic) && tail.starts_with(char::is_lowercase);
        if is_soft || (may_be_one && self.is_one(head, tail)) { Joint::Whole } else { Joint::Hyphenated }
    }

    /// Whether a word that is cut after `head` is written without the hyphen.
    fn is_one(&self, head: &str, tail: &str) -> bool {
        let (head, tail) = (bare(head).to_lowercase(), bare(tail).to_lowercase());
        if self.words.contains(&format!("{head}-{tail}")) {
            return false;
        }
        if self.words.contains(&format!("{head}{tail}")) {
            return true;
        }
        !head.contains('-') && !HYPHENATED.split_whitespace().any(|word| word == head) && head.chars().count() > 1
    }
}

/// Words between which the last part of the first is left out.
const BETWEEN: [&str; 18] = [
    "und", "oder", "bzw.", "sowie", "and", "or", "to", "en", "of", "et", "ou", "y", "o", "e", "og", "och", "eller",
    "bis",
];

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{AD}' | '\u{2010}')
}

/// Words that stand whole before a hyphen, so that one at the end of a line belongs to a word like `price-determining`.
const HYPHENATED: &str = "
    above all anti any attorney audio back below best better black blue bottom break broad brother built by
    call case character check class client co commander computer content context cost cross cutting dark data
    daughter day decision deep document domain double down early east editor eight end energy error event ever
    every evidence ex far fast father fault few file first five follow four free front full give goal good
    gray green grey half hard health high higher highest hour how human ill image inner key know knowledge
    labor labour language large larger last late least left less level light line long longer low lower lowest
    machine make many market merry mid middle minute model month more most mother much multi name near network
    never new nine non north number object off old on one open order out outer over page part passer point
    policy post pre price pro problem quasi rate re read ready real red right risk rule run runner second self
    semi sentence server set seven short shorter show side single sister site six size slow small smaller so
    soft some son source south space speech start state steady system take target task ten test text then
    third three time top triple two type under up upper user value vice video water web week well west white
    wide word world write year yellow young
";
