//! Links, paths, identifiers, recipes and error codes that the documents name must exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::source_files::{all_files, root};

/// Names in the documents that are not in this repository.
const FOREIGN: &[&str] = &[
    "AbortIncompleteMultipartUpload",
    "Location",
    "SAFETY",
    "TRUNCATE",
    "UPDATE",
    "curl",
    // Values that serde makes of Rust's names.
    "fail_item",
    "fail_run",
    "governor",
    "helpers",
    "nvisy_grafana",
    "nvisy_loki",
    "nvisy_nats",
    "nvisy_postgres",
    "nvisy_prometheus",
    "nvisy_scratch",
    "nvisy_tempo",
    "pdftotext",
    "synchronous_standby_names",
    "terminationGracePeriodSeconds",
];

#[test]
fn links_lead_to_files_and_headings() {
    let documents = documents();
    let mut broken = Vec::new();
    for (path, text) in &documents {
        for target in links(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { normal(&path.parent().unwrap().join(file)) };
            let headings = documents.get(&file).map(|text| headings(text));
            let leads = match headings {
                Some(headings) if !anchor.is_empty() => headings.contains(anchor),
                _ => anchor.is_empty() && root().join(&file).exists(),
            };
            if !leads {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links without a target:\n{}", broken.join("\n"));
}

#[test]
fn paths_in_documents_exist() {
    let files = all_files();
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for word in code(&text) {
            for name in expand(&word) {
                let is_missing = match module(&name) {
                    Some(module) => !exists(&module, &files) && !exists(&format!("{module}.rs"), &files),
                    None => is_path(&name) && !exists(&name, &files),
                };
                if is_missing {
                    missing.push(format!("{}: {name}", path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "paths without a file:\n{}", missing.join("\n"));
}

#[test]
fn identifiers_in_documents_exist() {
    let sources: BTreeSet<String> = all_files()
        .iter()
        .filter(|path| path.extension().is_none_or(|extension| extension != "md"))
        .filter(|path| !["language.rs", "documents.rs"].iter().any(|name| path.ends_with(name)))
        .filter_map(|path| fs::read_to_string(root().join(path)).ok())
        .flat_map(|text| identifiers(&text).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for word in code(&text).into_iter().filter(|word| is_name(word)) {
            missing.extend(
                identifiers(&word)
                    .filter(|name| !sources.contains(*name) && !FOREIGN.contains(name))
                    .map(|name| format!("{}: {name} in `{word}`", path.display())),
            );
        }
    }
    assert!(missing.is_empty(), "identifiers without a source:\n{}", missing.join("\n"));
}

#[test]
fn readme_lists_every_recipe() {
    let justfile = read(Path::new("justfile"));
    let readme = read(Path::new("README.md"));
    let table = readme.split("## Recipes").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let listed: BTreeSet<String> = code(table).iter().map(|code| code.trim_start_matches("just ").to_owned()).collect();
    let is_listed = |name: &str| listed.iter().any(|code| code.split(' ').next() == Some(name));
    let missing: Vec<_> =
        recipes(&justfile).into_iter().filter(|(name, is_private)| !is_private && !is_listed(name)).collect();
    assert!(missing.is_empty(), "recipes that README does not list: {missing:?}");
}

#[test]
fn recipes_in_documents_exist() {
    let justfile = read(Path::new("justfile"));
    let recipes = recipes(&justfile);
    for (path, text) in documents() {
        for line in text.lines() {
            for (place, _) in line.match_indices("just ") {
                let starts = line[..place].is_empty() || line[..place].ends_with(['`', '/']);
                let rest = &line[place + 5..];
                let name = identifiers_with_hyphens(rest).next().unwrap_or_default();
                let is_recipe = starts && rest.starts_with(name);
                assert!(!is_recipe || recipes.contains_key(name), "{}: `just {name}`", path.display());
            }
        }
    }
}

#[test]
fn api_document_lists_every_error_code() {
    let table = read(Path::new("api/src/problem/table.rs"));
    let document = read(Path::new("docs/API.md"));
    let rows: Vec<_> = table.lines().filter_map(problem).collect();
    assert!(rows.len() > 40, "the table of problems is not read");
    for (code, status, title) in rows {
        let row = format!("| `{code}` | {status} | {title} |");
        assert!(document.contains(&row), "docs/API.md must contain {row}");
    }
}

#[test]
fn documents_are_read_in_every_shape() {
    let text = "# One `two` (three)\n[a](b.md#c) [d](https://e)\n```sh\n`not/code.rs`\n```\n`f/{g,h}.rs` and `i`\n";
    assert_eq!(links(text), ["b.md#c"]);
    assert_eq!(headings(text), BTreeSet::from(["one-two-three".to_owned()]));
    assert_eq!(code(text), ["two", "f/{g,h}.rs", "i"]);
    assert_eq!(expand("f/{g,h}.rs"), ["f/g.rs", "f/h.rs"]);
    assert!(is_path("runner/lane.rs") && is_path("sniff.rs") && is_path("worker/src") && !is_path("private.pem"));
    let files = [PathBuf::from("worker/src/runner/lane.rs")];
    assert!(exists("runner/lane.rs", &files) && exists("worker/src", &files) && !exists("ner/lane.rs", &files));
    assert_eq!(module("api::auth::member"), Some("api/src/auth".to_owned()));
    assert!(is_name("store::event::append") && is_name("Member<P>") && !is_name("private.pem"));
    assert_eq!(
        problem("    NotFound \"not_found\" 404 \"No such thing\";"),
        Some(("not_found", "404", "No such thing"))
    );
}

/// The targets of relative links, outside code blocks.
fn links(text: &str) -> Vec<&str> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1));
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchors of all headings, as GitHub spells them.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = prose(text).filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The texts in backticks, outside code blocks. One that continues on the next line has a space there.
fn code(text: &str) -> Vec<String> {
    let prose: Vec<&str> = prose(text).collect();
    let paragraphs = prose.split(|line| line.trim().is_empty()).map(|lines| lines.join(" "));
    let texts = |paragraph: String| paragraph.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    paragraphs.flat_map(texts).collect()
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// One word for each alternative in braces.
fn expand(word: &str) -> Vec<String> {
    match word.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
        Some((start, (choices, end))) => choices.split(',').map(|choice| format!("{start}{choice}{end}")).collect(),
        None => vec![word.to_owned()],
    }
}

/// Whether a word names a file or a directory of this repository.
fn is_path(word: &str) -> bool {
    const FOLDERS: [&str; 8] = [".ci/", "api/", "deploy/", "docs/", "migration/", "nats/", "shared/", "worker/"];
    let plain = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "./_-".contains(letter));
    let source = [".rs", ".py"].iter().any(|extension| word.ends_with(extension));
    plain && (source || FOLDERS.iter().any(|folder| word.starts_with(folder)))
}

/// The file, without its extension, or the directory of the module that a path such as `api::auth::member` begins with.
fn module(word: &str) -> Option<String> {
    let (name, rest) = word.split_once("::").filter(|(name, _)| ["api", "shared", "worker"].contains(name))?;
    let module = rest.split("::").next()?;
    Some(format!("{name}/src/{module}"))
}

/// Whether a file has this path, or the end of its path is this.
fn exists(name: &str, files: &[PathBuf]) -> bool {
    let name = name.trim_end_matches('/');
    files.iter().any(|file| file.ends_with(name) || file.starts_with(name))
}

/// Whether a word is one identifier or a path of them.
fn is_name(word: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "_:<>".contains(letter);
    (3..60).contains(&word.len())
        && word.chars().all(letters)
        && word.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).filter(|name| !name.is_empty())
}

fn identifiers_with_hyphens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')).filter(|name| !name.is_empty())
}

/// The names of all recipes, and whether each is private.
fn recipes(justfile: &str) -> BTreeMap<&str, bool> {
    let mut is_private = false;
    let mut recipes = BTreeMap::new();
    for line in justfile.lines() {
        is_private |= line == "[private]";
        if line.starts_with([' ', '#', '[']) || !line.contains(':') || line.contains(":=") {
            continue;
        }
        recipes.extend(identifiers_with_hyphens(line).next().map(|name| (name, is_private)));
        is_private = false;
    }
    assert!(recipes.get("demo") == Some(&false) && recipes.get("bench") == Some(&true), "{recipes:?}");
    recipes
}

/// Code, status and title of a line of the table of problems.
fn problem(line: &str) -> Option<(&str, &str, &str)> {
    let mut parts = line.trim().strip_suffix("\";")?.split('"');
    let (_, code, status, title) = (parts.next()?, parts.next()?, parts.next()?.trim(), parts.next()?);
    status.parse::<u16>().ok().map(|_| (code, status, title))
}

/// All Markdown documents, by their path in the repository.
fn documents() -> BTreeMap<PathBuf, String> {
    let documents = all_files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let samples = |path: &PathBuf| path.starts_with("deploy/demo") && !path.ends_with("README.md");
    let documents: BTreeMap<_, _> =
        documents.filter(|path| !samples(path)).map(|path| (path.clone(), read(&path))).collect();
    assert!(documents.contains_key(Path::new("docs/API.md")) && documents.contains_key(Path::new("README.md")));
    documents
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
