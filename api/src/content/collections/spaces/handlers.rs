//! The operation on the spaces of a workspace.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::id::SpaceId;

use super::{service, wire::UsedSpace};
use crate::{
    auth::member::{Member, ReadCollections},
    http::{
        extract::Json,
        pagination::{Page, PageQuery},
        query::Query,
    },
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "listSpaces",
    tag = "collections",
    summary = "List embedding spaces",
    description = "The spaces of the workspace's collections, with their use, and whether vectors are computed in them. Newest first."
)]
pub async fn list(
    state: Data<State>,
    member: Member<ReadCollections>,
    query: Query<PageQuery>,
) -> Result<Json<Page<UsedSpace>>, Problem> {
    let query = query.0;
    let before = query.after()?.map(SpaceId);
    let rows = service::list(&state.platform, member.workspace, before, query.fetch_limit()).await?;
    Ok(Json(Page::new(&query, rows, |status| status.space.id.0)))
}
