//! Accounts: people who can sign in.

use super::{Conn, Result, Tx, sql};
use crate::{entity::account::Model, id::AccountId, secret::Secret};

/// An account to be.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Normalised: see [`crate::domain::account::normalise_email`].
    pub email: &'a str,
    /// 2 to 100 characters.
    pub display_name: &'a str,
    /// The PHC string, never the password.
    pub password_hash: &'a Secret<String>,
}

/// Adds an account. `None`: the address is taken, also by an account that another transaction adds at this moment.
///
/// # Errors
/// The database's.
pub async fn insert(tx: &Tx, account: NewAccount<'_>) -> Result<Option<Model>> {
    sql::first(
        tx,
        "insert into account (id, email, display_name, password_hash) values ($1, $2, $3, $4)
         on conflict (email) do nothing returning *",
        [
            AccountId::new().into(),
            account.email.into(),
            account.display_name.into(),
            account.password_hash.expose().as_str().into(),
        ],
    )
    .await
}

/// The account with this id.
///
/// # Errors
/// The database's.
pub async fn by_id(conn: &impl Conn, id: AccountId) -> Result<Option<Model>> {
    sql::first(conn, "select * from account where id = $1", [id.into()]).await
}

/// The account with this (normalised) address.
///
/// # Errors
/// The database's.
pub async fn by_email(conn: &impl Conn, email: &str) -> Result<Option<Model>> {
    sql::first(conn, "select * from account where email = $1", [email.into()]).await
}
