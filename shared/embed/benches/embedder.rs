//! Measures speed and memory of the local encoder with 128 passages of 237 tokens, then with single queries.
//!
//! `cargo bench --bench embedder [-- THREADS...]` with `NVISY_EMBEDDING_DIRECTORY` set to the model. CPU time and peak memory
//! are the kernel's figures for this process (Linux); peak memory includes loading.
#![allow(clippy::print_stdout, reason = "the program prints a report")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nvisy_embed::{EmbedSettings, Embedder, InputType, LocalSettings, Provider};

const PASSAGES: usize = 128;
const TOKENS: usize = 237;
/// `[CLS]` and `[SEP]`.
const SPECIALS: usize = 2;
const QUERIES: usize = 50;
/// Clock ticks a second in `/proc/self/stat`, the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory =
        std::env::var_os("NVISY_EMBEDDING_DIRECTORY").map_or(".local/models/all-MiniLM-L6-v2".into(), PathBuf::from);
    let mut threads: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if threads.is_empty() {
        threads = vec![1, 2];
    }
    println!("| threads | load s | CPU s | wall s | passages/s | query ms | peak MB |");
    println!("|---|---|---|---|---|---|---|");
    for threads in threads {
        let settings = LocalSettings {
            directory: directory.clone(),
            threads,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        let started = Instant::now();
        let embedder = Embedder::open(&EmbedSettings {
            truncatable: false,
            dimensions: None,
            provider: Provider::Local(settings),
        })
        .await?;
        let load = started.elapsed();

        let passages: Vec<_> = (0..PASSAGES).map(passage).collect();
        let tokens: usize = passages.iter().map(|text| embedder.tokenizer().count(text) + SPECIALS).sum();
        assert_eq!(tokens, PASSAGES * TOKENS, "the figures are for passages of {TOKENS} tokens");
        embedder.embed(InputType::Passage, passages[..threads].to_vec()).await?;
        let (started, cpu) = (Instant::now(), cpu_time()?);
        embedder.embed(InputType::Passage, passages).await?;
        let (wall, cpu) = (started.elapsed(), cpu_time()? - cpu);

        let started = Instant::now();
        for number in 0..QUERIES {
            embedder
                .embed(InputType::Query, vec![format!("how often are the blades of turbine {number} inspected?")])
                .await?;
        }
        let query = started.elapsed() / QUERIES as u32;
        println!(
            "| {threads} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {} |",
            load.as_secs_f64(),
            cpu.as_secs_f64(),
            wall.as_secs_f64(),
            PASSAGES as f64 / wall.as_secs_f64(),
            query.as_secs_f64() * 1e3,
            peak_megabytes()?,
        );
    }
    Ok(())
}

/// Words of one token each, in an order that differs between passages.
fn passage(number: usize) -> String {
    const WORDS: [&str; 11] =
        ["tide", "harbour", "records", "the", "height", "of", "water", "every", "night", "green", "cloth"];
    let words: Vec<_> =
        (0..TOKENS - SPECIALS).map(|step| WORDS[(number * 7 + step * (1 + number % 10)) % WORDS.len()]).collect();
    words.join(" ")
}

/// User and system time of this process so far.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn peak_megabytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}
