//! `nvisy-api schema`: compares the tables with the entities.

use nvisy_shared::{
    config::Config,
    store::{self, schema},
};

/// Each difference as a sentence; empty when there is none.
///
/// # Errors
/// When the database cannot be read.
pub async fn differences(config: &Config) -> store::Result<Vec<String>> {
    schema::differences(&store::connect(&config.database).await?).await
}
