//! Words and names that the project has replaced by standard terms (see CONTRIBUTING, Language) must not return.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use super::source_files::{all_files, root};

/// Words and phrases, and their replacements. They are searched in code, comments, documents and messages, also as parts of
/// identifiers (`told_apart`, `ToldApart`). A phrase that begins with a capital letter is searched as written: it is the
/// start of a sentence.
const WORDS: &[(&str, &str)] = &[
    // Subjects that hide the component.
    ("anybody", "the caller, any client, all users"),
    ("everybody", "all members, every caller"),
    ("nobody", "no caller, no process, or the component in the active voice"),
    ("somebody", "a caller, a person, another user"),
    ("whoever", "the caller that, a client that"),
    ("whom", "the recipient, the account that"),
    ("What is", "the noun: \"The expired rows\""),
    ("What was", "the noun: \"The deleted rows\""),
    ("What has", "the noun"),
    ("What becomes", "the noun: \"The outcome of\""),
    ("What came", "the noun: \"The result of\""),
    ("What somebody", "the noun"),
    // Dialect and metaphors.
    ("admission", "sign-up permit"),
    ("at home", "on the runtime, from a known network"),
    ("at leisure", "without a limit"),
    ("bury", "dead-letter"),
    ("chore", "maintenance task"),
    ("chores", "maintenance tasks"),
    ("doorstep", "auth rate limit"),
    ("for ever", "permanently"),
    ("ground", "requirements, preflight"),
    ("handed over", "passed, dispatched"),
    ("hands over", "passes, dispatches"),
    ("heart", "heartbeat"),
    ("heir", "successor"),
    ("is home", "has a session from the network"),
    ("lately", "recently, cached"),
    ("looked at", "read, checked"),
    ("misfit", "wrong input"),
    ("none of ours", "unknown, invalid"),
    ("patience", "timeout"),
    ("put off", "extended, delayed"),
    ("refusal", "rejection, failed login"),
    ("refusals", "rejections, failed logins"),
    ("stranger", "unauthenticated caller, other tenant"),
    ("strangers", "unauthenticated callers, other tenants"),
    ("sweep", "garbage collection"),
    ("swept", "garbage-collected"),
    ("taken back", "cancelled, revoked"),
    ("tally", "counter"),
    ("tell apart", "distinguish"),
    ("tells apart", "distinguishes"),
    ("told apart", "distinguished"),
    ("trail", "audit log"),
    ("upkeep", "maintenance"),
    ("verdict", "result"),
    ("write down", "record, log, flush"),
    ("writes down", "records, logs, flushes"),
    ("written down", "recorded, logged"),
];

/// Identifiers in Rust and Python, and their replacements.
const NAMES: &[(&str, &str)] = &[
    ("ALONE", "a noun with its unit"),
    ("APART", "RESEND_INTERVAL"),
    ("ASK", "a noun with its unit"),
    ("Answer", "StatusJson, or the noun"),
    ("Closing", "Shutdown"),
    ("EVERY", "FLUSH_INTERVAL"),
    ("Ending", "Outcome"),
    ("Familiar", "RecentCredentials"),
    ("Fate", "Outcome"),
    ("HELD", "a noun with its unit"),
    ("Heart", "Heartbeats"),
    ("KNOWN", "CACHE_CAPACITY"),
    ("LAST_WORDS", "SHUTDOWN_GRACE"),
    ("LOOK", "POLL_INTERVAL"),
    ("Letter", "MailTemplate"),
    ("MOST", "a noun with its unit"),
    ("QUIET", "KEEPALIVE_INTERVAL"),
    ("SHOWN", "a noun with its unit"),
    ("Seal", "ChainMac; seal only for encryption"),
    ("Shield", "SecurityHeaders"),
    ("Standing", "RateLimitStatus"),
    ("Steady", "StallGuard"),
    ("TRUST", "RECHECK_INTERVAL"),
    ("Unfit", "Unsupported"),
    ("postpone", "snooze, retry_after"),
];

/// Files of texts by other authors, and this list.
const SKIPPED: &[&str] = &["LICENSE", "shared/tests/repository/language.rs"];

#[test]
fn replaced_words_do_not_return() {
    let mut files = all_files();
    files.retain(|path| is_text(path));
    let has = |name: &str| files.iter().any(|path| path.ends_with(name));
    for name in
        ["README.md", "justfile", "shared/src/lib.rs", "api/tests/snapshots/openapi.json", "deploy/quickstart/stack"]
    {
        assert!(has(name), "{name} is not read");
    }
    let mut report = String::new();
    let mut count = 0;
    for path in files {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (line, word, instead) in relapses(&text, is_code(&path)) {
            let _ = writeln!(report, "{}:{line}: `{word}`, use: {instead}", path.display());
            count += 1;
        }
    }
    assert!(report.is_empty(), "{count} words that CONTRIBUTING, Language, excludes:\n{report}");
}

