//! Changes by operators: one transaction, which ends with an entry of the activity log that names the operator.

use std::{env, path::PathBuf};

use nvisy_shared::{
    config::Config,
    crypt::{KeyFileError, Keyring, MasterKey, audit_mac::AuditKeys},
    domain::activity::{Action, OPERATOR_DETAIL},
    id::WorkspaceId,
    store::{
        self, Db, TransactionTrait, Tx,
        activity::{self, ActorContext, AuditEntry},
    },
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

/// A change by an operator. Dropped without `commit`, it is rolled back.
pub struct OperatorChange {
    db: Db,
    pub keys: Keyring,
    /// The transaction of the change.
    pub tx: Tx,
}

impl OperatorChange {
    /// Opens the database, which must belong to the master key.
    pub async fn begin(config: &Config) -> Result<Self, OperatorError> {
        let file = &config.encryption.key_file;
        let key = MasterKey::read(file)?;
        let db = store::connect(&config.database).await?;
        if !store::installation::verify_master_key(&db, &key.check_value()).await? {
            return Err(OperatorError::ForeignKey(file.clone()));
        }
        let tx = db.begin().await?;
        Ok(Self { db, keys: Keyring::new(key), tx })
    }

    /// Appends the entry of the activity log and commits.
    pub async fn commit(
        self,
        chain: WorkspaceId,
        action: Action,
        object: Uuid,
        mut details: Map<String, Value>,
    ) -> Result<(), OperatorError> {
        details.insert(OPERATOR_DETAIL.to_owned(), operator());
        let entry = AuditEntry::new(action, object, details.into());
        activity::append(&self.tx, &AuditKeys::new(self.keys), chain, &ActorContext::system(), &[entry]).await?;
        self.tx.commit().await?;
        Ok(self.db.close().await?)
    }
}

/// The login name and host of the operator. Not a proof: an operator has the keys and the database.
fn operator() -> Value {
    // Under `sudo` the login name, not the target user.
    let sudo_user = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let user = sudo_user.or_else(|| whoami::username().ok());
    json!({ "user": user, "host": whoami::hostname().ok() })
}
