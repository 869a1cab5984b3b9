//! Errors of `nvisy-migrate` without a database. This test also makes Cargo build the program for the other tests.

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
fn errors_name_their_cause_and_end_with_status_1() {
    let unreachable = Some("postgres://nvisy:hunter2@127.0.0.1:1/nvisy");
    for (arguments, database, sentence) in [
        (&[][..], None, "Usage: nvisy-migrate"),
        (&["sideways"], None, "Usage: nvisy-migrate"),
        (&["up"], None, "NVISY_DATABASE_URL"),
        (&["up"], unreachable, "NVISY_DATABASE_URL"),
    ] {
        let output = migrate(arguments, database);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(
            message.contains(sentence) && !message.contains("hunter2") && !message.contains("panicked"),
            "{message}"
        );
    }
}
