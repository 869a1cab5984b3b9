//! The `Authorization: Bearer` header: an access token of a session, or an API token.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use apistos::security::{Http, SecurityScheme, SecurityType};
use chrono::{DateTime, Utc};
use nvisy_shared::{
    crypt::token::{self, TokenKind},
    store::credential::Credential,
};

use super::{jwt::SigningKeys, jwt_cache};
use crate::{
    http::single_header::single_header,
    problem::{Code, Problem},
};

/// Names of the security schemes in the OpenAPI document.
pub const SESSION: &str = "bearer";
pub const TOKEN: &str = "apiToken";

pub fn schemes() -> BTreeMap<String, SecurityScheme> {
    let scheme = |format: &str, description: &str| SecurityScheme {
        _type: SecurityType::Http(Http { scheme: "bearer".to_owned(), bearer_format: Some(format.to_owned()) }),
        description: Some(description.to_owned()),
        extensions: Default::default(),
    };
    let session = scheme("JWT", "The `accessToken` of `POST /api/v1/auth/login`.");
    let token =
        scheme("nvisy_", "The `secret` of `POST /api/v1/account/tokens`, within its permissions and workspaces.");
    BTreeMap::from([(SESSION.to_owned(), session), (TOKEN.to_owned(), token)])
}

/// A request's credential, as far as it can be verified without the database.
#[derive(Clone, Copy, Debug)]
pub struct BearerCredential {
    pub credential: Credential,
    /// The last second in which an access token is valid; the database knows it of API tokens.
    pub expires_at: Option<DateTime<Utc>>,
}

impl BearerCredential {
    /// The credential in the request's header, if these keys or the checksum of API tokens verify it; else 401.
    pub fn from_request(request: &HttpRequest, keys: &SigningKeys) -> Result<Self, Problem> {
        // With two headers, a proxy and this API might each believe another one.
        let header = single_header(request.headers(), AUTHORIZATION.as_str()).ok().flatten();
        let token = header.and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        token.and_then(|token| Self::verify(keys, token)).ok_or_else(unauthenticated)
    }

    /// `None` for a token that this installation did not make.
    fn verify(keys: &SigningKeys, token: &str) -> Option<Self> {
        if token.starts_with(TokenKind::Api.prefix()) {
            let hash = token::hash(TokenKind::Api, token)?;
            return Some(Self { credential: Credential::Token(hash), expires_at: None });
        }
        let jwt_cache::Claims { account, session, expires_at, .. } = keys.verify(token)?;
        // A time beyond the range of dates is no expiry.
        let expires_at =
            i64::try_from(expires_at.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        Some(Self { credential: Credential::Session { account, session }, expires_at })
    }
}

pub fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jwt_simple::prelude::*;
    use nvisy_shared::{clock, config::Config, id::AccountId};
    use proptest::{option, prelude::*, sample::Index};

    use super::*;

    /// An installation's keys, and the pair behind them, to sign tokens that the installation would not.
    struct Installation {
        keys: SigningKeys,
        pair: Ed25519KeyPair,
    }

    impl Installation {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let pair = Ed25519KeyPair::generate();
            let write = |name: &str, pem: String| {
                let path = folder.path().join(name);
                fs::write(&path, pem).unwrap();
                path.display().to_string()
            };
            let config = Config::from_variables([
                ("NVISY_AUTH_PRIVATE_KEY_FILE".to_owned(), write("private.pem", pair.to_pem())),
                ("NVISY_AUTH_PUBLIC_KEY_FILE".to_owned(), write("public.pem", pair.public_key().to_pem())),
            ]);
            let keys = SigningKeys::load(&config.unwrap().auth).unwrap();
            let pair = pair.with_key_id(keys.id());
            Self { keys, pair }
        }

        fn token(&self) -> String {
            self.keys.issue(AccountId::new(), nvisy_shared::id::SessionId::new()).unwrap().0
        }

