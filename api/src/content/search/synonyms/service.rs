//! Replacing and deleting the synonyms of a workspace, under its lock.

use nvisy_shared::{
    domain::{activity::Action, event::EventType, synonym::SynonymSet},
    platform::Platform,
    store::{self, Tx, synonyms::Synonyms},
};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::{
    auth::member::{Member, UpdateWorkspace},
    http::{client_info::ClientInfo, etag::check_revision},
    problem::Problem,
};

/// Stores sets in place of the present ones. The same sets change nothing.
pub async fn replace(
    platform: &Platform,
    member: &Member<UpdateWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
    sets: Vec<SynonymSet>,
) -> Result<Synonyms, Problem> {
    // The stems of many entries in all languages take longer than a request may keep its thread.
    let keyed = move || (sets.iter().map(SynonymSet::keys).collect::<Vec<_>>(), sets);
    let (keys, sets) = spawn_blocking(keyed).await.map_err(Problem::internal)?;
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let known = lock(change, member, revisions.as_deref()).await?;
            if known.sets == sets {
                return Ok(known);
            }
            store::synonyms::replace(change, member.workspace, &sets, &keys).await?;
            let details = json!({ "sets": sets.len() });
            change.audit_with(Action::SynonymsUpdated, member.workspace, details.clone());
            change.emit(EventType::SynonymsUpdated, member.workspace, details);
            Ok(store::synonyms::find(change.tx(), member.workspace).await?)
        })
        .await
}

/// Deletes all sets.
pub async fn delete(
    platform: &Platform,
    member: &Member<UpdateWorkspace>,
    client: &ClientInfo,
    revisions: Option<Vec<i32>>,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            if lock(change, member, revisions.as_deref()).await?.sets.is_empty() {
                return Ok(());
            }
            store::synonyms::replace(change, member.workspace, &[], &[]).await?;
            change.audit(Action::SynonymsDeleted, member.workspace);
            change.emit(EventType::SynonymsDeleted, member.workspace, json!({}));
            Ok(())
        })
        .await
}

/// Locks the workspace, and reads its synonyms; 412 unless they have one of these revisions.
async fn lock(tx: &Tx, member: &Member<UpdateWorkspace>, revisions: Option<&[i32]>) -> Result<Synonyms, Problem> {
    member.lock(tx).await?;
    let known = store::synonyms::find(tx, member.workspace).await?;
    check_revision(known.revision, revisions)?;
    Ok(known)
}
