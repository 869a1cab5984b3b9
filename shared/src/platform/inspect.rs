//! Checks of all parts for the doctor: unlike [`super::Platform::open`] they go on after a failure.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use nvisy_embed::{Embedder, InputType, SpaceSpec};
use tokio::net::TcpStream;

use super::{all_embed_settings, bucket, check_names, open_reranker};
use crate::{
    blob::Blobs,
    clock,
    config::{Config, OutboundConfig},
    crypt::{Keyring, MasterKey},
    error_chain,
    id::{BlobId, WorkspaceId},
    probe::Finding,
    queue,
    secret::Secret,
    store::{self, Db},
};

/// Largest harmless difference between two clocks. A larger one confuses the order of logs and changes the life of tokens.
const MAX_SKEW_SECONDS: f64 = 5.0;
/// Longest wait for a connection to the proxy.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
/// Differences of the schema that are listed; further ones are only counted.
const MAX_LISTED_DIFFERENCES: usize = 5;

/// Checks the master key, the database, NATS, the object store and the model. Creates nothing that stays.
pub async fn inspect(config: &Config) -> Vec<Finding> {
    let key = MasterKey::read(&config.encryption.key_file);
    let mut findings = vec![match &key {
        Ok(_) => check_key_file("encryption key", &config.encryption.key_file, FileAccess::Private),
        Err(error) => Finding::wrong(
            "encryption key",
            format!("{}; NVISY_ENCRYPTION_KEY_FILE must name a file of 32 bytes", error_chain(error)),
        ),
    }];
    let db = store::connect(&config.database).await;
    match &db {
        Ok(db) => findings.extend(database(config, db, key.as_ref().ok()).await),
        Err(error) => findings.push(Finding::wrong("database", error_chain(error))),
    }
    let nats = queue::inspect(&config.nats, config.http.upload_bytes).await;
    findings.extend(nats.findings);
    if let (Some((jetstream, names)), Ok(key)) = (nats.jetstream, key) {
        findings.push(object_store(config, jetstream, &names, key).await);
    }
    let model = models(config).await;
    let described = |models: &Vec<Embedder>| {
        let names = models.iter().map(|model| named(model.space()));
        names.collect::<Vec<_>>().join(", ")
    };
    findings.extend(extraction(config));
    findings.push(outbound_proxy(&config.outbound).await);
    findings.push(Finding::from_result("model", model.as_ref().map(described).map_err(Clone::clone)));
    findings.extend(reranking_model(config).await);
    if let (Ok(db), Ok(served)) = (&db, &model) {
        findings.push(Finding::from_result("embedding spaces", spaces(db, served).await));
    }
    findings
}

/// Says which proxy requests go through, and whether it accepts connections.
async fn outbound_proxy(settings: &OutboundConfig) -> Finding {
    let part = "outbound proxy";
    let Some(url) = settings.proxy_url.as_ref().map(Secret::expose) else {
        return Finding::ok(part, "none: requests go out directly");
    };
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let shown = format!("{}://{host}:{port}", url.scheme());
    // Addresses of IPv6 have no brackets outside of URLs.
    let connect = TcpStream::connect((host.trim_matches(['[', ']']), port));
    match tokio::time::timeout(PROXY_TIMEOUT, connect).await {
        Ok(Ok(_)) => Finding::ok(part, format!("{shown} accepts connections")),
        Ok(Err(error)) => {
            Finding::wrong(part, format!("{shown} cannot be reached: {error}; see NVISY_OUTBOUND_PROXY_URL"))
        }
        Err(_) => Finding::wrong(part, format!("{shown} does not respond; see NVISY_OUTBOUND_PROXY_URL")),
    }
}

