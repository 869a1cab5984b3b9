//! `Idempotency-Key`: the same request twice has one effect and one answer.
//!
//! The key is held by the transaction of the effect and stored in it with the answer. A request that failed, or whose
//! process died, leaves no trace and may be repeated with the same key; while it runs, a second one is told to wait.

pub mod lease;

use std::{fmt::Display, time::Duration};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::StatusCode, web::Data};
use apistos::{
    ApiComponent, Schema,
    paths::{Parameter, ParameterDefinition, ParameterIn, RequestBody},
    reference_or::ReferenceOr,
};
use futures::future::LocalBoxFuture;
use nvisy_shared::{
    crypt::KeyPurpose,
    entity::idempotency::Model,
    id::AccountId,
    store::{self, Db, TransactionTrait, Tx},
};
use schemars::schema::{InstanceType, SchemaObject, StringValidation};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::lease::Claim;
use super::{client_info::Origin, client_network::Network, gate::Gate, single_header::single, status_json::Answer};
use crate::{
    problem::{Code, Problem},
    state::State,
};

pub const HEADER: &str = "Idempotency-Key";
const MAX: usize = 255;

/// Extractor: the header, if the caller sent one; 1 to 255 visible ASCII characters.
#[derive(Debug)]
pub struct IdempotencyKey {
    key: Option<String>,
    kept: Duration,
    /// Of whoever is not signed in: who they are as far as anybody knows.
    stranger: String,
}

/// A request that is to have its effect once.
#[derive(Debug)]
pub struct Once {
    scope: String,
    key: Option<String>,
    kept: Duration,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// Whether the key has been used: for what, [`idempotent`] tells.
    pub async fn is_answered(&self, db: &Db, operation: &str, caller: AccountId) -> Result<bool, Problem> {
        let Some(key) = &self.key else { return Ok(false) };
        Ok(store::idempotency::is_kept(db, &scope(operation, caller), key, self.kept).await?)
    }

    /// Holds the key from now on, for a request whose body takes long to arrive.
    pub async fn claim(&self, db: &Db, operation: &str, caller: AccountId) -> Result<Claim, Problem> {
        Claim::new(db, scope(operation, caller), self.key.as_deref()).await
    }

    /// Ties the key to who asks for what. `caller` is `None` where nobody is signed in; `meaning` is what makes two
    /// requests the same, and never holds a secret, not even hashed.
    pub fn once(self, operation: &str, caller: Option<AccountId>, meaning: &impl Serialize) -> Once {
        let meaning = serde_json::to_vec(meaning).expect("wire types are plain data");
        let fingerprint = Sha256::new().chain_update(operation).chain_update([0]).chain_update(meaning);
        Once {
            scope: caller.map_or_else(|| scope(operation, &self.stranger), |caller| scope(operation, caller)),
            key: self.key,
            kept: self.kept,
            fingerprint: fingerprint.finalize().into(),
        }
    }
}

/// Keys of different callers, or of different operations, never meet.
fn scope(operation: &str, caller: impl Display) -> String {
    format!("{caller} {operation}")
}

/// Strangers of different networks have different keys: nobody uses up `1` for all. Only whoever has the master key can
/// tell the network from it.
fn stranger(state: &State, network: Network) -> String {
    let key = state.platform.keys.derive_for(Uuid::nil(), KeyPurpose::RequestFingerprint);
    format!("anonymous:{}", hex::encode(&key.mac(&network.octets())[..16]))
}

/// Runs `effect` in a transaction, unless the same request has been answered before: then the answer is repeated.
/// Whatever `effect` returns as an error undoes all it wrote.
pub async fn idempotent<const STATUS: u16, T, F>(db: &Db, once: Once, effect: F) -> Result<Answer<STATUS, T>, Problem>
where
    T: Serialize + DeserializeOwned,
    F: AsyncFnOnce(&Tx) -> Result<T, Problem>,
{
    let tx = db.begin().await?;
    if let Some(key) = &once.key {
        if !store::idempotency::hold(&tx, &once.scope, key).await? {
            return Err(Problem::new(Code::IdempotencyKeyInUse).retry_in(1));
        }
        if let Some(earlier) = store::idempotency::find(&tx, &once.scope, key, once.kept).await? {
            tx.rollback().await?;
            return replay(&once, earlier);
        }
    }
    let body = match effect(&tx).await {
        Ok(body) => body,
        Err(problem) => {
            // Now, and not some time after the answer: whoever repeats the request at once would find the key in use.
            if let Err(error) = tx.rollback().await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "a transaction that failed could not be undone, the server will when the connection ends"
                );
            }
            return Err(problem);
        }
    };
    if let Some(key) = &once.key {
        let json = serde_json::to_value(&body).map_err(Problem::internal)?;
        store::idempotency::keep(&tx, &once.scope, key, &once.fingerprint, STATUS, json).await?;
    }
    tx.commit().await?;
    Ok(Answer::new(body))
}

