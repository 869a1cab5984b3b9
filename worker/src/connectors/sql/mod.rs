//! Relational databases, through sqlx.

mod database;
mod failure;
mod listener;
mod mysql;
mod mysql_rows;
mod postgres;
mod postgres_rows;
mod relay;
mod rows;
mod source;
mod table;
mod target;

pub(crate) use self::listener::{ChannelListener, ChannelNotification};
use self::{database::Database, source::SqlSource, target::SqlTarget};
use super::{CallFailure, DynSource, DynTarget, OpenConnection};
use crate::context::Context;

/// The target of a connection to a database.
pub(super) fn target(cx: &Context, connection: &OpenConnection) -> Result<Box<DynTarget>, CallFailure> {
    Ok(Box::new(SqlTarget::new(Database::new(cx, connection)?)))
}

/// The source of a connection to a database.
pub(super) fn source(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(SqlSource(Database::new(cx, connection)?)))
}