/// What confines the processes that read files, and whether text in pictures is recognised.
fn extraction(config: &Config) -> [Finding; 2] {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let seccomp = read("/proc/sys/kernel/seccomp/actions_avail").contains("errno");
    let landlock = read("/sys/kernel/security/lsm").contains("landlock");
    let namespaces = has_user_namespaces(|name| std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok());
    let sandbox = sandbox(seccomp, landlock, namespaces);
    let directory = &config.extract.ocr_directory;
    let is_there = directory.join("PP-OCRv6_rec_small.rten").is_file();
    let recognition = match is_there {
        true => Finding::ok("text recognition", directory.display().to_string()),
        false => Finding::warning(
            "text recognition",
            format!(
                "no models in {}: pictures and scanned pages have no text; see NVISY_EXTRACT_OCR_DIRECTORY",
                directory.display()
            ),
        ),
    };
    [sandbox, recognition]
}

fn sandbox(seccomp: bool, landlock: bool, namespaces: bool) -> Finding {
    let all = [("seccomp", seccomp), ("Landlock", landlock), ("namespaces of their own", namespaces)];
    let names = |is_there: bool| {
        let names = all.iter().filter(|(_, found)| *found == is_there).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("processes that read files are confined by {}", names(true));
    if !all.iter().all(|(_, found)| *found) {
        text = format!("{text}; not visible here: {}", names(false));
    }
    match seccomp || landlock {
        true => Finding::ok("sandbox", text),
        false => Finding::warning(
            "sandbox",
            format!("not visible here: {}: processes that read files may have only their limits", names(false)),
        ),
    }
}

/// Whether the settings of the kernel, by name, let any process enter namespaces of its own. A container can still refuse.
fn has_user_namespaces(setting: impl Fn(&str) -> Option<String>) -> bool {
    let number = |name: &str| setting(name).and_then(|value| value.trim().parse::<u64>().ok());
    number("user/max_user_namespaces").is_some_and(|most| most > 0)
        && number("user/max_net_namespaces").is_some_and(|most| most > 0)
        && number("kernel/unprivileged_userns_clone") != Some(0)
        && number("kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0) == 0
}

/// The permitted readers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// The owner, and possibly the group.
    Private,
    /// All users.
    Public,
}

/// Checks that only the permitted users can read a key file, and only its owner can change it.
#[must_use]
pub fn check_key_file(part: &'static str, path: &Path, access: FileAccess) -> Finding {
    let shown = path.display();
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) => return Finding::wrong(part, format!("{shown} cannot be read: {error}")),
    };
    let excess = match access {
        FileAccess::Private => mode & 0o026,
        FileAccess::Public => mode & 0o022,
    };
    if excess == 0 {
        Finding::ok(part, format!("{shown}, mode {mode:04o}"))
    } else {
        Finding::wrong(part, format!("{shown} has mode {mode:04o}, open to others: `chmod 600 {shown}`"))
    }
}

async fn database(config: &Config, db: &Db, key: Option<&MasterKey>) -> Vec<Finding> {
    let schema = match store::schema::differences(db).await {
        Ok(differences) if differences.is_empty() => Ok(format!("{} tables as expected", store::schema::table_count())),
        Ok(differences) => {
            let more = differences.len().saturating_sub(MAX_LISTED_DIFFERENCES);
            let listed = differences[..differences.len() - more].join("; ");
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            Err(format!("{listed}{more}: apply the migrations (`nvisy-migrate up`)"))
        }
        Err(error) => Err(error_chain(&error)),
    };
    let mut findings = vec![Finding::from_result("schema", schema), privileges(db).await, commits(db).await];
    if let Some(key) = key {
        findings.push(Finding::from_result("encryption key's database", owner(config, db, key).await));
    }
    findings.push(Finding::from_result("clock", skew(db).await));
    findings
}

