//! Creating, filling, exchanging and deleting second spaces, under the locks of workspace and collection.

use nvisy_shared::{
    domain::{
        activity::Action,
        connection::{self, embedding::EmbeddingSettings},
        event::EventType,
        space::SecondSpaceState,
    },
    id::{CollectionId, WorkspaceId},
    job::{ClearSpace, FillSpace},
    platform::Platform,
    queue::outbox,
    store::{
        self, Conn,
        change::Change,
        collection::CollectionKey,
        second_space::{Estimate, SecondSpace},
    },
};
use serde_json::json;

use super::{
    super::{
        model::{NamedModel, RequestedSpace, requested_space},
        service::{find, lock},
    },
    wire::RequestedState,
};
use crate::{
    auth::member::{Member, ReadCollections, WriteCollections},
    http::{client_info::ClientInfo, extract::invalid_field},
    problem::{Code, Problem},
};

/// What it takes to fill a second space.
#[derive(Debug)]
pub struct SecondSpaceEstimate {
    pub found: Estimate,
    /// In millionths.
    pub cost: Option<i64>,
    /// `None`: the speed of the model is not known.
    pub seconds: Option<i64>,
}

pub async fn read(conn: &impl Conn, workspace: WorkspaceId, key: &CollectionKey) -> Result<SecondSpace, Problem> {
    let collection = find(conn, workspace, key).await?;
    of_collection(conn, workspace, collection.id).await
}

async fn of_collection(
    conn: &impl Conn,
    workspace: WorkspaceId,
    collection: CollectionId,
) -> Result<SecondSpace, Problem> {
    store::second_space::read(conn, workspace, collection).await?.ok_or_else(Problem::not_found)
}

/// Adds a second space and begins to fill it.
pub async fn create(
    change: &mut Change,
    platform: &Platform,
    member: &Member<WriteCollections>,
    key: &CollectionKey,
    requested: &RequestedSpace,
) -> Result<SecondSpace, Problem> {
    let workspace = member.workspace;
    let collection = lock(change, member, key, None).await?;
    let space = requested_space(change, platform, workspace, requested).await?;
    let space = space.ok_or_else(|| invalid_field("model", "must be set, or `connection`"))?;
    if collection.space_id == Some(space) {
        return Err(invalid_field(
            "model",
            "must be another model than that of the collection, or have other `dimensions` or another `quantisation`",
        ));
    }
    if store::second_space::find(change.tx(), workspace, collection.id).await?.is_some() {
        return Err(Problem::new(Code::SecondSpaceExists));
    }
    store::second_space::insert(change, workspace, collection.id, space).await?;
    begin(change, workspace, collection.id).await?;
    record(change, collection.id, SecondSpaceState::Running.name());
    of_collection(change.tx(), workspace, collection.id).await
}

async fn begin(change: &Change, workspace: WorkspaceId, collection: CollectionId) -> Result<(), Problem> {
    let epoch = store::second_space::begin(change, workspace, collection).await?;
    let epoch = epoch.ok_or_else(Problem::not_found)?;
    outbox::enqueue(change, workspace, &FillSpace { collection, epoch }).await?;
    Ok(())
}

fn record(change: &mut Change, collection: CollectionId, what: &'static str) {
    change.audit_with(Action::CollectionUpdated, collection, json!({ "fields": ["secondSpace"], "secondSpace": what }));
    change.emit(EventType::CollectionUpdated, collection, json!({ "secondSpace": what }));
}

