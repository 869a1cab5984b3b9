//! Tests of all raw statements: each is prepared against the migrated schema, and none binds by position.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{fs, path::Path};

use sea_orm::ConnectionTrait;
use syn::{parse::Parser, visit::Visit};

use crate::{store, testing::TestDeployment};

/// The text of a statement, and the file that contains it.
#[derive(Debug)]
struct RawStatement {
    file: String,
    text: String,
}

/// Finds the statements of a file.
struct Finder<'a> {
    file: &'a str,
    statements: Vec<RawStatement>,
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        if found.path.is_ident("raw_sql") {
            let arguments = |input: syn::parse::ParseStream<'_>| {
                input.parse::<syn::Ident>()?;
                input.parse::<syn::Token![,]>()?;
                input.parse::<syn::LitStr>()
            };
            let text = arguments.parse2(found.tokens.clone()).unwrap().value();
            self.statements.push(RawStatement { file: self.file.to_owned(), text });
        }
        syn::visit::visit_macro(self, found);
    }
}

/// The other source files of the store: path and text.
fn sources() -> Vec<(String, String)> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = Vec::new();
    let mut folders = vec![store.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(&store).unwrap().to_str().unwrap().to_owned();
            if file != "statements.rs" {
                files.push((file, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

/// All raw statements of the store.
fn raw_statements() -> Vec<RawStatement> {
    let mut all = Vec::new();
    for (file, source) in sources() {
        let mut finder = Finder { file: &file, statements: Vec::new() };
        finder.visit_file(&syn::parse_file(&source).unwrap());
        // A statement inside another macro would be hidden from the syntax tree.
        assert_eq!(finder.statements.len(), source.matches("raw_sql!(").count(), "{file}: a statement was not found");
        all.append(&mut finder.statements);
    }
    all
}

/// The statement with a number instead of each name, as PostgreSQL expects it.
fn numbered(text: &str) -> String {
    let mut numbered = String::new();
    let (mut parameters, mut in_quotes) = (0, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        in_quotes ^= character == '\'';
        if character == '{' && !in_quotes {
            parameters += 1;
            numbered.push_str(&format!("${parameters}"));
            let name: String = characters.by_ref().take_while(|character| *character != '}').collect();
            assert!(!name.starts_with(".."), "a list is one parameter: = any({{{name}}})");
        } else {
            numbered.push(character);
        }
    }
    numbered
}

#[tokio::test]
async fn every_raw_statement_is_prepared_against_the_schema() {
    let statements = raw_statements();
    assert!(statements.len() > 50, "only {} statements were found", statements.len());
    let deployment = TestDeployment::new().await;
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let mut failures = Vec::new();
    for (number, RawStatement { file, text }) in statements.iter().enumerate() {
        let text = numbered(text);
        if let Err(error) = db.execute_unprepared(&format!("prepare statement_{number} as {text}")).await {
            failures.push(format!("{file}: {error}: {text}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    db.close().await.unwrap();
    deployment.close().await;
}

#[test]
fn no_statement_binds_by_position() {
    // Numbers placeholders: of a statement that is built at run time, from the values that were added.
    const BUILDER: &str = "search/parameters.rs";
    let mut violations = Vec::new();
    for (file, source) in sources().into_iter().filter(|(file, _)| file != BUILDER) {
        for (line, text) in source.lines().enumerate() {
            let by_position = text.split('$').skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
            let constructors = ["from_sql_and_values", "cust_with_values", "cust_with_expr", "from_string"];
            let constructed = constructors.iter().any(|name| text.contains(name));
            // The statement for tests has no parameters.
            let is_for_tests = file == "mod.rs" && text.contains("from_string");
            if by_position || constructed && !is_for_tests {
                violations.push(format!("{file}:{}: {}", line + 1, text.trim()));
            }
        }
    }
    assert!(violations.is_empty(), "bind by name with raw_sql!:\n{}", violations.join("\n"));
}

#[test]
fn names_become_numbers_outside_of_quotes() {
    let text = "select '{}', {a}, '{a}' where x = any({ids.all}::uuid[]) and {a}";
    assert_eq!(numbered(text), "select '{}', $1, '{a}' where x = any($2::uuid[]) and $3");
}
