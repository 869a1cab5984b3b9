//! `Idempotency-Key`: a repeated request has one effect and one response.
//!
//! The transaction of the effect holds the key and stores it with the response. A request that failed, or whose process
//! died, leaves nothing behind and may be repeated with the same key; while it runs, a repetition gets 409.

pub mod lease;

use std::{fmt::Display, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::StatusCode};
use apistos::{
    Schema,
    paths::{Parameter, ParameterDefinition, ParameterIn},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    crypt::{KeyPurpose, Keyring},
    entity::idempotency::Model,
    id::AccountId,
    store::{
        self, Db,
        change::{Change, ChangeScope},
    },
};
use schemars::schema::{InstanceType, SchemaObject, StringValidation};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::lease::IdempotencyLease;
use super::{
    api_component::api_component, client_info::ClientInfo, client_network::ClientNetwork, component::component,
    gate::Gate, single_header::single_header, status_json::StatusJson,
};
use crate::problem::{Code, Problem};

pub const HEADER: &str = "Idempotency-Key";
const MAX_KEY_CHARS: usize = 255;

/// Component: how long responses are kept, and the keys that distinguish anonymous callers.
pub struct IdempotencySettings {
    retention: Duration,
    keys: Keyring,
}

impl IdempotencySettings {
    pub fn new(retention: Duration, keys: Keyring) -> Self {
        Self { retention, keys }
    }

    /// Anonymous callers from different networks have different keys: one cannot use `1` up for all. Only the master key
    /// can turn the scope back into the network.
    fn anonymous_scope(&self, network: ClientNetwork) -> String {
        let key = self.keys.derive_for(Uuid::nil(), KeyPurpose::RequestFingerprint);
        format!("anonymous:{}", hex::encode(&key.mac(&network.octets())[..16]))
    }
}

/// Extractor: the header, if the client sent one; 1 to 255 visible ASCII characters.
#[derive(Debug)]
pub struct IdempotencyKey {
    key: Option<String>,
    retention: Duration,
    /// The scope of callers who are not signed in.
    anonymous_scope: String,
}

/// A request that has its effect once.
#[derive(Debug)]
pub struct IdempotentRequest {
    scope: String,
    key: Option<String>,
    retention: Duration,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// Whether a response is stored under the key; [`idempotent`] compares the request that it was for.
    pub async fn has_response(&self, db: &Db, operation: &str, caller: AccountId) -> Result<bool, Problem> {
        let Some(key) = &self.key else { return Ok(false) };
        Ok(store::idempotency::exists(db, &scope(operation, caller), key, self.retention).await?)
    }

    /// Holds the key from now on, for a request whose body takes long to arrive.
    pub async fn lease(&self, db: &Db, operation: &str, caller: AccountId) -> Result<IdempotencyLease, Problem> {
        IdempotencyLease::acquire(db, scope(operation, caller), self.key.as_deref()).await
    }

    /// Binds the key to a caller, an operation and its content. `caller` is `None` where the operation needs no
    /// authorization; `content` distinguishes requests, and never holds a secret, not even its hash.
    pub fn bind(self, operation: &str, caller: Option<AccountId>, content: &impl Serialize) -> IdempotentRequest {
        let content = serde_json::to_vec(content).expect("commands are plain data");
        let fingerprint = Sha256::new().chain_update(operation).chain_update([0]).chain_update(content);
        IdempotentRequest {
            scope: caller.map_or_else(|| scope(operation, &self.anonymous_scope), |caller| scope(operation, caller)),
            key: self.key,
            retention: self.retention,
            fingerprint: fingerprint.finalize().into(),
        }
    }
}

/// Keys of different callers, or of different operations, are independent.
fn scope(operation: &str, caller: impl Display) -> String {
    format!("{caller} {operation}")
}

/// Runs `effect` in a change, unless the same request has been answered before: then it repeats the response. An error of
/// `effect` undoes everything it wrote.
pub async fn idempotent<const STATUS: u16, T, F>(
    changes: &ChangeScope<'_>,
    request: IdempotentRequest,
    mut effect: F,
) -> Result<StatusJson<STATUS, T>, Problem>
where
    T: Serialize + DeserializeOwned,
    F: AsyncFnMut(&mut Change) -> Result<T, Problem>,
{
    changes
        .run(async |change| {
            let Some(key) = &request.key else { return effect(change).await.map(StatusJson::new) };
            if !store::idempotency::try_lock(change, &request.scope, key).await? {
                return Err(Problem::new(Code::IdempotencyKeyInUse).retry_in(1));
            }
            if let Some(earlier) = store::idempotency::find(change, &request.scope, key, request.retention).await? {
                return replay(&request, earlier);
            }
            let body = effect(change).await?;
            let json = serde_json::to_value(&body).map_err(Problem::internal)?;
            store::idempotency::insert(change, &request.scope, key, &request.fingerprint, STATUS, json).await?;
            Ok(StatusJson::new(body))
        })
        .await
}