/// What it takes to fill a space. Nothing changes.
pub async fn estimate(
    platform: &Platform,
    member: &Member<ReadCollections>,
    key: &CollectionKey,
    requested: &RequestedSpace,
) -> Result<SecondSpaceEstimate, Problem> {
    let (db, workspace) = (&platform.db, member.workspace);
    let collection = find(db, workspace, key).await?;
    let (connection, space, settings) = match requested.named()? {
        Some(NamedModel::Model(model)) => (None, requested.space_of_model(platform, model)?.1, None),
        Some(NamedModel::Connection(id)) => {
            let row = store::connection::find(db, workspace, id).await?;
            let row = row.ok_or_else(|| Problem::not_found().detail("the connection does not exist"))?;
            let settings: EmbeddingSettings = connection::read(&row.settings)
                .map_err(|_| invalid_field("connection", "must be a connection of kind `embedding`"))?;
            (Some(id), requested.space_of_connection(&settings)?, Some(settings))
        }
        None => return Err(invalid_field("model", "must be set, or `connection`")),
    };
    let known = store::space::comparable(db, connection, &space.spec).await?;
    let found = store::second_space::estimate(db, workspace, collection.id, known).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    let tokens = u64::try_from(found.tokens - found.known_tokens).unwrap_or_default();
    let spec = &space.spec;
    let speed = store::embedding_speed::tokens_per_second(db, connection, &spec.provider, &spec.model).await?;
    let seconds = match (tokens, speed) {
        (0, _) => Some(0),
        (_, Some(speed)) => Some((tokens as f64 / speed).ceil() as i64),
        (_, None) => None,
    };
    let priced = settings.filter(|settings| settings.price_per_million.is_some());
    Ok(SecondSpaceEstimate { found, cost: priced.map(|settings| settings.cost(tokens)), seconds })
}

pub async fn update(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &CollectionKey,
    state: RequestedState,
) -> Result<SecondSpace, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let (workspace, collection) = (member.workspace, lock(change, member, key, None).await?.id);
            let before = of_collection(change.tx(), workspace, collection).await?.state;
            match (state, before) {
                (_, SecondSpaceState::Deleting) => return Err(Problem::not_found()),
                (RequestedState::Running, SecondSpaceState::Paused | SecondSpaceState::Failed) => {
                    begin(change, workspace, collection).await?;
                    record(change, collection, SecondSpaceState::Running.name());
                }
                (RequestedState::Paused, _) => {
                    if before != SecondSpaceState::Paused
                        && store::second_space::pause(change, workspace, collection).await?
                    {
                        record(change, collection, SecondSpaceState::Paused.name());
                    }
                }
                (RequestedState::Running, SecondSpaceState::Running | SecondSpaceState::Ready) => {}
            }
            of_collection(change.tx(), workspace, collection).await
        })
        .await
}

/// Exchanges the spaces, at once if the second one is complete, otherwise as soon as it is.
pub async fn exchange(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &CollectionKey,
) -> Result<SecondSpace, Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let (workspace, collection) = (member.workspace, lock(change, member, key, None).await?.id);
            // Nothing becomes visible until both spaces are exchanged.
            store::second_space::lock_usage(change, workspace, collection).await?;
            let second = of_collection(change.tx(), workspace, collection).await?;
            match second.state {
                SecondSpaceState::Deleting => return Err(Problem::not_found()),
                SecondSpaceState::Ready if store::second_space::is_complete(change, workspace, collection).await? => {
                    store::second_space::exchange(change, workspace, collection).await?;
                    record(change, collection, "exchanged");
                }
                state => {
                    store::second_space::request_exchange(change, workspace, collection).await?;
                    if state != SecondSpaceState::Running {
                        begin(change, workspace, collection).await?;
                    }
                    record(change, collection, "exchange_requested");
                }
            }
            of_collection(change.tx(), workspace, collection).await
        })
        .await
}

/// Ends the second space: no vectors are written to it from the response on, and those that are there are deleted soon.
pub async fn delete(
    platform: &Platform,
    member: &Member<WriteCollections>,
    client: &ClientInfo,
    key: &CollectionKey,
) -> Result<(), Problem> {
    let changes = member.changes(platform, client);
    changes
        .run(async |change| {
            let (workspace, collection) = (member.workspace, lock(change, member, key, None).await?.id);
            if !store::second_space::end(change, workspace, collection).await? {
                return Err(Problem::not_found());
            }
            outbox::enqueue(change, workspace, &ClearSpace { collection }).await?;
            record(change, collection, SecondSpaceState::Deleting.name());
            Ok(())
        })
        .await
}
