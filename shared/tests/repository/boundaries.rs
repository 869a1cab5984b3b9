//! The boundaries between crates and between the layers of `shared` that the compiler does not enforce.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::source_files::rust_files;

/// Dependencies of the API only; `schemars` is the name of apistos-schemars in the workspace.
const HTTP_SERVER: [&str; 5] = ["actix-web", "apistos", "apistos-schemars", "jwt-simple", "schemars"];
/// Dependencies of `shared` only.
const SERVICES: [&str; 4] = ["async-nats", "orion", "pgvector", "sea-orm"];

#[test]
fn api_depends_on_no_service_client_and_not_on_the_worker() {
    let dependencies = dependencies("api");
    assert_none_of(&dependencies, &SERVICES);
    assert_none_of(&dependencies, &["nvisy-worker"]);
}

#[test]
fn worker_depends_on_no_service_client_and_no_http_server() {
    let dependencies = dependencies("worker");
    assert_none_of(&dependencies, &SERVICES);
    assert_none_of(&dependencies, &HTTP_SERVER);
    assert_none_of(&dependencies, &["nvisy-api"]);
}

#[test]
fn shared_depends_on_no_http_server_and_no_program() {
    let dependencies = dependencies("shared");
    assert_none_of(&dependencies, &HTTP_SERVER);
    assert_none_of(&dependencies, &["nvisy-api", "nvisy-worker"]);
}

#[test]
fn leaf_crates_depend_on_no_crate_of_the_workspace() {
    for package in ["migration", "shared/embed", "shared/lexical", "worker/extract"] {
        let siblings: Vec<_> = dependencies(package).into_iter().filter(|name| name.starts_with("nvisy-")).collect();
        assert!(siblings.is_empty(), "{package} depends on {siblings:?}");
    }
}

#[test]
fn embedding_and_extraction_depend_on_no_service_client_and_no_http_server() {
    for package in ["shared/embed", "worker/extract"] {
        let dependencies = dependencies(package);
        assert_none_of(&dependencies, &SERVICES);
        assert_none_of(&dependencies, &HTTP_SERVER);
    }
}

#[test]
fn domain_uses_only_itself_and_the_base() {
    for (file, module) in mentions("domain") {
        let allowed = ["domain", "id", "clock", "lifecycle", "secret"].contains(&module.as_str());
        assert!(allowed, "{} uses crate::{module}", file.display());
    }
}

#[test]
fn entities_cannot_be_serialized() {
    for file in sources("entity") {
        let code = code(&file);
        for word in ["Serialize", "JsonSchema"] {
            assert!(!code.contains(word), "{} has {word}", file.display());
        }
    }
}

#[test]
fn store_does_not_use_the_queue() {
    let mentions = mentions("store");
    assert!(mentions.iter().any(|(_, module)| module == "id"), "the parser of `use` is broken: {mentions:?}");
    for (file, module) in mentions {
        assert_ne!(module, "queue", "{}", file.display());
    }
}

#[test]
fn uses_and_manifests_of_every_form_are_parsed() {
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
    assert!(!names.is_empty(), "{} has no dependencies", path.display());
    names
}

/// The dependencies in a manifest, except those for tests, and the packages that they rename.
fn listed(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies") && !table.ends_with("dev-dependencies");
            // A separate table for one dependency.
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

/// The modules of `shared` that each file of a folder names.
fn mentions(folder: &str) -> Vec<(PathBuf, String)> {
    let files = sources(folder).into_iter();
    files.flat_map(|file| modules(&code(&file)).into_iter().map(move |module| (file.clone(), module))).collect()
}

/// The modules directly below `crate::`, single or in braces.
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

/// A file without its comments, because documentation may refer to any module.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("the source can be read");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The Rust files below a folder of `shared/src`.
fn sources(directory: &str) -> Vec<PathBuf> {
    rust_files(&format!("shared/src/{directory}"))
}
