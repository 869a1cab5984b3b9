//! API and worker as processes.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use nvisy_shared::testing::TestDeployment;
use reqwest::Method;
use tokio::process::{Child, Command};

use super::{TestApp, free_port, wait_until};

const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// The path of a program of this workspace, built with the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let program = test.parent().and_then(|deps| deps.parent()).expect("a target folder").join(name);
    assert!(program.exists(), "{} is not built: run the tests through `just test`", program.display());
    program
}

/// A program with the settings of this deployment; its process is killed when dropped.
pub fn program_command(name: &str, deployment: &TestDeployment, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program(name));
    command.env_clear().envs(deployment.variables(settings)).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts a program, which is killed when dropped.
pub fn spawn(name: &str, deployment: &TestDeployment, settings: &[(&str, &str)]) -> Child {
    program_command(name, deployment, settings).spawn().expect("a started program")
}

/// Starts another API of the same deployment, and returns its URL once it is ready.
pub async fn start_second_api(app: &TestApp, settings: &[(&str, &str)]) -> (Child, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let settings = [&[("NVISY_HTTP_ADDRESS", address.as_str())], settings].concat();
    let api = spawn("nvisy-api", &app.deployment, &settings);
    let url = format!("http://{address}");
    wait_until("the second API is ready", async || {
        let response = app.request_to(&url, Method::GET, "/health/ready").send().await.ok()?;
        response.status().is_success().then_some(())
    })
    .await;
    (api, url)
}

/// Runs a program to its end.
pub async fn run(name: &str, arguments: &[&str], deployment: &TestDeployment, settings: &[(&str, &str)]) -> Output {
    let child = Command::new(program(name))
        .args(arguments)
        .env_clear()
        .envs(deployment.variables(&[&[("NVISY_LOG_FILTER", "off")], settings].concat()))
        .current_dir(deployment.keys().folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(RUN_TIMEOUT, child).await;
    output.unwrap_or_else(|_| panic!("{name} {arguments:?} did not end")).expect("a started program")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fails unless the program ended with status 1 and one sentence that contains all these parts.
#[track_caller]
pub fn assert_single_error(output: &Output, parts: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("panicked"), "{error}");
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

pub async fn send_signal(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().await.expect("kill runs");
    assert!(status.success(), "process {process} has ended");
}
