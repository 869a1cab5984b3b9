//! The examples of documents: code blocks, and the requests in those of a shell.

use std::{collections::VecDeque, fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Setup, TestResponse, send};

/// A code block of a document.
#[derive(Clone, Debug)]
pub struct Example {
    /// The heading above it.
    pub section: String,
    pub language: String,
    pub text: String,
}

impl Example {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The requests of a shell. A command begins at the beginning of a line, and its further lines are indented.
    fn requests(&self) -> Vec<ExampleRequest> {
        let mut commands: Vec<String> = Vec::new();
        for line in self.text.lines() {
            match commands.last_mut() {
                Some(command) if line.starts_with(' ') => *command += &format!("\n{line}"),
                _ => commands.push(line.to_owned()),
            }
        }
        commands.iter().map(|command| ExampleRequest::parse(command)).collect()
    }

    /// The bodies that create connections.
    pub fn connections(&self) -> Vec<Value> {
        let bodies = match self.language.as_str() {
            "json" => vec![self.json()],
            "bash" => self.requests().into_iter().map(|request| request.body).collect(),
            _ => Vec::new(),
        };
        bodies.into_iter().filter(|body| body["provider"].is_string()).collect()
    }
}

/// A request of a shell command, of `curl` or of the function `api` of the documents.
#[derive(Clone, Debug)]
pub struct ExampleRequest {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl ExampleRequest {
    fn parse(command: &str) -> Self {
        let words = shlex::split(&command.replace("\\\n", " "));
        let mut words = words.unwrap_or_else(|| panic!("no command: {command}")).into_iter();
        let program = words.next().unwrap_or_default();
        assert!(["api", "curl"].contains(&program.as_str()), "no request: {command}");
        let mut method: Option<Method> = None;
        let (mut url, mut headers, mut body) = (String::new(), Vec::new(), Value::Null);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("`{word}` has no value: {command}"));
            match word.as_str() {
                "-X" => method = Some(value().parse().expect("a method")),
                "-H" => {
                    let header = value();
                    let (name, value) = header.split_once(": ").expect("a header");
                    headers.push((name.to_owned(), value.to_owned()));
                }
                "-d" => {
                    let text = value();
                    body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                }
                _ => url = word,
            }
        }
        let method = method.unwrap_or(if body.is_null() { Method::GET } else { Method::POST });
        Self { method, url, headers, body }
    }

    /// With values in place of words such as `ID`.
    pub fn with(&self, values: &[(&str, &str)]) -> Self {
        let url = values.iter().fold(self.url.clone(), |url, (name, value)| url.replace(name, value));
        Self { url, body: with(&self.body, values), ..self.clone() }
    }
}

/// JSON with values in place of texts such as `CONNECTION`.
pub fn with(example: &Value, values: &[(&str, &str)]) -> Value {
    let text = values.iter().fold(example.to_string(), |text, (name, value)| {
        text.replace(&json!(name).to_string(), &json!(value).to_string())
    });
    serde_json::from_str(&text).expect("JSON")
}

/// The code blocks of a document that a test has not taken yet. It takes all of them, in their order.
pub struct Examples {
    document: String,
    /// The whole document.
    pub text: String,
    blocks: VecDeque<Example>,
}

impl Examples {
    /// Of a document in the folder `docs`.
    pub fn of(document: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        let (mut section, mut blocks) = (String::new(), VecDeque::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with('#') {
                section = line.trim_start_matches('#').trim().to_owned();
            }
            let fence = line.split_once("```").filter(|(before, _)| before.trim().is_empty());
            let Some((indentation, language)) = fence else { continue };
            let content = lines.by_ref().take_while(|line| line.trim() != "```");
            let content: Vec<_> = content.map(|line| line.strip_prefix(indentation).unwrap_or(line)).collect();
            let language = language.trim().to_owned();
            blocks.push_back(Example { section: section.clone(), language, text: content.join("\n") });
        }
        Self { document: document.to_owned(), text, blocks }
    }

    /// All that are left.
    pub fn left(&self) -> impl Iterator<Item = &Example> {
        self.blocks.iter()
    }

    /// The text below a heading, up to the next one, in one line.
    pub fn section(&self, heading: &str) -> String {
        let is_heading = |line: &str| line.starts_with('#');
        let lines =
            self.text.lines().skip_while(|line| !is_heading(line) || line.trim_start_matches('#').trim() != heading);
        lines.skip(1).take_while(|line| !is_heading(line)).map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// Takes the next example, which is one of this section and language.
    #[track_caller]
    fn take(&mut self, section: &str, language: &str) -> Example {
        let next = self.blocks.pop_front();
        let next = next.unwrap_or_else(|| panic!("{}: no example of `{section}` is left", self.document));
        let found = (next.section.as_str(), next.language.as_str());
        assert_eq!(found, (section, language), "{}: the test does not run {}", self.document, next.text);
        next
    }

    #[track_caller]
    pub fn json(&mut self, section: &str) -> Value {
        self.take(section, "json").json()
    }

    #[track_caller]
    pub fn requests(&mut self, section: &str) -> Vec<ExampleRequest> {
        self.take(section, "bash").requests()
    }

    #[track_caller]
    pub fn sql(&mut self, section: &str) -> String {
        self.take(section, "sql").text
    }

    /// Fails if examples are left.
    #[track_caller]
    pub fn finish(self) {
        assert!(self.blocks.is_empty(), "{}: the test does not run {:#?}", self.document, self.blocks);
    }
}

impl Setup {
    /// Sends a request of an example to the API.
    pub async fn send_example(&self, example: &ExampleRequest) -> TestResponse {
        let path = example.url.strip_prefix("$WS/").unwrap_or_else(|| panic!("no address of the API: {example:?}"));
        let request = self.app.request(example.method.clone(), &self.path(path)).bearer_auth(&self.ada.token);
        let request = if example.body.is_null() { request } else { request.json(&example.body) };
        let response = send(request).await;
        assert!(response.status.is_success(), "{example:?}: {response:?}");
        response
    }

    /// As [`Setup::send_example`]; the body of the response.
    pub async fn answered_example(&self, example: &ExampleRequest) -> Value {
        serde_json::from_str(&self.send_example(example).await.text).expect("a JSON body")
    }

    /// Creates the connection of an example as it is printed, and then gives it the address and the credentials of a server of the
    /// test; returns its id.
    pub async fn connect_example(&self, example: &Value, address: &Value, credentials: &Value) -> String {
        let created = self.app.post(&self.ada, &self.path("connections"), example).await.expect(201);
        let id = created["id"].as_str().expect("an id").to_owned();
        let mut settings = example["settings"].clone();
        settings.as_object_mut().expect("settings").extend(address.as_object().expect("settings").clone());
        let change = json!({ "settings": settings, "credentials": credentials });
        self.patch(&format!("connections/{id}"), &change).await;
        self.assert_connected(&id).await;
        id
    }

    /// Fails unless a check of the connection succeeds.
    pub async fn assert_connected(&self, connection: &str) {
        let path = self.path(&format!("connections/{connection}/check"));
        let checked = self.app.post(&self.ada, &path, &json!({})).await.expect(200);
        assert_eq!(checked["check"]["state"], "ok", "{checked}");
    }
}