#[test]
fn replaced_words_are_found() {
    let found = |text: &str, code: bool| -> Vec<(usize, &str)> {
        relapses(text, code).into_iter().map(|(line, word, _)| (line, word)).collect()
    };
    assert_eq!(found("/// Rows that nobody has.\nfn x() {}", true), [(1, "nobody")]);
    assert_eq!(found("fn is_home() {}\nlet toldApart = 1;", true), [(1, "is home"), (2, "told apart")]);
    assert_eq!(found("// They are told\n// apart by this.", true), [(1, "told apart")]);
    assert_eq!(found("One row. What is due is read.", false), [(1, "What is")]);
    assert_eq!(found("say what is due; \"nobody\" and `whom` are names; nobody{n}@example.org", false), []);
    assert_eq!(found("const MOST: u32 = 1; // MOST", true), [(1, "MOST")]);
    assert_eq!(found("let x = (\"MOST\", Mostly, \"HELD\");", true), []);
    assert_eq!(found("MOST", false), []);
}

#[test]
fn lists_have_no_duplicates() {
    for list in [WORDS, NAMES] {
        let words: BTreeSet<_> = list.iter().map(|(word, _)| word).collect();
        assert_eq!(words.len(), list.len());
    }
}

/// Line, word and replacement of every listed word in a text.
fn relapses(text: &str, code: bool) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let phrases: Vec<(Vec<&str>, _)> = WORDS.iter().map(|entry| (entry.0.split(' ').collect(), entry)).collect();
    let mut found = Vec::new();
    for index in 0..words.len() {
        for (parts, (phrase, instead)) in &phrases {
            if matches(&words[index..], parts) && !is_name(text, &words[index], &words[index + parts.len() - 1]) {
                found.push((line(text, words[index].start), *phrase, *instead));
            }
        }
    }
    if code {
        for (number, text) in text.lines().enumerate() {
            let names = identifiers(text);
            let listed = NAMES.iter().filter(|(name, _)| names.contains(name));
            found.extend(listed.map(|(name, instead)| (number + 1, *name, *instead)));
        }
    }
    found.sort();
    found
}

/// A word of a text, or a part of an identifier.
struct Word<'a> {
    text: &'a str,
    start: usize,
    /// Whether only white space, comment markers or an underscore separate it from the word before.
    continues: bool,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Splits at everything but letters, and where a capital letter follows a small one.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut start = None;
    let mut before = ' ';
    for (place, letter) in text.char_indices().chain([(text.len(), ' ')]) {
        let ends = !letter.is_alphabetic() || before.is_lowercase() && letter.is_uppercase();
        if let Some(begin) = start.filter(|_| ends) {
            let gap = words.last().map_or("", |last| &text[last.end()..begin]);
            let continues = !gap.contains("\n\n") && gap.chars().all(|letter| " \n\t/!#*_-".contains(letter));
            words.push(Word { text: &text[begin..place], start: begin, continues });
            start = None;
        }
        if letter.is_alphabetic() && start.is_none() {
            start = Some(place);
        }
        before = letter;
    }
    words
}

fn matches(words: &[Word<'_>], phrase: &[&str]) -> bool {
    let same = |word: &Word<'_>, part: &str| {
        if part.starts_with(char::is_uppercase) { word.text == part } else { word.text.eq_ignore_ascii_case(part) }
    };
    words.len() >= phrase.len()
        && words.iter().zip(phrase).all(|(word, part)| same(word, part))
        && words[1..phrase.len()].iter().all(|word| word.continues)
}

/// Whether a phrase alone is in quotes or backticks, or begins an e-mail address: then it is a name.
fn is_name(text: &str, first: &Word<'_>, last: &Word<'_>) -> bool {
    let after = &text[last.end()..];
    let quoted = |quote: char| text[..first.start].ends_with(quote) && after.starts_with(quote);
    let address = after.split(|letter: char| letter.is_whitespace() || letter == '"').next();
    quoted('`') || quoted('"') || address.is_some_and(|rest| rest.contains('@'))
}

fn line(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

/// The identifiers of a line of code, without strings and comments.
fn identifiers(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut start = None;
    let mut in_string = false;
    let mut before = ' ';
    for (place, letter) in line.char_indices().chain([(line.len(), ' ')]) {
        let part = !in_string && (letter.is_alphanumeric() || letter == '_');
        match (part, start) {
            (true, None) => start = Some(place),
            (false, Some(begin)) => {
                names.push(&line[begin..place]);
                start = None;
            }
            _ => {}
        }
        if !in_string && (line[place..].starts_with("//") || letter == '#' && before == ' ') {
            break;
        }
        in_string ^= letter == '"' && before != '\\';
        before = letter;
    }
    names
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs" || extension == "py")
}

fn is_text(path: &Path) -> bool {
    const EXTENSIONS: [&str; 11] = ["conf", "example", "json", "md", "py", "rs", "sh", "sql", "toml", "yaml", "yml"];
    let known = path.extension().is_none_or(|extension| EXTENSIONS.iter().any(|known| extension == *known));
    let dockerfile = path.file_stem().is_some_and(|name| name == "Dockerfile");
    let sample = path.starts_with("deploy/demo") && !path.ends_with("README.md");
    (known || dockerfile) && !sample && !SKIPPED.iter().any(|skipped| path.ends_with(skipped))
}