/// Checks that the role of the programs cannot change the activity log.
async fn privileges(db: &Db) -> Finding {
    let part = "database role";
    let remedy = "could change the activity log: run the programs as a role that owns nothing (`nvisy-migrate grant`; \
                  docs/OPERATIONS.md, Roles)";
    match store::db_privileges::current(db).await {
        Ok(privileges) if privileges.superuser => {
            Finding::warning(part, format!("{} is a superuser, and {remedy}", privileges.role))
        }
        Ok(privileges) if privileges.owner => {
            Finding::warning(part, format!("{} owns the tables, and {remedy}", privileges.role))
        }
        Ok(privileges) => Finding::ok(part, format!("{} owns nothing", privileges.role)),
        Err(error) => Finding::wrong(part, error_chain(&error)),
    }
}

/// Checks that a commit is on disk before PostgreSQL confirms it. A worker goes on after a confirmed commit: if it is lost, so is
/// the work of a job that ends in the next one.
async fn commits(db: &Db) -> Finding {
    let part = "commits";
    match store::lossy_settings(db).await {
        Ok(settings) if settings.is_empty() => Finding::ok(part, "on disk before they are confirmed"),
        Ok(settings) => Finding::warning(
            part,
            format!("confirmed before they are on disk: a crash loses work; set {} to on", settings.join(" and ")),
        ),
        Err(error) => Finding::wrong(part, error_chain(&error)),
    }
}

async fn owner(config: &Config, db: &Db, key: &MasterKey) -> Result<String, String> {
    match store::installation::find(db).await {
        Ok(Some(known)) if known.master_key_check == key.check_value() => {
            Ok("the key belongs to the database".to_owned())
        }
        Ok(Some(_)) => Err(super::PlatformError::ForeignKey(config.encryption.key_file.clone()).to_string()),
        Ok(None) => Ok("no program has started yet: the database will belong to this key".to_owned()),
        Err(error) => Err(error_chain(&error)),
    }
}

async fn skew(db: &Db) -> Result<String, String> {
    let seconds = || clock::now().timestamp_micros() as f64 / 1e6;
    let before = seconds();
    let database = store::clock_seconds(db).await.map_err(|error| error_chain(&error))?;
    let skew = database - f64::midpoint(before, seconds());
    if skew.abs() > MAX_SKEW_SECONDS {
        Err(format!(
            "PostgreSQL's clock differs from that of this machine by {skew:.1} s: synchronise both machines (NTP)"
        ))
    } else {
        Ok(format!("PostgreSQL's clock differs from that of this machine by {:.0} ms", skew * 1000.0))
    }
}

/// Writes some bytes, reads them back, and removes them.
async fn object_store(
    config: &Config,
    jetstream: async_nats::jetstream::Context,
    names: &queue::NatsNames,
    key: MasterKey,
) -> Finding {
    const CONTENT: &[u8] = b"written by the doctor";
    let settings = bucket(config, names);
    let part = format!("object store {}", settings.bucket);
    let tried = async {
        if !Blobs::exists(&jetstream, &settings).await {
            return Err("missing: the API and the worker create it when they start".to_owned());
        }
        let blobs = Blobs::open(jetstream, &settings, Keyring::new(key)).await.map_err(|error| error_chain(&error))?;
        let (workspace, blob) = (WorkspaceId::new(), BlobId::new());
        let content = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(CONTENT))]);
        let written = blobs.put(workspace, blob, content, u64::MAX).await;
        written.map_err(|error| {
            format!(
                "{}: make sure that the disk of NATS is not full (and restart NATS if it was), and raise max_file_store",
                error_chain(&error)
            )
        })?;
        let read = blobs.read_all(workspace, blob, CONTENT.len() as u64).await;
        let removed = blobs.delete(workspace, blob).await;
        match read {
            Ok(read) if read == CONTENT => {}
            Ok(_) => return Err("the bytes read back differ from those written".to_owned()),
            Err(error) => return Err(error_chain(&error)),
        }
        removed.map_err(|error| error_chain(&error))?;
        Ok("written, read back and removed".to_owned())
    };
    Finding::from_result(part, tried.await)
}