fn replay<const STATUS: u16, T: DeserializeOwned>(once: &Once, earlier: Model) -> Result<Answer<STATUS, T>, Problem> {
    if earlier.fingerprint != once.fingerprint {
        return Err(Problem::new(Code::IdempotencyKeyReused));
    }
    let status = u16::try_from(earlier.status).map_err(Problem::internal)?;
    let status = StatusCode::from_u16(status).map_err(Problem::internal)?;
    let body = serde_json::from_value(earlier.body).map_err(Problem::internal)?;
    Ok(Answer::replayed(status, body))
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = Gate::of(request);
        let state = request.app_data::<Data<State>>();
        let kept = Duration::from_secs(state.map_or(0, |state| state.platform.config.http.idempotency_seconds));
        let key =
            single(request.headers(), HEADER).and_then(|value| value.map(|value| parse(value.as_bytes())).transpose());
        let stranger = match (state, &key) {
            (Some(state), Ok(Some(_))) => stranger(state, Origin::of(request).network()),
            _ => String::new(),
        };
        Box::pin(async move {
            gate.passed().await;
            key.map(|key| Self { key, kept, stranger })
        })
    }
}

fn parse(value: &[u8]) -> Result<String, Problem> {
    if (1..=MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic) {
        Ok(value.iter().copied().map(char::from).collect())
    } else {
        Err(Problem::new(Code::InvalidHeader).detail(format!("{HEADER} has 1 to {MAX} visible ASCII characters")))
    }
}

impl ApiComponent for IdempotencyKey {
    fn child_schemas() -> Vec<(String, ReferenceOr<Schema>)> {
        Vec::new()
    }

    fn schema() -> Option<(String, ReferenceOr<Schema>)> {
        None
    }

    fn request_body() -> Option<RequestBody> {
        None
    }

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
            description: Some("Makes it safe to repeat the request: it has its effect once.".to_owned()),
            definition: Some(ParameterDefinition::Schema(Box::new(ReferenceOr::Object(Schema::Object(schema))))),
            ..Parameter::default()
        }]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{IdempotencyKey, MAX, parse};

    fn nameless() -> IdempotencyKey {
        IdempotencyKey { key: None, kept: Duration::ZERO, stranger: "anonymous".to_owned() }
    }

    proptest! {
        #[test]
        fn a_key_is_taken_as_it_is_or_not_at_all(bytes: Vec<u8>) {
            let usable = (1..=MAX).contains(&bytes.len()) && bytes.iter().all(|byte| (0x21..=0x7e).contains(byte));
            match parse(&bytes) {
                Ok(key) => prop_assert!(usable && key.as_bytes() == bytes),
                Err(_) => prop_assert!(!usable),
            }
        }

        #[test]
        fn keys_are_visible_ascii_of_any_kind(key in "[!-~]{1,255}") {
            prop_assert_eq!(parse(key.as_bytes()).unwrap(), key);
        }

        #[test]
        fn another_meaning_is_another_request(one: (String, u64), other: (String, u64), operation in "[a-z]{1,20}") {
            let print = |meaning: &(String, u64)| {
                nameless().once(&operation, None, meaning).fingerprint
            };
            prop_assert_eq!(print(&one) == print(&other), one == other);
        }
    }

    #[test]
    fn keys_are_visible_ascii() {
        assert_eq!(parse(b"a-1!~").unwrap(), "a-1!~");
        for bad in [&b""[..], b"a b", b"\xc3\xa4", &[b'a'; 256]] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn requests_differ_by_operation_and_meaning() {
        let print = |operation, meaning| nameless().once(operation, None, &meaning).fingerprint;
        assert_eq!(print("a", "x"), print("a", "x"));
        assert_ne!(print("a", "x"), print("b", "x"));
        assert_ne!(print("a", "x"), print("a", "y"));
    }
}
