//! Changes by operators, each with an entry of the activity log that names the operator.

use std::{env, path::PathBuf};

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, audit_mac::AuditKeys},
    domain::activity::{Action, OPERATOR_DETAIL},
    id::WorkspaceId,
    store::{self, Tx, activity::ActorContext, change::ChangeScope},
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Why the change was not made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum OperatorError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error(
        "the encryption key {} does not belong to this database: an entry made with it would break the activity log \
         (NVISY_ENCRYPTION_KEY_FILE, NVISY_DATABASE_URL)",
        .0.display()
    )]
    ForeignKey(PathBuf),
    #[error("the database cannot be used (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
}

/// The entry of an operator's change.
pub struct OperatorEntry {
    pub action: Action,
    pub object: Uuid,
    pub details: Map<String, Value>,
}

/// Runs an operator's change, which returns its entry, in a chain of the activity log. The database must belong to the
/// configured master key.
pub async fn operator_change<T, E>(
    config: &Config,
    chain: WorkspaceId,
    mut operation: impl AsyncFnMut(&Tx, &Keyring) -> Result<(T, OperatorEntry), E>,
) -> Result<T, E>
where
    E: From<OperatorError> + From<store::Error> + std::error::Error + 'static,
{
    let file = &config.encryption.key_file;
    let key = MasterKey::read(file).map_err(OperatorError::from)?;
    let db = store::connect(&config.database).await?;
    if !store::installation::verify_master_key(&db, &key.check_value()).await? {
        return Err(OperatorError::ForeignKey(file.clone()).into());
    }
    let keys = Keyring::new(key);
    let audit_keys = AuditKeys::new(keys.clone());
    let changes = ChangeScope::new(&db, &audit_keys, chain, ActorContext::system());
    let changed = changes.run(async |change| {
        let (value, OperatorEntry { action, object, mut details }) = operation(change, &keys).await?;
        details.insert(OPERATOR_DETAIL.to_owned(), operator());
        change.audit_with(action, object, details.into());
        Ok::<_, E>(value)
    });
    let value = changed.await?;
    db.close().await?;
    Ok(value)
}

/// The login name and host of the operator. Not a proof: an operator has the keys and the database.
fn operator() -> Value {
    // Under `sudo` the login name, not the target user.
    let sudo_user = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let user = sudo_user.or_else(|| whoami::username().ok());
    json!({ "user": user, "host": whoami::hostname().ok() })
}
