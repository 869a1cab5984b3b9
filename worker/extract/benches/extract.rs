//! Quality, speed and memory of extraction over a folder of files, by format, against the reference tools that are installed.
//!
//! Words are compared as sets with counts (recall: the share of the reference's words that are found) and in order (F1 of pairs
//! of neighbouring words). Each file is read in a process of its own, as in the worker, which says its CPU time and memory.

#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use nvisy_extract::{Document, ExtractLimits, FileError, FileInfo, OcrMode, OcrSettings};

/// Most files of one format.
const MAX_FILES: usize = 400;

/// Fewest words of a file that is compared.
const MIN_WORDS: usize = 20;

/// A tool that reads files of some formats: its name, and its arguments, of which `FILE` is the file.
struct Reference {
    program: &'static str,
    arguments: &'static [&'static str],
    extensions: &'static [&'static str],
}

const REFERENCES: [Reference; 6] = [
    Reference { program: "pdftotext", arguments: &["FILE", "-"], extensions: &["pdf"] },
    Reference {
        program: "pandoc",
        arguments: &["-t", "plain", "--wrap=none", "FILE"],
        extensions: &["docx", "odt", "epub", "rtf", "html", "ipynb"],
    },
    Reference { program: "unrtf", arguments: &["--text", "--nopict", "FILE"], extensions: &["rtf"] },
    Reference { program: "antiword", arguments: &["-m", "UTF-8.txt", "-w", "0", "FILE"], extensions: &["doc"] },
    Reference { program: "catppt", arguments: &["-d", "utf-8", "FILE"], extensions: &["ppt"] },
    Reference { program: "tesseract", arguments: &["FILE", "-"], extensions: &["png", "jpg", "jpeg", "tif", "tiff"] },
];

impl Reference {
    /// The text of a file, if the tool is installed and reads it.
    fn text(&self, path: &Path) -> Option<String> {
        let file = path.to_string_lossy();
        let arguments = self.arguments.iter().map(|argument| if *argument == "FILE" { &*file } else { *argument });
        let mut command = Command::new(self.program);
        let output = command.args(arguments).env("OMP_THREAD_LIMIT", "1").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Remarks of `unrtf`.
        let lines = text.lines().filter(|line| !line.starts_with("###"));
        output.status.success().then(|| lines.collect::<Vec<_>>().join("\n"))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [mode, file] if mode == "read" => read(Path::new(file)),
        [mode] if mode == "serve" => serve(),
        [folder] => measure(Path::new(folder)),
        _ => {
            eprintln!("extract: give a folder of files");
            ExitCode::from(2)
        }
    }
}

fn document(path: &Path) -> Result<Document, FileError> {
    let file = File::open(path).expect("the file");
    let info = FileInfo { file_name: path.to_string_lossy().into_owned(), declared_type: None };
    let directory = std::env::var_os("NVISY_OCR_DIRECTORY").map(PathBuf::from);
    let ocr = OcrSettings { mode: OcrMode::Auto, directory, ..OcrSettings::default() };
    nvisy_extract::read_here(file, &info, &ExtractLimits::default(), &ocr)
}

/// Reads the files whose paths are lines of the standard input, as a library does: writes of each whether it was read, the bytes of
/// its text or of the reason, and these bytes.
fn serve() -> ExitCode {
    let mut output = io::stdout().lock();
    for path in io::stdin().lines() {
        let read = document(Path::new(&path.expect("a path")));
        let mark = if read.is_ok() { "read" } else { "failed" };
        let text = read.map_or_else(|error| error.to_string(), |document| document.text);
        write!(output, "{mark} {}\n{text}", text.len()).expect("written");
        output.flush().expect("written");
    }
    ExitCode::SUCCESS
}

