//! The walls between crates and between the layers of `shared`, as far as the compiler does not hold them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What nobody but the API may name; `schemars` is what the workspace calls apistos-schemars.
const HTTP_SERVER: [&str; 5] = ["actix-web", "apistos", "apistos-schemars", "jwt-simple", "schemars"];
/// What nobody but `shared` may name.
const SERVICES: [&str; 4] = ["async-nats", "orion", "pgvector", "sea-orm"];

#[test]
fn the_api_reaches_services_through_shared_and_knows_no_worker() {
    let dependencies = dependencies("api");
    assert_none_of(&dependencies, &SERVICES);
    assert_none_of(&dependencies, &["nvisy-worker"]);
}

#[test]
fn the_worker_reaches_services_through_shared_and_knows_no_http_server() {
    let dependencies = dependencies("worker");
    assert_none_of(&dependencies, &SERVICES);
    assert_none_of(&dependencies, &HTTP_SERVER);
    assert_none_of(&dependencies, &["nvisy-api"]);
}

#[test]
fn shared_knows_no_http_server_and_neither_program() {
    let dependencies = dependencies("shared");
    assert_none_of(&dependencies, &HTTP_SERVER);
    assert_none_of(&dependencies, &["nvisy-api", "nvisy-worker"]);
}

#[test]
fn leaf_crates_depend_on_no_crate_of_the_workspace() {
    for package in ["migration", "shared/embed", "worker/extract"] {
        let ours: Vec<_> = dependencies(package).into_iter().filter(|name| name.starts_with("nvisy-")).collect();
        assert!(ours.is_empty(), "{package} depends on {ours:?}");
    }
}

#[test]
fn embedding_and_extraction_know_no_service_and_no_http_server() {
    for package in ["shared/embed", "worker/extract"] {
        let dependencies = dependencies(package);
        assert_none_of(&dependencies, &SERVICES);
        assert_none_of(&dependencies, &HTTP_SERVER);
    }
}

#[test]
fn the_domain_knows_itself_and_the_ground_only() {
    for (file, module) in mentions("domain") {
        let allowed = ["domain", "id", "clock", "lifecycle", "secret"].contains(&module.as_str());
        assert!(allowed, "{} uses crate::{module}", file.display());
    }
}

#[test]
fn a_table_cannot_become_a_response() {
    for file in sources("entity") {
        let code = code(&file);
        for word in ["Serialize", "JsonSchema"] {
            assert!(!code.contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn the_store_knows_nothing_of_the_queue() {
    let mentions = mentions("store");
    assert!(mentions.iter().any(|(_, module)| module == "id"), "the reading of `use` is broken: {mentions:?}");
    for (file, module) in mentions {
        assert_ne!(module, "queue", "{}", file.display());
    }
}

#[test]
fn uses_are_read_in_every_shape() {
    let code =
        "use crate::{\n    domain::{event, role},\n    id,\n};\nuse crate::blob::Blobs;\nlet x = crate::queue::now();";
    assert_eq!(modules(code), ["domain", "id", "blob", "queue"]);
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { package = \"c\" }\n\
                    [dependencies.d]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n[dev-dependencies]\nf = \"1\"";
    assert_eq!(listed(manifest), ["a", "b", "c", "d", "e"]);
}

fn assert_none_of(dependencies: &[String], forbidden: &[&str]) {
    let found: Vec<_> = dependencies.iter().filter(|name| forbidden.contains(&name.as_str())).collect();
    assert!(found.is_empty(), "must not depend on {found:?}");
}

fn dependencies(package: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("Cargo.toml");
    let names = listed(&fs::read_to_string(&path).expect("the manifest can be read"));
    assert!(!names.is_empty(), "{} lists nothing", path.display());
    names
}

/// The names in all dependency tables of a manifest but those for tests, and what they rename.
fn listed(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
            // A table of its own for one dependency.
            if let Some((_, name)) = table.rsplit_once("dependencies.").filter(|(before, _)| !before.ends_with("dev-"))
            {
                names.push(name.to_owned());
            }
        } else if inside {
            names.extend(line.split(['.', ' ', '=']).next().map(str::to_owned));
            names.extend(line.split("package = \"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    names
}

/// Every module of `shared` that a folder of it names, by file.
fn mentions(folder: &str) -> Vec<(PathBuf, String)> {
    let files = sources(folder).into_iter();
    files.flat_map(|file| modules(&code(&file)).into_iter().map(move |module| (file.clone(), module))).collect()
}

/// The modules right below `crate::`, alone or in braces.
fn modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(braced) = rest.strip_prefix('{') else {
            found.push(first_word(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (place, letter) in braced.char_indices() {
            match letter {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    found.push(first_word(&braced[start..place]));
                    start = place + 1;
                    if letter == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    found.retain(|module| !module.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// A file without its comments: documentation may point anywhere.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("the source can be read");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// All Rust files below a folder of `shared/src`.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no sources in {folder}");
    files
}
