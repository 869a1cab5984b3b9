//! What an error of a database means. Messages that may quote a value are not shown: it is a part of a document.

use nvisy_shared::{domain::connection::relational::Dialect, error_chain};
use sqlx::{Error, error::DatabaseError, mysql::MySqlDatabaseError};

use super::super::{
    CallFailure,
    target::{invalid, mismatch, rejected, too_large},
};

/// The failure of an error.
pub(super) fn of_error(dialect: Dialect, error: &Error) -> CallFailure {
    match error {
        Error::Database(error) => of_database(dialect, &**error),
        Error::Tls(error) => CallFailure::Blocked(format!("no encrypted connection: {}", error_chain(&**error))),
        Error::Io(error) if is_certificate(error) => {
            CallFailure::Blocked(format!("no encrypted connection: {}", error_chain(error)))
        }
        Error::Io(error) => CallFailure::Unavailable(error_chain(error)),
        Error::Configuration(error) => CallFailure::Blocked(error_chain(&**error)),
        Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => CallFailure::Unavailable(error.to_string()),
        Error::Protocol(_) => invalid("it is not of the protocol of the database"),
        _ => rejected("the values do not fit the columns"),
    }
}

/// Whether the handshake failed because of the certificate: repeating it does not help.
fn is_certificate(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData && error_chain(error).contains("certificate")
}

fn of_database(dialect: Dialect, error: &dyn DatabaseError) -> CallFailure {
    let code = error.code().unwrap_or_default().into_owned();
    let number = error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
    let shown = match number {
        Some(number) => format!("error {number}"),
        None => format!("error {code}"),
    };
    // These name tables, columns and users, and no values.
    let message = || format!("{shown}: {}", error.message());
    let means = match dialect {
        Dialect::PostgreSql => of_sqlstate(&code),
        Dialect::MySql => number.map_or(Means::Rejected, of_number),
    };
    match means {
        Means::Blocked => CallFailure::Blocked(message()),
        Means::Busy => CallFailure::Busy { retry_after: None, reason: message() },
        Means::Unavailable => CallFailure::Unavailable(message()),
        Means::Mismatch => mismatch(format!("the table has another form: {}", message())),
        Means::TooLarge => too_large(shown),
        Means::Rejected => {
            let constraint = error.constraint().map(|name| format!(", constraint `{name}`")).unwrap_or_default();
            rejected(format!("the database rejected the rows: {shown}{constraint}"))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Means {
    Blocked,
    Busy,
    Unavailable,
    Mismatch,
    TooLarge,
    Rejected,
}

/// The meaning of an error code of PostgreSQL.
fn of_sqlstate(code: &str) -> Means {
    match code {
        // No such database, no right.
        "3D000" | "42501" => Means::Blocked,
        // No such table, column, schema or constraint; a write through a connection that may only read.
        "42P01" | "42703" | "3F000" | "42P10" | "25006" => Means::Mismatch,
        "54000" | "54001" => Means::TooLarge,
        _ => match code.get(..2) {
            // Authentication.
            Some("28") => Means::Blocked,
            // No resources.
            Some("53") => Means::Busy,
            // Connection, conflict, intervention of an operator (also a killed or too long statement), system.
            Some("08" | "40" | "55" | "57" | "58" | "XX") => Means::Unavailable,
            _ => Means::Rejected,
        },
    }
}

/// The meaning of an error number of MySQL and MariaDB.
const fn of_number(number: u16) -> Means {
    match number {
        // Access denied, no such database, no right, too many failed logins, read only.
        1044 | 1045 | 1049 | 1129 | 1130 | 1142 | 1143 | 1227 | 1698 | 3118 => Means::Blocked,
        // Too many connections.
        1040 | 1203 | 1226 => Means::Busy,
        // No such table or column.
        1054 | 1146 | 1051 | 1109 => Means::Mismatch,
        // The packet is too large, too many placeholders.
        1153 | 1390 => Means::TooLarge,
        // Shutdown, lock or deadlock, a killed or too long statement, disk full, gone, read only.
        1021 | 1053 | 1205 | 1213 | 1290 | 1317 | 1836 | 1927 | 1969 | 2006 | 2013 | 3024 => Means::Unavailable,
        _ => Means::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_decides_what_helps() {
        assert_eq!(of_sqlstate("28P01"), Means::Blocked);
        assert_eq!(of_sqlstate("42P01"), Means::Mismatch);
        assert_eq!(of_sqlstate("57014"), Means::Unavailable);
        assert_eq!(of_sqlstate("53300"), Means::Busy);
        assert_eq!(of_sqlstate("22001"), Means::Rejected);
        assert_eq!(of_number(1045), Means::Blocked);
        assert_eq!(of_number(1969), Means::Unavailable);
        assert_eq!(of_number(1406), Means::Rejected);
    }
}
