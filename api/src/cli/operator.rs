//! What operators do by hand: one transaction, which ends with an entry of the activity log that names the operator.

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

/// Why nothing can be done by hand.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum OperatorError {
    #[error("the master key cannot be used (NVISY_ENCRYPTION_KEY_FILE)")]
    Key(#[from] KeyFileError),
    #[error(
        "the encryption key {} does not belong to this database: what is written down under it would break the activity \
         log (NVISY_ENCRYPTION_KEY_FILE, NVISY_DATABASE_URL)",
        .0.display()
    )]
    ForeignKey(PathBuf),
    #[error("the database cannot be used (NVISY_DATABASE_URL)")]
    Database(#[from] store::Error),
}

/// Something that an operator does. Unless it is written down, it was not done.
pub struct Operation {
    db: Db,
    pub keys: Keyring,
    /// For all that it does.
    pub tx: Tx,
}

impl Operation {
    /// Opens the database, which must be the one of the master key.
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

    /// Writes down what was done to what, and commits it.
    pub async fn write_down(
        self,
        chain: WorkspaceId,
        action: Action,
        object: Uuid,
        mut details: Map<String, Value>,
    ) -> Result<(), OperatorError> {
        details.insert(OPERATOR_DETAIL.to_owned(), operator());
        let act = AuditEntry::new(action, object, details.into());
        activity::append(&self.tx, &AuditKeys::new(self.keys), chain, &ActorContext::system(), &[act]).await?;
        self.tx.commit().await?;
        Ok(self.db.close().await?)
    }
}

/// Who runs this, as far as the machine says: whoever has the keys and the database can make it say anything.
fn operator() -> Value {
    // Of `sudo` the name that somebody logged in with, not the one they became.
    let before = env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let user = before.or_else(|| whoami::fallible::username().ok());
    json!({ "user": user, "host": whoami::fallible::hostname().ok() })
}