/// Opens every model and computes a vector with it.
async fn models(config: &Config) -> Result<Vec<Embedder>, String> {
    let settings = all_embed_settings(config).map_err(|error| error_chain(&error))?;
    let mut embedders = Vec::with_capacity(settings.len());
    for settings in &settings {
        let embedder = Embedder::open(settings).await.map_err(|error| error_chain(&error))?;
        let vectors = embedder.embed(InputType::Query, vec!["test".to_owned()]).await;
        vectors
            .map_err(|error| format!("{}: {}; see NVISY_EMBEDDING_*", embedder.space().model, error_chain(&error)))?;
        embedders.push(embedder);
    }
    check_names(&embedders)?;
    Ok(embedders)
}

/// Opens the reranking model, if there is one, and scores a text with it.
async fn reranking_model(config: &Config) -> Option<Finding> {
    let tried: Result<Option<String>, String> = async {
        let Some(reranker) = open_reranker(config, &[]).await.map_err(|error| error_chain(&error))? else {
            return Ok(None);
        };
        let scored = reranker.score("test", vec!["test".to_owned()]).await;
        scored.map_err(|error| format!("{}: {}; see NVISY_RERANKING_*", reranker.model(), error_chain(&error)))?;
        Ok(Some(reranker.model().to_owned()))
    }
    .await;
    tried.transpose().map(|result| Finding::from_result("reranking model", result))
}

/// Checks that every collection has an embedding space of these settings.
async fn spaces(db: &Db, models: &[Embedder]) -> Result<String, String> {
    let mut others = store::space::in_use(db).await.map_err(|error| error_chain(&error))?;
    others.retain(|other| models.iter().all(|model| model.of_space(&other.spec).is_none()));
    if others.is_empty() {
        return Ok("every collection has the space of a model".to_owned());
    }
    let described = |other: &store::space::SpaceUsage| format!("{} of {}", other.collections, named(&other.spec));
    Err(format!(
        "collections with another space have no semantic search and index nothing: {}; restore NVISY_EMBEDDING_*, or \
         change the model of each (docs/EMBEDDING.md, changing the model)",
        others.iter().map(described).collect::<Vec<_>>().join(", ")
    ))
}

fn named(SpaceSpec { model, provider, dimensions, .. }: &SpaceSpec) -> String {
    format!("{model} ({provider}, {dimensions} dimensions)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandbox_names_what_is_there_and_what_is_not() {
        let text = |finding: Finding| finding.to_string();
        let all = text(sandbox(true, true, true));
        assert!(
            all.contains("confined by seccomp, Landlock, namespaces of their own") && !all.contains("not"),
            "{all}"
        );
        let some = text(sandbox(true, false, false));
        assert!(some.ends_with("confined by seccomp; not visible here: Landlock, namespaces of their own"), "{some}");
        let none = text(sandbox(false, false, true));
        assert!(none.contains("not visible here: seccomp, Landlock: "), "{none}");
    }

    #[test]
    fn user_namespaces_are_where_no_setting_forbids_them() {
        let allowed = |settings: &[(&str, &str)]| {
            has_user_namespaces(|name| {
                let found = settings.iter().find(|(setting, _)| *setting == name);
                found.map(|(_, value)| format!("{value}\n"))
            })
        };
        let limits = [("user/max_user_namespaces", "96364"), ("user/max_net_namespaces", "96364")];
        assert!(allowed(&limits));
        assert!(!allowed(&limits[..1]));
        assert!(!allowed(&[limits[1], ("user/max_user_namespaces", "0")]));
        assert!(!allowed(&[limits[0], limits[1], ("kernel/unprivileged_userns_clone", "0")]));
        assert!(!allowed(&[limits[0], limits[1], ("kernel/apparmor_restrict_unprivileged_userns", "1")]));
        assert!(allowed(&[limits[0], limits[1], ("kernel/unprivileged_userns_clone", "1")]));
    }
}
