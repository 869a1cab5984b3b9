//! The extractor that authorizes everything below `/workspaces/{ws}`.

use std::{collections::BTreeMap, marker::PhantomData};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use apistos::{
    paths::{Parameter, ParameterDefinition, ParameterIn},
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
        self, Conn, Db, Tx,
        collection::CollectionSpace,
        credential::{AuthMethod, Credential, TokenScope},
        member::Access,
    },
};
use uuid::Uuid;

use super::{account::require_active, authenticator::Authenticator, bearer, bearer::BearerCredential};
use crate::{
    http::{
        api_component::api_component, client_info::ClientInfo, component::component, gate::Gate, rate_limit::Caller,
    },
    problem::{Code, Problem},
};

/// The path parameter with the workspace's id.
const PARAMETER: &str = "ws";

/// The extension of that parameter with which the OpenAPI document learns the permission.
pub const PERMISSION_EXTENSION: &str = "x-permission";

/// A permission as a type, so that a handler's signature names the permission it requires.
pub trait RequiredPermission: 'static {
    const PERMISSION: Permission;
}

macro_rules! types {
    ($($name:ident $text:literal $role:ident $allows:literal;)+) => {$(
        #[doc = concat!("[`Permission::", stringify!($name), "`]")]
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl RequiredPermission for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )+};
}

nvisy_shared::permissions!(types);

/// Extractor: the caller is a member of the workspace in the path, and their role has permission `P`.
///
/// 401 without a valid token, 404 for an account that is no member (as for a workspace that does not exist), 403 where
/// the role is too low, the API token lacks the permission, or the account is suspended. One statement; no connection is
/// held when the handler begins.
#[derive(Clone, Copy, Debug)]
pub struct Member<P> {
    pub account: AccountId,
    /// The API token, if the credential is one.
    pub token: Option<TokenId>,
    pub workspace: WorkspaceId,
    credential: BearerCredential,
    permission: PhantomData<P>,
}

/// Extractor: [`Member`], and the collections of the workspace, by name. One statement reads what both need.
#[derive(Clone, Debug)]
pub struct MemberWithCollections<P> {
    pub member: Member<P>,
    pub collections: Vec<CollectionSpace>,
}

/// A caller's access to a workspace, to be checked again during a long response.
#[derive(Clone, Copy, Debug)]
pub struct AccessGrant {
    workspace: WorkspaceId,
    credential: BearerCredential,
    permission: Permission,
}

impl AccessGrant {
    /// The last second in which an access token is valid; `None` for API tokens.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.credential.expires_at
    }

    /// Whether the extractor would accept a request now: the statement and the rules are the same.
    pub async fn is_valid(&self, conn: &impl Conn) -> Result<bool, store::Error> {
        let access = store::member::access(conn, self.workspace, &self.credential.credential).await?;
        Ok(access.is_some_and(|access| authorize(&access, self.workspace, self.permission).is_ok()))
    }
}

impl<P: RequiredPermission> FromRequest for Member<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let authorized = extract(request, async |db: &Db, workspace, credential: &Credential| {
            let access = store::member::access(db, workspace, credential).await?;
            Ok(access.map(|access| (access, ())))
        });
        Box::pin(async move { Ok(authorized.await?.0) })
    }
}

impl<P: RequiredPermission> FromRequest for MemberWithCollections<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let authorized = extract(request, async |db: &Db, workspace, credential: &Credential| {
            store::member::access_with_collections(db, workspace, credential).await
        });
        Box::pin(async move {
            let (member, collections) = authorized.await?;
            Ok(Self { member, collections })
        })
    }
}

/// Authorizes a request, and returns what `lookup` reads beside the access. The gate opens if the caller has permission `P`.
fn extract<P, T, L>(
    request: &HttpRequest,
    lookup: L,
) -> impl Future<Output = Result<(Member<P>, T), Problem>> + use<P, T, L>
where
    P: RequiredPermission,
    L: AsyncFnOnce(&Db, WorkspaceId, &Credential) -> store::Result<Option<(Access, T)>>,
{
    let gate = Gate::close(request);
    let workspace = request.match_info().get(PARAMETER).and_then(|id| id.parse::<Uuid>().ok()).map(WorkspaceId);
    let authenticator = component::<Authenticator>(request).clone();
    let request = request.clone();
    async move {
        let credential = authenticator.credential(&request)?;
        let workspace = workspace.ok_or_else(Problem::not_found)?;
        let found = lookup(&authenticator.db, workspace, &credential.credential);
        let found = authenticator.look_up(&ClientInfo::of(&request), &credential.credential, found).await?;
        let (access, beside) = found;
        require_active(access.state)?;
        authenticator.limiter.count_caller(&request, access.account, &access.auth_method).await?;
        let token = authorize(&access, workspace, P::PERMISSION)?;
        if let Some(token) = token {
            authenticator.record_use(token);
        }
        authenticator.limiter.count_workspace(&request, workspace).await?;
        tracing::Span::current().record("workspace.id", tracing::field::display(workspace));
        gate.open();
        Ok((Member { account: access.account, token, workspace, credential, permission: PhantomData }, beside))
    }
}

impl<P> Member<P> {
    /// The owner of the bucket that counts the caller's requests.
    pub fn caller(&self) -> Caller {
        self.token.map_or(Caller::Account(self.account), Caller::Token)
    }

    /// The caller as the activity log records it.
    pub fn actor(&self) -> Actor {
        self.token.map_or(Actor::Account(self.account), |token| Actor::Token(self.account, token))
    }
}

