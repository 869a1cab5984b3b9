//! The first contact: what README prints and tells a reader to paste, and the programs of `deploy/quickstart`.

use std::{fs, path::PathBuf, process::Stdio};

use nvisy_api::cli::allow_sign_up;
use nvisy_shared::testing::TestServers;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{PASSWORD, TestApp, text};

/// The questions of `just demo`: the file that answers, and the answer, which the printed passage must contain.
const ANSWERS: [(&str, &str, &str); 3] = [
    ("What does an emergency stop do?", "operations-manual.pdf, page 4", "opens the circuit breaker"),
    ("What happens when a porpoise", "seal-monitoring.md", "under 40 m | porpoise | rotor slowed"),
    ("Why is the spring tide worth", "tidal-resource.html", "grows with the cube of its speed"),
];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("README.md")
}

/// The code block of README that contains `part`.
fn block(part: &str) -> String {
    let readme = readme();
    let blocks = readme.split("```").skip(1).step_by(2);
    let mut found = blocks.filter(|block| block.contains(part));
    let block = found.next().unwrap_or_else(|| panic!("README has no block with {part}"));
    assert!(found.next().is_none(), "README has several blocks with {part}");
    block.split_once('\n').expect("a language and lines").1.to_owned()
}

/// The output of a command in the root of the checkout; fails unless it succeeds.
async fn output_of(command: &mut Command) -> String {
    let output = command.current_dir(root()).stdin(Stdio::null()).output().await.expect("a started command");
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The output without what differs between runs: how long a search took.
fn without_times(printed: &str) -> String {
    let lines = printed.lines().map(|line| match line.split_once("?  (") {
        Some((question, _)) => format!("{question}?\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[actix_web::test]
async fn demo_answers_its_questions_as_readme_shows() {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Demo").await;
    let tour = "import sys; sys.path.insert(0, 'deploy/quickstart'); import authored, client, tour; base, email, password, \
                workspace = sys.argv[1:]; api = client.Client(base); api.login(email, password); \
                tour.run(api, workspace); authored.run(api, workspace)";
    let base = format!("http://{}", app.address);
    let arguments = ["-B", "-c", tour, &base, &ada.email, PASSWORD, &workspace];
    let printed = without_times(&output_of(Command::new("python3").args(arguments)).await);
    let (tour, authored) = printed.split_once("\nA pipeline of your own").unwrap_or_else(|| panic!("{printed}"));
    for part in ["run over all files: completed, 5 items", "  default  ", "  safety   "] {
        assert!(authored.contains(part), "no `{part}` in: {authored}");
    }
    let answers = &tour[tour.find(ANSWERS[0].0).unwrap_or_else(|| panic!("{printed}"))..];
    let parts: Vec<_> = answers.split("\n\n").collect();
    assert_eq!(parts.len(), ANSWERS.len(), "{answers}");
    for (part, (question, place, answer)) in parts.iter().zip(ANSWERS) {
        let passage = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(part.starts_with(question) && part.contains(place) && passage.contains(answer), "{part}");
    }
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(root().join("README.md"), readme().replace(&block(ANSWERS[0].0), answers)).unwrap();
    }
    assert_eq!(block(ANSWERS[0].0), answers, "UPDATE_SNAPSHOTS=1 writes the new output into README");
    app.stop().await;
}

#[actix_web::test]
async fn commands_of_readme_sign_up_upload_and_search() {
    let app = TestApp::start_with_worker(&[("NVISY_AUTH_SIGN_UP", "")]).await;
    let code = allow_sign_up(app.config(), "you@example.org", 7).await.unwrap().expose().clone();
    let commands = block("just allow-sign-up");
    let address = "http://127.0.0.1:8080";
    assert!(commands.contains(address), "{commands}");
    let commands = commands.replace(address, &format!("http://{}", app.address));
    let script = format!(
        "set -euo pipefail\njust() {{ [ \"$*\" = 'allow-sign-up you@example.org' ] && echo '{code}'; }}\n{commands}"
    );
    let printed = output_of(Command::new("bash").args(["-c", &script])).await;
    let found = printed.find("{\n").map(|start| &printed[start..]).expect("the formatted response");
    let found: Value = serde_json::from_str(found).expect("JSON");
    assert_eq!(found["hits"][0]["file"]["name"], "README.md");
    assert!(found["hits"][0]["snippet"]["text"].as_str().unwrap().contains("PostgreSQL"), "{printed}");
    app.stop().await;
}

#[actix_web::test]
async fn psql_recipe_passes_its_arguments_on() {
    let servers = TestServers::start();
    // As typed by people who write `just psql -- -c ...`, and by those who write `just psql -c ...`.
    for arguments in [&["-Atc", "select 'two words'"][..], &["--", "-Atc", "select 'two words'"]] {
        assert_eq!(servers.psql(arguments), "two words\n", "{arguments:?}");
    }
}
