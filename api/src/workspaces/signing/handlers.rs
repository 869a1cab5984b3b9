//! The signing operation.

use actix_web::web::Data;
use apistos::api_operation;
use nvisy_shared::{crypt::webhook_signature::SigningSecret, domain::activity::Action, store};
use serde_json::json;

use super::wire::SigningSecretView;
use crate::{
    auth::member::{Member, UpdateWorkspace},
    http::{client_info::ClientInfo, extract::Json},
    problem::Problem,
    state::State,
};

#[api_operation(
    operation_id = "renewSigningSecret",
    tag = "workspaces",
    summary = "Make a new signing secret",
    description = "The secret by which requests to services (`http`, `sink.webhook`) are signed, as Standard Webhooks has it. Requests are signed from the first secret on. For 24 hours they are signed with the secret before as well."
)]
pub async fn renew(
    state: Data<State>,
    member: Member<UpdateWorkspace>,
    client: ClientInfo,
) -> Result<Json<SigningSecretView>, Problem> {
    let changes = member.changes(&state.platform, &client);
    let new = changes
        .run(async |change| {
            let new = store::signing::rotate(change, member.workspace).await?.ok_or_else(Problem::not_found)?;
            let details = json!({ "version": new.version });
            change.audit_with(Action::WorkspaceSigningRenewed, member.workspace, details);
            Ok::<_, Problem>(new)
        })
        .await?;
    let secret = SigningSecret::derive(&state.platform.keys, member.workspace, new.version);
    Ok(Json(SigningSecretView {
        secret: secret.reveal().expose().clone(),
        version: new.version,
        previous_until: (new.version > 1).then_some(new.overlap_until),
    }))
}