        /// A token with these claims, signed by the installation's key.
        fn sign(&self, claims: JWTClaims<Sid>) -> String {
            self.pair.sign(claims).unwrap()
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Sid {
        sid: String,
    }

    /// The claims of a valid token, at these offsets from now, in seconds.
    fn claims(issued: Option<i64>, from: Option<i64>, expires: Option<i64>) -> JWTClaims<Sid> {
        let at = |distance: i64| UnixTimeStamp::from_secs(u64::try_from(clock::now().timestamp() + distance).unwrap());
        let sid = Sid { sid: nvisy_shared::id::new().to_string() };
        let mut claims = Claims::with_custom_claims(sid, Duration::from_secs(60))
            .with_issuer("nvisy")
            .with_audience("nvisy-api")
            .with_subject(nvisy_shared::id::new());
        claims.issued_at = issued.map(at);
        claims.invalid_before = from.map(at);
        claims.expires_at = expires.map(at);
        claims
    }

    /// A change of a text, by damage or by an attacker.
    #[derive(Clone, Debug)]
    enum Change {
        Put(Index, char),
        Insert(Index, char),
        Remove(Index),
        Swap(Index, Index),
        Cut(Index),
        Append(String),
    }

    impl Change {
        fn apply(&self, text: &str) -> String {
            let mut characters: Vec<char> = text.chars().collect();
            let length = characters.len();
            match self {
                Self::Put(index, letter) => characters[index.index(length)] = *letter,
                Self::Insert(index, letter) => characters.insert(index.index(length + 1), *letter),
                Self::Remove(index) => drop(characters.remove(index.index(length))),
                Self::Swap(one, other) => characters.swap(one.index(length), other.index(length)),
                Self::Cut(index) => characters.truncate(index.index(length)),
                Self::Append(more) => characters.extend(more.chars()),
            }
            characters.into_iter().collect()
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let index = any::<Index>;
        // Mostly characters of the token alphabet, where a change is hardest to detect.
        let letter = || prop_oneof![4 => prop::char::ranges(vec!['0'..='9', 'A'..='Z', 'a'..='z', '-'..='.', '_'..='_'].into()), 1 => any::<char>()];
        prop_oneof![
            6 => (index(), letter()).prop_map(|(index, letter)| Change::Put(index, letter)),
            1 => (index(), letter()).prop_map(|(index, letter)| Change::Insert(index, letter)),
            1 => index().prop_map(Change::Remove),
            1 => (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
            1 => index().prop_map(Change::Cut),
            1 => "[A-Za-z0-9_.=-]{1,90}".prop_map(Change::Append),
        ]
    }

    thread_local! {
        static HERE: Installation = Installation::new();
        static ELSEWHERE: Installation = Installation::new();
    }

    fn is_valid(token: &str) -> bool {
        HERE.with(|here| BearerCredential::verify(&here.keys, token)).is_some()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn changed_access_token_is_invalid(change in change()) {
            let token = HERE.with(Installation::token);
            prop_assert!(is_valid(&token));
            let changed = change.apply(&token);
            prop_assert!(changed == token || !is_valid(&changed), "{change:?} made {changed} of {token}");
        }

        #[test]
        fn changed_api_token_has_another_hash_or_is_invalid(secret: [u8; 32], change in change()) {
            let token = token::encode(TokenKind::Api, &secret);
            let changed = change.apply(token.expose());
            let hash = |token: &str| match HERE.with(|here| BearerCredential::verify(&here.keys, token))?.credential {
                Credential::Token(hash) => Some(hash),
                Credential::Session { .. } => None,
            };
            let original = hash(token.expose());
            prop_assert!(original.is_some());
            prop_assert!(changed == *token.expose() || hash(&changed) != original, "{change:?}");
            // The checksum detects one wrong letter without the database.
            if matches!(change, Change::Put(..)) && changed != *token.expose() {
                prop_assert_eq!(hash(&changed), None, "{:?}", change);
            }
        }

        #[test]
        fn arbitrary_text_is_no_credential(text: String, parts in "[A-Za-z0-9_-]{0,60}([.][A-Za-z0-9_-]{0,60}){0,3}", digits in "nvisy_[0-9a-f]{0,80}") {
            for token in [text, parts, digits] {
                prop_assert!(!is_valid(&token), "{token}");
            }
        }

        /// Headers and claims of any shape under a signature of any bytes.
        #[test]
        fn token_shape_without_a_valid_signature_is_invalid(
            algorithm in prop_oneof![Just("EdDSA"), Just("Ed25519"), Just("none"), Just("HS256"), Just("")],
            named: bool,
            claims: Vec<u8>,
            signature in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 64), any::<Vec<u8>>()],
        ) {
            let kid = HERE.with(|here| here.keys.id().to_owned());
            let header = if named {
                serde_json::json!({ "alg": algorithm, "typ": "JWT", "kid": kid })
            } else {
                serde_json::json!({ "alg": algorithm })
            };
            let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
            let good = HERE.with(Installation::token);
            let good = good.split('.').nth(1).unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.encode(&signature);
            for claims in [BASE64_URL_SAFE_NO_PAD.encode(&claims), good.to_owned()] {
                let token = format!("{header}.{claims}.{signature}");
                prop_assert!(!is_valid(&token), "{token}");
            }
        }

        #[test]
        fn token_validity_depends_on_its_times_with_a_minute_of_clock_skew(
            issued in option::weighted(0.9, -4_000_i64..200),
            from in option::weighted(0.5, -4_000_i64..200),
            expires in option::weighted(0.9, -4_000_i64..4_000),
        ) {
            // The test itself takes time.
            let clear = |distance: Option<i64>, edge: i64| distance.is_none_or(|distance| (distance - edge).abs() > 10);
            prop_assume!(clear(issued, 60) && clear(from, 60) && clear(expires, 0));
            let good = issued.is_some_and(|issued| issued < 60)
                && from.is_none_or(|from| from < 60)
                && expires.is_some_and(|expires| expires > 0);
            let token = HERE.with(|here| here.sign(claims(issued, from, expires)));
            prop_assert_eq!(is_valid(&token), good);
        }

        #[test]
        fn token_of_another_installation_is_invalid_whatever_key_id_it_has(own_name: bool) {
            let token = ELSEWHERE.with(|other| {
                let name = if own_name { other.keys.id().to_owned() } else { HERE.with(|here| here.keys.id().to_owned()) };
                let pair = Ed25519KeyPair::from_bytes(&other.pair.to_bytes()).unwrap().with_key_id(&name);
                pair.sign(claims(Some(0), None, Some(60))).unwrap()
            });
            prop_assert!(!is_valid(&token));
        }
    }

    /// An attack on verifiers that believe the header: the public key, in every public encoding, as an HMAC secret.
    #[test]
    fn public_key_is_not_accepted_as_an_hmac_secret() {
        let (id, public) = HERE.with(|here| (here.keys.id().to_owned(), here.pair.public_key()));
        for secret in [public.to_bytes(), public.to_der(), public.to_pem().into_bytes(), id.clone().into_bytes()] {
            let sign = |key: HS256Key| key.with_key_id(&id).authenticate(claims(Some(0), None, Some(60))).unwrap();
            assert!(!is_valid(&sign(HS256Key::from_bytes(&secret))));
            let longer = HS512Key::from_bytes(&secret).with_key_id(&id);
            assert!(!is_valid(&longer.authenticate(claims(Some(0), None, Some(60))).unwrap()));
        }
        assert!(is_valid(&HERE.with(|here| here.sign(claims(Some(0), None, Some(60))))));
    }
}
