//! The cost of finding the best documents in 10,000 to 1,000,000 of them.
//!
//! `cargo bench -p nvisy-lexical --bench best [-- DOCUMENTS]`. Documents have 60 words, distributed by Zipf's law; files have ten
//! of them. A word of a question has a form and a stem as terms, and the rows of its terms are merged in sizes as maintenance
//! merges them.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::{cell::RefCell, error::Error, fs, hint::black_box, sync::Arc};

use nvisy_lexical::{
    DeadDocuments,
    analysis::document,
    best::{Word, best},
    documents::{Rows, Union, WordDocuments},
    postings::{Posting, Row, pack},
    rank::Totals,
};
use rustc_hash::FxHashMap;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const QUESTION_WORDS: [usize; 3] = [3, 17, 60];
const QUESTIONS: usize = 20;
const DOCUMENT_WORDS: u32 = 60;
const VOCABULARY: usize = 200_000;
/// The most frequent words are in no question, as stop words.
const STOP_WORDS: usize = 100;
const FILE_DOCUMENTS: usize = 10;
const LIMIT: usize = 50;

/// A generator of numbers, the same ones in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The rank of a word by Zipf's law.
    fn rank(&mut self) -> usize {
        ((VOCABULARY as f64).powf(self.next()) - 1.0) as usize
    }
}

/// The rows of the terms of a word that a share of the documents has.
fn terms(random: &mut Random, documents: usize, rank: usize) -> Vec<Rows> {
    // The probability that none of the words of a document is this one.
    let probability = ((rank as f64 + 2.0) / (rank as f64 + 1.0)).ln() / (VOCABULARY as f64).ln();
    let none = (1.0 - probability).powi(DOCUMENT_WORDS.cast_signed());
    let (mut forms, mut stems) = (vec![Vec::new(); 4], vec![Vec::new(); 4]);
    let mut place = 0;
    loop {
        // The distance to the next document that has it.
        place += (random.next().max(1e-12).ln() / none.ln()).floor().min(1e9) as usize;
        if place >= documents {
            break;
        }
        let unit = place / FILE_DOCUMENTS;
        let document = document(i64::try_from(unit).unwrap_or_default() + 1, place % FILE_DOCUMENTS);
        let length = 40 + (place * 7 % 41) as u32;
        let frequency = 1 + (1.0 - random.next()).log(0.15).floor().min(20.0) as u32;
        // One row has most of the units, and three have some of all.
        let row = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3][unit % 16];
        let kind = random.next();
        if kind < 0.5 {
            forms[row].push(Posting { document, frequency, length });
        }
        // A document in another language has the form, but not its stem.
        if kind > 0.01 {
            stems[row].push(Posting { document, frequency, length });
        }
        place += 1;
    }
    let packed = |rows: Vec<Vec<Posting>>| rows.iter().map(|row| Arc::new(Row::new(pack(row)))).collect();
    vec![packed(forms), packed(stems)]
}

/// The words of a question.
fn ranks(random: &mut Random, count: usize) -> Vec<usize> {
    let mut ranks = Vec::new();
    while ranks.len() < count {
        let rank = random.rank();
        if rank >= STOP_WORDS && !ranks.contains(&rank) {
            ranks.push(rank);
        }
    }
    ranks
}

/// The CPU time of a question, in milliseconds. The kernel counts it in steps of some milliseconds.
fn on_processor(mut search: impl FnMut()) -> Result<f64, Box<dyn Error>> {
    let time = || -> Result<f64, Box<dyn Error>> {
        let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
        Ok(stat.split_whitespace().next().unwrap_or_default().parse::<f64>()? / 1e6)
    };
    let (start, mut rounds) = (time()?, 0.0);
    loop {
        search();
        rounds += QUESTIONS as f64;
        let taken = time()? - start;
        if taken > 200.0 {
            return Ok(taken / rounds);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    println!("| documents | words | postings, KB | first search, ms | later ones, ms |");
    println!("|---|---|---|---|---|");
    for documents in SIZES.into_iter().filter(|size| wanted.is_empty() || wanted.contains(size)) {
        let totals = Totals { documents: documents as u64, words: documents as u64 * u64::from(DOCUMENT_WORDS) };
        let dead = DeadDocuments::new((1..=documents / FILE_DOCUMENTS).step_by(100).map(|unit| unit as i64), []);
        for count in QUESTION_WORDS {
            let mut random = Random(0x2545_f491_4f6c_dd1d);
            let questions: Vec<Vec<Vec<Rows>>> = (0..QUESTIONS)
                .map(|_| {
                    let ranks = ranks(&mut random, count);
                    ranks.into_iter().map(|rank| terms(&mut random, documents, rank)).collect()
                })
                .collect();
            let bytes: usize = questions.iter().flatten().flatten().flatten().map(|row| row.memory()).sum();
            let unions = RefCell::new(FxHashMap::<Vec<u64>, Arc<Union>>::default());
            let unite = |terms: &[Rows]| {
                let ids = terms.iter().flatten().map(|row| row.id()).collect();
                Arc::clone(unions.borrow_mut().entry(ids).or_insert_with(|| Arc::new(Union::new(terms))))
            };
            let search = |question: &Vec<Vec<Rows>>| {
                let words: Vec<_> = question.iter().map(|word| WordDocuments::new(word.clone(), unite)).collect();
                let words: Vec<_> = words
                    .iter()
                    .map(|word| Word { documents: word, impact: totals.rarity(word.live_count(&dead)) })
                    .collect();
                black_box(best(&words, &totals, LIMIT, &|unit| !dead.has_unit(unit), &|_| true));
            };
            let first = on_processor(|| {
                unions.borrow_mut().clear();
                questions.iter().for_each(search);
            });
            let later = on_processor(|| questions.iter().for_each(search));
            let kilobytes = bytes / QUESTIONS / 1_000;
            println!("| {documents} | {count} | {kilobytes} | {:.3} | {:.3} |", first?, later?);
        }
    }
    Ok(())
}