/// Reads a file, writes its text, and says what it took.
fn read(path: &Path) -> ExitCode {
    let code = match document(path) {
        Ok(document) => {
            io::stdout().write_all(document.text.as_bytes()).expect("written");
            eprintln!("warnings {:?}", document.warnings);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("failed {error}");
            ExitCode::FAILURE
        }
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().replace("kB", "");
    eprintln!("peak_kb {}", peak.trim());
    code
}

#[derive(Default)]
struct Row {
    files: usize,
    failed: usize,
    seconds: f64,
    peak_kb: u64,
    /// By the name of the tool.
    compared: BTreeMap<&'static str, Comparison>,
}

#[derive(Default)]
struct Comparison {
    files: usize,
    recall: f64,
    order: f64,
    seconds: f64,
    worst: Vec<(f64, String)>,
}

fn measure(folder: &Path) -> ExitCode {
    let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    walk(folder, &mut files);
    let mut table = BTreeMap::new();
    for (extension, paths) in files {
        let mut row = Row::default();
        for path in paths.iter().take(MAX_FILES) {
            one(&extension, path, &mut row);
        }
        table.insert(extension, row);
    }
    println!("| format | files | failed | s | peak MB | reference | compared | word recall | order F1 | reference s |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (extension, row) in &table {
        let (files, failed, peak) = (row.files, row.failed, row.peak_kb / 1024);
        let ours = format!("| {extension} | {files} | {failed} | {:.1} | {peak} |", row.seconds);
        if row.compared.is_empty() {
            println!("{ours} - | | | | |");
        }
        for (program, found) in &row.compared {
            let mean = |sum: f64| if found.files == 0 { 0.0 } else { sum / found.files as f64 };
            let (recall, order) = (mean(found.recall), mean(found.order));
            println!("{ours} {program} | {} | {recall:.3} | {order:.3} | {:.1} |", found.files, found.seconds);
        }
    }
    for (extension, row) in &mut table {
        for (program, found) in &mut row.compared {
            found.worst.sort_by(|one, other| one.0.total_cmp(&other.0));
            for (recall, note) in found.worst.iter().take(12).filter(|(recall, _)| *recall < 0.97) {
                println!("{extension} {program} {recall:.3} {note}");
            }
        }
    }
    ExitCode::SUCCESS
}

fn walk(folder: &Path, files: &mut BTreeMap<String, Vec<PathBuf>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, files);
        } else if let Some(extension) = path.extension() {
            files.entry(extension.to_string_lossy().to_lowercase()).or_default().push(path);
        }
    }
}

fn one(extension: &str, path: &Path, row: &mut Row) {
    let program = std::env::current_exe().expect("this program");
    row.files += 1;
    let started = Instant::now();
    let output = Command::new(program).arg("read").arg(path).env("RAYON_NUM_THREADS", "1").output().expect("it runs");
    row.seconds += started.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let peak = said.lines().find_map(|line| line.strip_prefix("peak_kb ")).and_then(|peak| peak.parse().ok());
    row.peak_kb = row.peak_kb.max(peak.unwrap_or(0));
    if !output.status.success() {
        row.failed += 1;
    }
    for reference in REFERENCES.iter().filter(|reference| reference.extensions.contains(&extension)) {
        let found = row.compared.entry(reference.program).or_default();
        let started = Instant::now();
        let text = reference.text(path);
        found.seconds += started.elapsed().as_secs_f64();
        let theirs = words(&text.unwrap_or_default());
        if theirs.len() < MIN_WORDS {
            continue;
        }
        if output.status.success() {
            found.add(path, &words(&String::from_utf8_lossy(&output.stdout)), &theirs);
        } else {
            let reason = said.lines().find(|line| line.starts_with("failed")).unwrap_or("it died");
            found.worst.push((0.0, format!("{}: {reason}", path.display())));
        }
    }
}

impl Comparison {
    fn add(&mut self, path: &Path, ours: &[String], theirs: &[String]) {
        let recall = shared(&counts(theirs), &counts(ours)) as f64 / theirs.len() as f64;
        let pairs = |words: &[String]| words.windows(2).map(|pair| pair.join(" ")).collect::<Vec<_>>();
        let both = shared(&counts(&pairs(theirs)), &counts(&pairs(ours))) as f64;
        let order = 2.0 * both / (ours.len().saturating_sub(1) + theirs.len() - 1).max(1) as f64;
        self.files += 1;
        self.recall += recall;
        self.order += order;
        let note = format!("{}: recall {recall:.3}, order {order:.3}", path.display());
        self.worst.push((recall.min(order + 0.04), note));
    }
}

/// Words in small letters, without signs.
fn words(text: &str) -> Vec<String> {
    let text = text
        .replace(['\u{AD}', '\u{200B}'], "")
        .replace("[pic]", "")
        .replace('ﬀ', "ff")
        .replace('ﬃ', "ffi")
        .replace('ﬄ', "ffl")
        .replace('ﬁ', "fi")
        .replace('ﬂ', "fl")
        .replace("-\n", "");
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn counts(words: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in words {
        *counts.entry(word.as_str()).or_default() += 1;
    }
    counts
}

fn shared(one: &HashMap<&str, usize>, other: &HashMap<&str, usize>) -> usize {
    one.iter().map(|(word, count)| (*count).min(other.get(word).copied().unwrap_or(0))).sum()
}
