//! Tests of artifacts on a real server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use serde_json::json;

use super::*;
use crate::{
    id::BlobId,
    store::{
        self, Db, TransactionTrait,
        file::{NewFile, StoredBlob},
    },
    testing::TestDeployment,
};

async fn file(db: &Db, workspace: WorkspaceId) -> (FileId, VersionId) {
    let tx = db.begin().await.unwrap();
    let mut sha256 = [0; 32];
    sha256[..16].copy_from_slice(crate::id::new().as_bytes());
    let blob = StoredBlob { id: BlobId::new(), sha256, bytes: 1 };
    store::file::register_blob(&tx, workspace, blob).await.unwrap();
    let new = NewFile {
        name: "a.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        blob,
        created_by: None,
        external_id: None,
        tags: Vec::new(),
        metadata: json!({}),
    };
    let ids = store::file::insert(&tx, workspace, blob.id, &new).await.unwrap();
    tx.commit().await.unwrap();
    ids
}

fn new_artifact(elements: i32) -> NewArtifact {
    let part = |first: i64, elements| Part { first, elements, data: b"[]".to_vec() };
    NewArtifact {
        key: ContentKey([7; 32]),
        node_type: "partition",
        flow: Flow::Document,
        effects: json!([]),
        parts: vec![part(0, 1), part(1, elements - 1)],
        complete: true,
    }
}

#[tokio::test]
async fn artifact_is_adopted_with_all_of_its_parts_unless_it_was_deleted() {
    let deployment = TestDeployment::new().await;
    let db = store::connect(&deployment.config(&[]).database).await.unwrap();
    let workspace = WorkspaceId::new();
    db.execute_unprepared(&format!("insert into workspace (id, name) values ('{workspace}', 'x')")).await.unwrap();
    let (one, two, three) = (file(&db, workspace).await, file(&db, workspace).await, file(&db, workspace).await);

    let tx = db.begin().await.unwrap();
    let (id, elements) = insert(&tx, workspace, one, new_artifact(3)).await.unwrap();
    assert_eq!(elements, 3);
    // The first one stays, and its number of elements with it.
    assert_eq!(insert(&tx, workspace, one, new_artifact(2)).await.unwrap(), (id, 3));
    tx.commit().await.unwrap();

    let found = find(&db, workspace, two.1, new_artifact(3).key).await.unwrap().unwrap();
    assert_eq!((found.id, found.elements), (id, 3));
    let tx = db.begin().await.unwrap();
    let own = adopt(&tx, workspace, two, &found).await.unwrap().unwrap();
    assert_ne!(own, id);
    assert_eq!(adopt(&tx, workspace, two, &found).await.unwrap(), Some(own), "it has it already");
    assert_eq!(adopt(&tx, workspace, one, &found).await.unwrap(), Some(id), "it is its own");
    tx.commit().await.unwrap();
    assert_eq!(parts(&db, workspace, own, 0, 3).await.unwrap(), new_artifact(3).parts);

    db.execute_unprepared(&format!("delete from artifact where id = '{id}'")).await.unwrap();
    let tx = db.begin().await.unwrap();
    assert_eq!(adopt(&tx, workspace, one, &found).await.unwrap(), None);
    assert_eq!(adopt(&tx, workspace, three, &found).await.unwrap(), None);
    tx.rollback().await.unwrap();
    db.close().await.unwrap();
    deployment.close().await;
}
