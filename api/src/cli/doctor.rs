//! `nvisy-api doctor`: checks every dependency of an installation.

use nvisy_shared::{
    config::Config,
    error_chain,
    platform::{self, FileAccess},
    probe::Finding,
    store,
};

use crate::auth::jwt::SigningKeys;

/// One finding per check. All checks run even if one fails.
pub async fn doctor(config: &Config) -> Vec<Finding> {
    let mut findings = schema(config).await;
    findings.extend(signing_keys(config).await);
    findings.extend(platform::inspect(config).await);
    findings
}

async fn schema(config: &Config) -> Vec<Finding> {
    let (server, history) = match nvisy_migration::status(config.database.url.expose()).await {
        Ok(status) => status,
        Err(error) => return vec![Finding::wrong("PostgreSQL", error_chain(&error))],
    };
    let postgres = server.check_postgres().map(|()| server.postgres.clone()).map_err(|error| error.to_string());
    let pgvector = server.check_pgvector().map_err(|error| error.to_string()).map(|()| {
        let version = server.pgvector.clone().unwrap_or_default();
        if server.installed { version } else { format!("{version}, installed in the database by the first migration") }
    });
    let migrations = match history.check() {
        Err(error) => Err(error.to_string()),
        Ok(()) if history.pending.is_empty() => Ok(format!("{} applied", history.applied.len())),
        Ok(()) => Err(format!(
            "{} of {} not applied: start the API or the worker, or run `nvisy-migrate up`",
            history.pending.len(),
            history.applied.len() + history.pending.len()
        )),
    };
    vec![
        Finding::from_result("PostgreSQL", postgres),
        Finding::from_result("pgvector", pgvector),
        Finding::from_result("migrations", migrations),
    ]
}

async fn signing_keys(config: &Config) -> Vec<Finding> {
    let auth = &config.auth;
    let mut findings = vec![
        platform::check_key_file("private key", &auth.private_key_file, FileAccess::Private),
        platform::check_key_file("public key", &auth.public_key_file, FileAccess::Public),
    ];
    let keys = match SigningKeys::load(auth) {
        Ok(keys) => keys,
        Err(error) => {
            findings.push(Finding::wrong("signing keys", error_chain(&error)));
            return findings;
        }
    };
    let known = async {
        let db = store::connect(&config.database).await?;
        store::installation::find(&db).await
    };
    let outcome = match known.await.map(|known| known.and_then(|known| known.signing_key_id)) {
        Ok(Some(known)) if known == keys.id() => Ok("a pair, and that of this database".to_owned()),
        Ok(Some(_)) => Err(keys.foreign().to_string()),
        Ok(None) => Ok("a pair; the database will belong to it".to_owned()),
        Err(error) => Err(format!("a pair, but the database's pair cannot be read: {}", error_chain(&error))),
    };
    findings.push(Finding::from_result("signing keys", outcome));
    findings
}
