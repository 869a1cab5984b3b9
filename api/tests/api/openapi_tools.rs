//! Foreign tools read the OpenAPI document: a linter, three generators of clients, and Schemathesis, which compares the API
//! with it. `just test-openapi` installs them and runs these tests; their settings are in `api/tests/openapi_tools`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use nvisy_shared::domain::role::Permission;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{TestAccount, TestApp, part};

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi_tools");

/// The tools, and a directory with both versions of the document.
struct Tools {
    installed: PathBuf,
    directory: tempfile::TempDir,
}

impl Tools {
    async fn new(app: &TestApp) -> Self {
        let installed = std::env::var_os("NVISY_TEST_OPENAPI_TOOLS").expect("tools: run `just test-openapi`").into();
        let tools = Self { installed, directory: tempfile::tempdir().unwrap() };
        fs::write(tools.path("openapi.json"), app.openapi().await.json().to_string()).unwrap();
        let response = app.request(reqwest::Method::GET, "/api/openapi-3.1.json").send().await.unwrap();
        fs::write(tools.path("openapi-3.1.json"), response.text().await.unwrap()).unwrap();
        // TypeScript and Node look for packages beside the sources.
        std::os::unix::fs::symlink(tools.installed.join("npm/node_modules"), tools.path("node_modules")).unwrap();
        tools
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(name: &str) -> String {
        Path::new(SETTINGS).join(name).to_str().unwrap().to_owned()
    }

    /// Copies a file of the settings beside the generated clients.
    fn copy(&self, name: &str) {
        fs::copy(Self::settings(name), self.path(name)).unwrap();
    }

    /// Runs a Python module, or with `-c` a program.
    async fn python(&self, arguments: &[&str], variables: &[(&str, &str)]) {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", std::env::join_paths([self.installed.join("python"), self.path("")]).unwrap());
        self.run(command, arguments, variables).await;
    }

    async fn node(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) {
        let node = self.installed.join("node/bin/node");
        self.run(Command::new(node), &[&[script], arguments].concat(), variables).await;
    }

    /// Runs a program of an npm package.
    async fn npm(&self, script: &str, arguments: &[&str]) {
        let script = self.path("node_modules").join(script);
        self.node(script.to_str().unwrap(), arguments, &[]).await;
    }

    /// Fails with the output of the program unless it succeeds.
    async fn run(&self, mut command: Command, arguments: &[&str], variables: &[(&str, &str)]) {
        let path =
            std::env::join_paths([self.installed.join("python/bin"), "/usr/local/bin".into(), "/usr/bin".into()]);
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", format!("{}:{}", path.unwrap().display(), std::env::var("PATH").unwrap_or_default()));
        command.envs(variables.iter().copied()).env("NO_COLOR", "1").env("REDOCLY_TELEMETRY", "off");
        let output = command.output().await.expect("a started program");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} failed with {}:\n{text}", output.status);
    }
}

