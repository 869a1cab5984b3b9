//! The one door to everything below `/workspaces/{ws}`.

use std::{collections::BTreeMap, marker::PhantomData};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::{
    ApiComponent, Schema,
    paths::{Parameter, ParameterDefinition, ParameterIn},
    reference_or::ReferenceOr,
    security::SecurityScheme,
};
use chrono::{DateTime, Utc};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    domain::{
        activity::Actor,
        role::{Permission, Role},
    },
    id::{AccountId, TokenId, WorkspaceId},
    store::{
        self, Conn, Tx,
        credential::{AuthMethod, TokenScope},
        member::Access,
    },
};
use uuid::Uuid;

use super::{
    account::refuse_suspended,
    bearer::{self, Presented},
    recent_credentials,
};
use crate::{
    http::{gate::Gate, rate_limit},
    problem::{Code, Problem},
};

/// The path parameter that names the workspace.
const PARAMETER: &str = "ws";

/// A permission as a type, so that a handler's signature says what it needs.
pub trait Needs: 'static {
    const PERMISSION: Permission;
}

macro_rules! types {
    ($($name:ident $text:literal $role:ident $allows:literal;)+) => {$(
        #[doc = concat!("[`Permission::", stringify!($name), "`]")]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Needs for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )+};
}

nvisy_shared::permissions!(types);

/// Extractor: the caller is a member of the workspace in the path, and their role has permission `P`.
///
/// 401 without a valid token, 404 for strangers (who cannot tell it from a workspace that does not exist), 403 where the
/// role is too low, the API token does not have the permission, or the account is suspended. One statement; no
/// connection is held when the handler begins.
#[derive(Clone, Copy, Debug)]
pub struct Member<P> {
    pub account: AccountId,
    /// The API token by which the account acts, if it is one.
    pub token: Option<TokenId>,
    pub workspace: WorkspaceId,
    presented: Presented,
    permission: PhantomData<P>,
}

/// A caller's right in a workspace, to be asked for again while a long answer lasts.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    workspace: WorkspaceId,
    presented: Presented,
    permission: Permission,
}

impl Right {
    /// The last second in which the credential is good, where it says so itself.
    pub fn until(&self) -> Option<DateTime<Utc>> {
        self.presented.until
    }

    /// Whether a request would be let in now: the statement and the rules are the extractor's.
    pub async fn holds(&self, conn: &impl Conn) -> Result<bool, store::Error> {
        let access = store::member::access(conn, self.workspace, &self.presented.credential).await?;
        Ok(access.is_some_and(|access| admit(&access, self.workspace, self.permission).is_ok()))
    }
}

impl<P: Needs> FromRequest for Member<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::shut(request);
        let presented = bearer::presented(request);
        let workspace = request.match_info().get(PARAMETER).and_then(|id| id.parse::<Uuid>().ok()).map(WorkspaceId);
        let state = bearer::state(request).clone();
        let request = request.clone();
        Box::pin(async move {
            let presented = presented?;
            let workspace = workspace.ok_or_else(Problem::not_found)?;
            let asking = store::member::access(&state.platform.db, workspace, &presented.credential);
            let access = recent_credentials::found(&request, &presented.credential, asking).await?;
            refuse_suspended(access.state)?;
            rate_limit::caller(&request, access.account, &access.auth_method).await?;
            let token = admit(&access, workspace, P::PERMISSION)?;
            if let Some(token) = token {
                state.last_used.note(token);
            }
            rate_limit::workspace(&request, workspace).await?;
            tracing::Span::current().record("workspace.id", tracing::field::display(workspace));
            gate.open();
            Ok(Self { account: access.account, token, workspace, presented, permission: PhantomData })
        })
    }
}

impl<P> Member<P> {
    /// As whom the activity log knows the caller.
    pub fn actor(&self) -> Actor {
        self.token.map_or(Actor::Account(self.account), |token| Actor::Token(self.account, token))
    }
}

impl<P: Needs> Member<P> {
    /// What a long answer asks again.
    pub fn right(&self) -> Right {
        Right { workspace: self.workspace, presented: self.presented, permission: P::PERMISSION }
    }