fn replay<const STATUS: u16, T: DeserializeOwned>(
    request: &IdempotentRequest,
    earlier: Model,
) -> Result<StatusJson<STATUS, T>, Problem> {
    if earlier.fingerprint != request.fingerprint {
        return Err(Problem::new(Code::IdempotencyKeyReused));
    }
    let status = u16::try_from(earlier.status).map_err(Problem::internal)?;
    let status = StatusCode::from_u16(status).map_err(Problem::internal)?;
    let body = serde_json::from_value(earlier.body).map_err(Problem::internal)?;
    Ok(StatusJson::replayed(status, body))
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let settings = component::<IdempotencySettings>(request);
        let retention = settings.retention;
        let key = single_header(request.headers(), HEADER)
            .and_then(|value| value.map(|value| parse(value.as_bytes())).transpose());
        let anonymous_scope = match &key {
            Ok(Some(_)) => settings.anonymous_scope(ClientInfo::of(request).network()),
            _ => String::new(),
        };
        Box::pin(async move {
            gate.passed().await;
            key.map(|key| Self { key, retention, anonymous_scope })
        })
    }
}

fn parse(value: &[u8]) -> Result<String, Problem> {
    if (1..=MAX_KEY_CHARS).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic) {
        Ok(value.iter().copied().map(char::from).collect())
    } else {
        Err(Problem::new(Code::InvalidHeader)
            .detail(format!("{HEADER} must have 1 to {MAX_KEY_CHARS} visible ASCII characters")))
    }
}

api_component!(IdempotencyKey {
    fn parameters() -> Vec<Parameter> {
        let schema = SchemaObject {
            instance_type: Some(InstanceType::String.into()),
            string: Some(Box::new(StringValidation {
                min_length: Some(1),
                max_length: Some(255),
                pattern: Some("^[!-~]+$".to_owned()),
            })),
            ..SchemaObject::default()
        };
        vec![Parameter {
            name: HEADER.to_owned(),
            _in: ParameterIn::Header,
            description: Some("Makes the request safe to repeat: requests with the same key have one effect.".to_owned()),
            definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(Schema::Object(schema))))),
            ..Parameter::default()
        }]
    }
});

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{IdempotencyKey, MAX_KEY_CHARS, parse};

    fn anonymous_key() -> IdempotencyKey {
        IdempotencyKey { key: None, retention: Duration::ZERO, anonymous_scope: "anonymous".to_owned() }
    }

    proptest! {
        #[test]
        fn key_is_accepted_unchanged_or_rejected(bytes: Vec<u8>) {
            let usable = (1..=MAX_KEY_CHARS).contains(&bytes.len()) && bytes.iter().all(|byte| (0x21..=0x7e).contains(byte));
            match parse(&bytes) {
                Ok(key) => prop_assert!(usable && key.as_bytes() == bytes),
                Err(_) => prop_assert!(!usable),
            }
        }

        #[test]
        fn every_visible_ascii_key_is_accepted(key in "[!-~]{1,255}") {
            prop_assert_eq!(parse(key.as_bytes()).unwrap(), key);
        }

        #[test]
        fn different_content_has_a_different_fingerprint(one: (String, u64), other: (String, u64), operation in "[a-z]{1,20}") {
            let print = |content: &(String, u64)| {
                anonymous_key().bind(&operation, None, content).fingerprint
            };
            prop_assert_eq!(print(&one) == print(&other), one == other);
        }
    }

    #[test]
    fn keys_with_other_characters_are_rejected() {
        assert_eq!(parse(b"a-1!~").unwrap(), "a-1!~");
        for bad in [&b""[..], b"a b", b"\xc3\xa4", &[b'a'; 256]] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn fingerprint_depends_on_operation_and_content() {
        let print = |operation, content| anonymous_key().bind(operation, None, &content).fingerprint;
        assert_eq!(print("a", "x"), print("a", "x"));
        assert_ne!(print("a", "x"), print("b", "x"));
        assert_ne!(print("a", "x"), print("a", "y"));
    }
}
