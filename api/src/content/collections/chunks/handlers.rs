//! The operations on chunks.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{
    id::ChunkId,
    store::{
        self,
        chunk::{ChunkPosition, ChunkRow},
    },
};

use super::{
    super::{service::find as find_collection, wire::CollectionPath},
    export::ChunkExport,
    service,
    wire::{ChangeChunk, Chunk, ChunkPath, ChunksQuery, ExportQuery},
};
use crate::{
    auth::member::{Member, ReadFiles, WriteCollections},
    http::{
        client_info::ClientInfo,
        etag::{ExpectedRevisions, Tagged},
        extract::{Json, Path},
        pagination::Page,
        query::Query,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listChunks",
    tag = "chunks",
    summary = "List chunks",
    description = "Those that search reads, with the disabled ones: of a file in a collection one after the other. They match every condition of the query."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadFiles>,
    query: Query<ChunksQuery>,
) -> Result<Json<Page<Chunk>>, Problem> {
    let (filter, page) = query.0.into_parts();
    let after: Option<ChunkPosition> = page.after()?;
    let rows = store::chunk::list(&state.platform.db, member.workspace, &filter, after, page.fetch_limit()).await?;
    let rows = store::chunk::detect_languages(rows).await?;
    Ok(Json(Page::new(&page, rows, |(chunk, _)| (chunk.target_id, chunk.ordinal))))
}

#[api_operation(
    operation_id = "readChunk",
    tag = "chunks",
    summary = "Read a chunk",
    description = "By its id, which is the `chunkId` of a hit. An id is that of one version: chunks of a file that is indexed anew have new ones."
)]
pub async fn read(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<ChunkPath>,
) -> Result<Tagged<Chunk>, Problem> {
    let chunk = store::chunk::find(&state.platform.db, member.workspace, ChunkId(path.0.chunk)).await?;
    tagged(chunk.ok_or_else(Problem::not_found)?).await
}

#[api_operation(
    operation_id = "updateChunk",
    tag = "chunks",
    summary = "Change a chunk",
    description = "No search finds a disabled chunk, from the response on. Another text takes the place of that of the source: words find it at once, vectors when a worker has computed them. Both belong to the text of the source: they hold for all chunks of the file in the collection with the same text, also when the file is indexed anew. With `If-Match`, only if the chunk has not changed since the client read it."
)]
pub async fn update(
    state: Data<State>,
    member: Member<WriteCollections>,
    client: ClientInfo,
    expected: ExpectedRevisions,
    path: Path<ChunkPath>,
    body: Json<ChangeChunk>,
) -> Result<Tagged<Chunk>, Problem> {
    let (chunk, change) = (ChunkId(path.0.chunk), body.0.into());
    tagged(service::update(&state.platform, &member, &client, chunk, expected.revisions(), &change).await?).await
}

#[api_operation(
    operation_id = "exportChunks",
    tag = "chunks",
    summary = "Export the chunks of a collection",
    description = "Those that search reads, with the disabled ones, as JSON Lines: one chunk per line. A chunk that is there from the beginning to the end of the export is in it once; of those that come or go meanwhile, some are."
)]
pub async fn export(
    state: Data<State>,
    member: Member<ReadFiles>,
    path: Path<CollectionPath>,
    query: Query<ExportQuery>,
) -> Result<ChunkExport, Problem> {
    let db = state.platform.db.clone();
    let collection = find_collection(&db, member.workspace, &path.0.key()?).await?.id;
    Ok(ChunkExport {
        db,
        workspace: member.workspace,
        access: member.access_grant(),
        filter: query.0.filter(collection),
        has_vectors: query.0.has_vectors(),
        after: None,
    })
}

async fn tagged(chunk: ChunkRow) -> Result<Tagged<Chunk>, Problem> {
    let revision = chunk.revision;
    let body = store::chunk::detect_languages(vec![chunk]).await?.pop().ok_or_else(Problem::not_found)?;
    Ok(Tagged { revision, body: body.into() })
}
