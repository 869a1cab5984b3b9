//! What `nvisy-migrate` says without a database. That this test exists has Cargo build the program for all tests.

use std::process::{Command, Output};

fn migrate(arguments: &[&str], database: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nvisy-migrate"));
    command.args(arguments).env_clear();
    if let Some(url) = database {
        command.env("NVISY_DATABASE_URL", url);
    }
    command.output().expect("the program starts")
}

#[test]
fn what_cannot_be_done_is_one_sentence_and_a_status() {
    let nobody_listens = Some("postgres://nvisy:hunter2@127.0.0.1:1/nvisy");
    for (arguments, database, sentence) in [
        (&[][..], None, "usage: nvisy-migrate"),
        (&["sideways"], None, "usage: nvisy-migrate"),
        (&["up"], None, "NVISY_DATABASE_URL"),
        (&["up"], nobody_listens, "NVISY_DATABASE_URL"),
    ] {
        let output = migrate(arguments, database);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(sentence) && !said.contains("hunter2") && !said.contains("panicked"), "{said}");
    }
}
