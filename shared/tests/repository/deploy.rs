//! Consistency of the deployment files with each other and with the code.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn both_images_are_built_by_the_same_stages() {
    let (api, worker) = (stages("Dockerfile.api"), stages("Dockerfile.worker"));
    assert!(api.contains("cargo chef cook") && api.contains(" AS runtime"), "the stages are no longer read");
    assert_eq!(api, worker, "different stages build the second image without the cache of the first");
}

#[test]
fn images_have_the_version_of_the_programs() {
    for name in ["Dockerfile.api", "Dockerfile.worker"] {
        let label = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
        assert!(read(name).contains(&label), "{name}");
    }
}

#[test]
fn variables_of_compose_are_in_env_example() {
    let example = read(".env.example");
    let listed = |name: &str| example.lines().any(|line| line.starts_with(&format!("# {name}=")));
    let used = variables(&read("docker-compose.yml"));
    assert!(used.contains("POSTGRES_PASSWORD"), "{used:?}");
    let missing: Vec<_> = used.iter().filter(|name| !name.starts_with("OTEL_") && !listed(name)).collect();
    assert!(missing.is_empty(), "{missing:?}: add them to shared/src/config/compose.rs or variables.rs");
}

#[test]
fn variables_of_the_nats_configuration_are_set_everywhere() {
    let conf: String = read("nats/server.conf").lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let used: BTreeSet<&str> = conf.split('$').skip(1).map(word).collect();
    assert!(used.contains("NATS_STORE_DIR"), "{used:?}");
    for file in ["docker-compose.yml", "docker-compose.dev.yml", "deploy/quickstart/nats.py"] {
        let text = read(file);
        let missing: Vec<_> = used
            .iter()
            .filter(|name| !text.contains(&format!("{name}: ")) && !text.contains(&format!("\"{name}\": ")))
            .collect();
        assert!(missing.is_empty(), "{file} does not set {missing:?}");
    }
}

/// The instructions of a Dockerfile above the line of equals signs, without comments.
fn stages(name: &str) -> String {
    let text = read(name);
    let (stages, _) = text.split_once("\n# =====").expect("a line of equals signs ends the shared stages");
    stages.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The names in `${NAME}`, `${NAME:-default}`, `${NAME:?sentence}` and so on.
fn variables(compose: &str) -> BTreeSet<String> {
    compose.split("${").skip(1).map(|rest| word(rest).to_owned()).collect()
}

fn word(text: &str) -> &str {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).next().unwrap_or_default()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