impl<P: RequiredPermission> Member<P> {
    /// The caller's access, for a long response to check again.
    pub fn access_grant(&self) -> AccessGrant {
        AccessGrant { workspace: self.workspace, credential: self.credential, permission: P::PERMISSION }
    }

    /// The caller with another permission, for an operation that needs two, such as a run that brings its files.
    pub async fn also<Q: RequiredPermission>(&self, conn: &impl Conn) -> Result<Member<Q>, Problem> {
        let access = store::member::access(conn, self.workspace, &self.credential.credential).await?;
        let access = access.ok_or_else(Problem::not_found)?;
        let token = authorize(&access, self.workspace, Q::PERMISSION)?;
        let Self { account, workspace, credential, .. } = *self;
        Ok(Member { account, token, workspace, credential, permission: PhantomData })
    }

    /// Locks the workspace for the rest of the transaction and authorizes again, since the role may have changed after the
    /// request came in. Returns the caller's role.
    pub async fn lock(&self, tx: &Tx) -> Result<Role, Problem> {
        let exists = store::workspace::lock(tx, self.workspace).await?;
        let role = if exists { store::member::role(tx, self.workspace, self.account).await? } else { None };
        authorize_role(role, P::PERMISSION)?;
        role.ok_or_else(Problem::not_found)
    }
}

/// Fails unless this access includes the permission; returns the API token, if the credential is one.
fn authorize(access: &Access, workspace: WorkspaceId, permission: Permission) -> Result<Option<TokenId>, Problem> {
    require_active(access.state)?;
    match &access.auth_method {
        AuthMethod::Session(_) => authorize_role(access.role, permission).map(|()| None),
        AuthMethod::Token(token, scope) => {
            authorize_token(scope, workspace, access.role, permission).map(|()| Some(*token))
        }
    }
}

fn authorize_role(role: Option<Role>, permission: Permission) -> Result<(), Problem> {
    match role {
        None => Err(Problem::not_found()),
        Some(role) if role < permission.lowest_role() => Err(Problem::new(Code::Forbidden)),
        Some(_) => Ok(()),
    }
}

/// A token never allows more than its account's role does. A workspace outside its scope is 404 for it.
fn authorize_token(
    scope: &TokenScope,
    workspace: WorkspaceId,
    role: Option<Role>,
    permission: Permission,
) -> Result<(), Problem> {
    let in_scope = scope.workspaces.as_ref().is_none_or(|workspaces| workspaces.contains(&workspace));
    authorize_role(role.filter(|_| in_scope), permission)?;
    if scope.allows(permission) { Ok(()) } else { Err(Problem::new(Code::ScopeMissing)) }
}

api_component!({P: RequiredPermission} Member<P> {
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
            extensions: [(PERMISSION_EXTENSION.to_owned(), P::PERMISSION.name().into())].into(),
            ..Parameter::default()
        }]
    }
});

api_component!({P: RequiredPermission} MemberWithCollections<P> {
    fn securities() -> BTreeMap<String, SecurityScheme> {
        Member::<P>::securities()
    }

    fn security_requirement_name() -> Option<String> {
        Member::<P>::security_requirement_name()
    }

    fn parameters() -> Vec<Parameter> {
        Member::<P>::parameters()
    }
});

/// 403 for a role above the caller's own: it can be neither granted nor changed.
pub fn require_not_above(role: Role, own: Role) -> Result<(), Problem> {
    if role <= own { Ok(()) } else { Err(Problem::new(Code::Forbidden).detail("the role is above the caller's own")) }
}

#[cfg(test)]
mod tests {
    use actix_web::{ResponseError, http::StatusCode};

    use super::*;

    #[test]
    fn non_members_get_404_and_low_roles_403() {
        let status = |role, permission| authorize_role(role, permission).map_err(|problem| problem.status_code());
        assert_eq!(status(None, Permission::ReadWorkspace), Err(StatusCode::NOT_FOUND));
        assert_eq!(status(Some(Role::Guest), Permission::WriteFiles), Err(StatusCode::FORBIDDEN));
        assert_eq!(status(Some(Role::Member), Permission::WriteFiles), Ok(()));
        assert_eq!(status(Some(Role::Owner), Permission::ReadWorkspace), Ok(()));
    }

    #[test]
    fn token_allows_only_permissions_of_both_scope_and_role() {
        let here = WorkspaceId::new();
        let scope = |workspaces| TokenScope { permissions: vec!["files.write".to_owned()], workspaces };
        let code = |scope: TokenScope, role| {
            authorize_token(&scope, here, role, Permission::WriteFiles).map_err(|problem| problem.status_code())
        };
        assert_eq!(code(scope(None), Some(Role::Member)), Ok(()));
        assert_eq!(code(scope(Some(vec![here])), Some(Role::Member)), Ok(()));
        assert_eq!(code(scope(Some(vec![WorkspaceId::new()])), Some(Role::Owner)), Err(StatusCode::NOT_FOUND));
        assert_eq!(code(scope(None), None), Err(StatusCode::NOT_FOUND));
        assert_eq!(code(scope(None), Some(Role::Guest)), Err(StatusCode::FORBIDDEN));
        let rejected = authorize_token(&scope(None), here, Some(Role::Owner), Permission::ReadFiles);
        assert_eq!(rejected.map_err(|problem| problem.status_code()), Err(StatusCode::FORBIDDEN));
    }
}