    /// Locks the workspace for the rest of the transaction and asks again, for what was allowed when the request came in
    /// may not be allowed any more. Returns the caller's role.
    pub async fn lock(&self, tx: &Tx) -> Result<Role, Problem> {
        let exists = store::workspace::lock(tx, self.workspace).await?;
        let role = if exists { store::member::role(tx, self.workspace, self.account).await? } else { None };
        authorise(role, P::PERMISSION)?;
        role.ok_or_else(Problem::not_found)
    }
}

/// Whether who has this access may do what takes the permission; the API token by which they act, if it is one.
fn admit(access: &Access, workspace: WorkspaceId, permission: Permission) -> Result<Option<TokenId>, Problem> {
    refuse_suspended(access.state)?;
    match &access.auth_method {
        AuthMethod::Session(_) => authorise(access.role, permission).map(|()| None),
        AuthMethod::Token(token, scope) => within(scope, workspace, access.role, permission).map(|()| Some(*token)),
    }
}

fn authorise(role: Option<Role>, permission: Permission) -> Result<(), Problem> {
    match role {
        None => Err(Problem::not_found()),
        Some(role) if role < permission.least_role() => Err(Problem::new(Code::Forbidden)),
        Some(_) => Ok(()),
    }
}

/// A token never allows more than its account's role does. A workspace out of its scope does not exist for it.
fn within(
    scope: &TokenScope,
    workspace: WorkspaceId,
    role: Option<Role>,
    permission: Permission,
) -> Result<(), Problem> {
    let inside = scope.workspaces.as_ref().is_none_or(|workspaces| workspaces.contains(&workspace));
    authorise(role.filter(|_| inside), permission)?;
    if scope.allows(permission) { Ok(()) } else { Err(Problem::new(Code::ScopeMissing)) }
}

impl<P: Needs> ApiComponent for Member<P> {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Vec::new()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn securities() -> BTreeMap<String, SecurityScheme> {
        bearer::schemes()
    }

    fn security_requirement_name() -> Option<String> {
        Some(bearer::TOKEN.to_owned())
    }

    fn parameters() -> Vec<Parameter> {
        vec![Parameter {
            name: PARAMETER.to_owned(),
            _in: ParameterIn::Path,
            description: Some("The workspace's id.".to_owned()),
            required: Some(true),
            definition: Uuid::raw_schema().map(|schema| ParameterDefinition::Schema(Box::new(schema))),
            ..Parameter::default()
        }]
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{ResponseError, http::StatusCode};

    use super::*;

    #[test]
    fn strangers_learn_nothing_and_low_roles_are_refused() {
        let status = |role, permission| authorise(role, permission).map_err(|problem| problem.status_code());
        assert_eq!(status(None, Permission::ReadWorkspace), Err(StatusCode::NOT_FOUND));
        assert_eq!(status(Some(Role::Guest), Permission::WriteFiles), Err(StatusCode::FORBIDDEN));
        assert_eq!(status(Some(Role::Member), Permission::WriteFiles), Ok(()));
        assert_eq!(status(Some(Role::Owner), Permission::ReadWorkspace), Ok(()));
    }

    #[test]
    fn a_token_allows_what_both_scope_and_role_do() {
        let here = WorkspaceId::new();
        let scope = |workspaces| TokenScope { permissions: vec!["files.write".to_owned()], workspaces };
        let code = |scope: TokenScope, role| {
            within(&scope, here, role, Permission::WriteFiles).map_err(|problem| problem.status_code())
        };
        assert_eq!(code(scope(None), Some(Role::Member)), Ok(()));
        assert_eq!(code(scope(Some(vec![here])), Some(Role::Member)), Ok(()));
        assert_eq!(code(scope(Some(vec![WorkspaceId::new()])), Some(Role::Owner)), Err(StatusCode::NOT_FOUND));
        assert_eq!(code(scope(None), None), Err(StatusCode::NOT_FOUND));
        assert_eq!(code(scope(None), Some(Role::Guest)), Err(StatusCode::FORBIDDEN));
        let refused = within(&scope(None), here, Some(Role::Owner), Permission::ReadFiles);
        assert_eq!(refused.map_err(|problem| problem.status_code()), Err(StatusCode::FORBIDDEN));
    }
}