/// An account with a workspace, for a client that uploads and searches.
async fn start_for_journey() -> (TestApp, TestAccount, String) {
    let app = TestApp::start_with_worker(&[]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Tidal energy").await;
    (app, ada, workspace)
}

#[actix_web::test]
#[ignore = "needs the tools of `just test-openapi`"]
async fn linter_accepts_both_versions_of_the_document() {
    let app = TestApp::start().await;
    let tools = Tools::new(&app).await;
    let config = Tools::settings("redocly.yaml");
    let documents = ["openapi.json", "openapi-3.1.json"];
    tools.npm("@redocly/cli/bin/cli.js", &[&["lint", "--config", &config], &documents[..]].concat()).await;
    app.stop().await;
}

#[actix_web::test]
#[ignore = "needs the tools of `just test-openapi`"]
async fn generated_python_client_uploads_and_searches() {
    let (app, ada, workspace) = start_for_journey().await;
    let tools = Tools::new(&app).await;
    let config = Tools::settings("openapi-python-client.yaml");
    let base = format!("http://{}", app.address);
    for document in ["openapi-3.1.json", "openapi.json"] {
        let generate = ["-m", "openapi_python_client", "generate", "--path", document, "--meta", "none"];
        // No formatter: the client is compiled and not read.
        let output = ["--output-path", "nvisy_client", "--overwrite", "--fail-on-warning", "--config", &config];
        tools.python(&[&generate[..], &output].concat(), &[]).await;
        tools.python(&["-m", "compileall", "-q", "nvisy_client"], &[]).await;
    }
    tools.copy("journey.py");
    tools.python(&["-m", "mypy", "--strict", "--cache-dir", "mypy", "journey.py"], &[]).await;
    let variables = [("BASE", base.as_str()), ("TOKEN", &ada.token), ("WS", &workspace)];
    tools.python(&["journey.py"], &variables).await;
    app.stop().await;
}

#[actix_web::test]
#[ignore = "needs the tools of `just test-openapi`"]
async fn generated_typescript_clients_upload_and_search() {
    let (app, ada, workspace) = start_for_journey().await;
    let tools = Tools::new(&app).await;
    let base = format!("http://{}", app.address);
    for name in ["openapi-ts.config.mjs", "tsconfig.json", "journey-hey-api.ts", "journey-openapi-fetch.ts"] {
        tools.copy(name);
    }
    fs::write(tools.path("package.json"), r#"{ "type": "module" }"#).unwrap();
    tools.npm("@hey-api/openapi-ts/bin/run.js", &["-f", "openapi-ts.config.mjs"]).await;
    for (document, output) in [("openapi.json", "paths-3.0.d.ts"), ("openapi-3.1.json", "paths-3.1.d.ts")] {
        tools.npm("openapi-typescript/bin/cli.js", &[document, "--output", output]).await;
    }
    tools.npm("typescript/bin/tsc", &["--project", "tsconfig.json"]).await;
    let variables = [("BASE", base.as_str()), ("TOKEN", &ada.token), ("WS", &workspace)];
    for name in ["built/journey-hey-api.js", "built/journey-openapi-fetch.js"] {
        tools.node(name, &[], &variables).await;
    }
    app.stop().await;
}

#[actix_web::test]
#[ignore = "needs the tools of `just test-openapi`"]
async fn schemathesis_finds_no_disagreement_with_the_document() {
    let (app, ada, workspace) = start_for_journey().await;
    let tools = Tools::new(&app).await;
    let accepted = app.upload(&ada, &workspace, vec![part("tide.txt", "The tide turns at noon.")]).await.expect(202);
    let file = accepted["items"][0]["id"].as_str().unwrap().to_owned();
    app.finished_file(&ada, &workspace, &file).await;
    let bob = app.create_account("bob").await;
    app.add_member(&workspace, &bob, "member").await;
    let invites = format!("/api/v1/workspaces/{workspace}/invites");
    let invite = app.post(&ada, &invites, &json!({ "role": "guest" })).await.expect(201);
    let (token, _) = app.api_token(&ada, &json!({ "permissions": all_permissions() })).await;
    let base = format!("http://{}", app.address);
    tools.copy("schemathesis.toml");
    tools.copy("schemathesis_hooks.py");
    let program = "from schemathesis.cli import schemathesis; schemathesis()";
    let arguments = ["-c", program, "run", "openapi.json", "--url", &base];
    let variables = [
        ("SESSION", ada.token.as_str()),
        ("TOKEN", &token.token),
        ("WS", &workspace),
        ("FILE", &file),
        ("ACCOUNT", &bob.id),
        ("INVITE", invite["id"].as_str().unwrap()),
    ];
    tools.python(&arguments, &variables).await;
    app.stop_and_drop_jobs().await;
}

fn all_permissions() -> Vec<Value> {
    Permission::ALL.iter().map(|permission| permission.name().into()).collect()
}
