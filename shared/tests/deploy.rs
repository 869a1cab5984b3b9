//! Files of the deployment that must agree with one another and with the code.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn both_images_are_built_by_the_same_stages() {
    let (api, worker) = (stages("Dockerfile.api"), stages("Dockerfile.worker"));
    assert!(api.contains("cargo chef cook") && api.contains(" AS runtime"), "the stages are not read any more");
    assert_eq!(api, worker, "otherwise the second image is built from nothing");
}

#[test]
fn the_images_carry_the_version_of_the_programs() {
    for name in ["Dockerfile.api", "Dockerfile.worker"] {
        let label = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
        assert!(read(name).contains(&label), "{name}");
    }
}

#[test]
fn everything_compose_wants_to_know_is_in_the_example() {
    let example = read(".env.example");
    let listed = |name: &str| example.lines().any(|line| line.starts_with(&format!("# {name}=")));
    let wanted = variables(&read("docker-compose.yml"));
    assert!(wanted.contains("POSTGRES_PASSWORD"), "{wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|name| !name.starts_with("OTEL_") && !listed(name)).collect();
    assert!(missing.is_empty(), "{missing:?}: name them in shared/src/config/variables.rs");
}

#[test]
fn the_configuration_of_nats_learns_everything_it_asks_for() {
    let conf: String = read("nats/server.conf").lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let asked: BTreeSet<&str> = conf.split('$').skip(1).map(word).collect();
    assert!(asked.contains("NATS_STORE_DIR"), "{asked:?}");
    for file in ["docker-compose.yml", "docker-compose.dev.yml", "deploy/quickstart/nats.py"] {
        let text = read(file);
        let missing: Vec<_> = asked
            .iter()
            .filter(|name| !text.contains(&format!("{name}: ")) && !text.contains(&format!("\"{name}\": ")))
            .collect();
        assert!(missing.is_empty(), "{file} does not set {missing:?}");
    }
}

/// A Dockerfile's instructions down to the line of equals signs, without comments.
fn stages(name: &str) -> String {
    let text = read(name);
    let (stages, _) = text.split_once("\n# =====").expect("the line that ends what both have in common");
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
