//! The `Authorization: Bearer` header: an access token of a session, or an API token.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, http::header::AUTHORIZATION, web::Data};
use apistos::security::{Http, SecurityScheme, SecurityType};
use chrono::{DateTime, Utc};
use nvisy_shared::{
    crypt::token::{self, TokenKind},
    store::credential::Credential,
};

use super::{jwt::Keys, jwt_cache};
use crate::{
    http::single_header::single,
    problem::{Code, Problem},
    state::State,
};

/// Their names in the OpenAPI document.
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

/// A credential, as far as it can be checked without asking anybody.
#[derive(Clone, Copy, Debug)]
pub struct Presented {
    pub credential: Credential,
    /// The last second in which it is good, where it says so itself.
    pub until: Option<DateTime<Utc>>,
}

/// What the request carries.
pub fn presented(request: &HttpRequest) -> Result<Presented, Problem> {
    // Of two headers, nobody can say which one counts.
    let header = single(request.headers(), AUTHORIZATION.as_str()).ok().flatten();
    let token = header.and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.ok_or_else(unauthenticated)?;
    check(&state(request).keys, token).ok_or_else(unauthenticated)
}

/// `None` for whatever was not made here.
fn check(keys: &Keys, token: &str) -> Option<Presented> {
    if token.starts_with(TokenKind::Api.prefix()) {
        let hash = token::hash(TokenKind::Api, token)?;
        return Some(Presented { credential: Credential::Token(hash), until: None });
    }
    let jwt_cache::Claims { account, session, until, .. } = keys.verify(token)?;
    // Further away than there are dates: never.
    let until = i64::try_from(until.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    Some(Presented { credential: Credential::Session { account, session }, until })
}

pub fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
}

pub fn state(request: &HttpRequest) -> &Data<State> {
    request.app_data().expect("the server shares its state with every request")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jwt_simple::prelude::*;
    use nvisy_shared::{clock, config::Config, id::AccountId};
    use proptest::{option, prelude::*, sample::Index};

    use super::*;

    /// An installation's keys, and the pair behind them, to sign what it would not.
    struct Installation {
        keys: Keys,
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
            let keys = Keys::load(&config.unwrap().auth).unwrap();
            let pair = pair.with_key_id(keys.id());
            Self { keys, pair }
        }

        fn token(&self) -> String {
            self.keys.issue(AccountId::new(), nvisy_shared::id::SessionId::new()).unwrap().0
        }

        /// A token with these claims, signed as its own are.
        fn sign(&self, claims: JWTClaims<Sid>) -> String {
            self.pair.sign(claims).unwrap()
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Sid {
        sid: String,
    }

    /// The claims of a good token, at these distances from now, in seconds.
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

    /// What can become of a text on its way, or be made of it.
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
            let mut letters: Vec<char> = text.chars().collect();
            let length = letters.len();
            match self {
                Self::Put(place, letter) => letters[place.index(length)] = *letter,
                Self::Insert(place, letter) => letters.insert(place.index(length + 1), *letter),
                Self::Remove(place) => drop(letters.remove(place.index(length))),
                Self::Swap(one, other) => letters.swap(one.index(length), other.index(length)),
                Self::Cut(place) => letters.truncate(place.index(length)),
                Self::Append(more) => letters.extend(more.chars()),
            }
            letters.into_iter().collect()
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let place = any::<Index>;
        // Mostly letters of the alphabet, after which a change is hardest to see.
        let letter = || prop_oneof![4 => prop::char::ranges(vec!['0'..='9', 'A'..='Z', 'a'..='z', '-'..='.', '_'..='_'].into()), 1 => any::<char>()];
        prop_oneof![
            6 => (place(), letter()).prop_map(|(place, letter)| Change::Put(place, letter)),
            1 => (place(), letter()).prop_map(|(place, letter)| Change::Insert(place, letter)),
            1 => place().prop_map(Change::Remove),
            1 => (place(), place()).prop_map(|(one, other)| Change::Swap(one, other)),
            1 => place().prop_map(Change::Cut),
            1 => "[A-Za-z0-9_.=-]{1,90}".prop_map(Change::Append),
        ]
    }

    thread_local! {
        static HERE: Installation = Installation::new();
        static ELSEWHERE: Installation = Installation::new();
    }

    fn known(token: &str) -> bool {
        HERE.with(|here| check(&here.keys, token)).is_some()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_changed_access_token_is_nobodys(change in change()) {
            let token = HERE.with(Installation::token);
            prop_assert!(known(&token));
            let changed = change.apply(&token);
            prop_assert!(changed == token || !known(&changed), "{change:?} made {changed} of {token}");
        }

        #[test]
        fn a_changed_api_token_is_another_or_none(secret: [u8; 32], change in change()) {
            let token = token::encode(TokenKind::Api, &secret);
            let changed = change.apply(token.expose());
            let hash = |token: &str| match HERE.with(|here| check(&here.keys, token))?.credential {
                Credential::Token(hash) => Some(hash),
                Credential::Session { .. } => None,
            };
            let known = hash(token.expose());
            prop_assert!(known.is_some());
            prop_assert!(changed == *token.expose() || hash(&changed) != known, "{change:?}");
            // One wrong letter is seen without asking the database.
            if matches!(change, Change::Put(..)) && changed != *token.expose() {
                prop_assert_eq!(hash(&changed), None, "{:?}", change);
            }
        }

        #[test]
        fn whatever_else_is_sent_is_none(text: String, parts in "[A-Za-z0-9_-]{0,60}([.][A-Za-z0-9_-]{0,60}){0,3}", digits in "nvisy_[0-9a-f]{0,80}") {
            for token in [text, parts, digits] {
                prop_assert!(!known(&token), "{token}");
            }
        }

        /// Headers and claims of any shape under a signature of any bytes.
        #[test]
        fn what_is_only_shaped_like_a_token_is_none(
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
                prop_assert!(!known(&token), "{token}");
            }
        }

        #[test]
        fn only_the_time_of_a_token_counts_and_clocks_differ_by_a_minute(
            issued in option::weighted(0.9, -4_000_i64..200),
            from in option::weighted(0.5, -4_000_i64..200),
            expires in option::weighted(0.9, -4_000_i64..4_000),
        ) {
            // The test takes time, too.
            let clear = |distance: Option<i64>, edge: i64| distance.is_none_or(|distance| (distance - edge).abs() > 10);
            prop_assume!(clear(issued, 60) && clear(from, 60) && clear(expires, 0));
            let good = issued.is_some_and(|issued| issued < 60)
                && from.is_none_or(|from| from < 60)
                && expires.is_some_and(|expires| expires > 0);
            let token = HERE.with(|here| here.sign(claims(issued, from, expires)));
            prop_assert_eq!(known(&token), good);
        }

        #[test]
        fn another_installations_tokens_are_none_here_whatever_key_they_name(own_name: bool) {
            let token = ELSEWHERE.with(|other| {
                let name = if own_name { other.keys.id().to_owned() } else { HERE.with(|here| here.keys.id().to_owned()) };
                let pair = Ed25519KeyPair::from_bytes(&other.pair.to_bytes()).unwrap().with_key_id(&name);
                pair.sign(claims(Some(0), None, Some(60))).unwrap()
            });
            prop_assert!(!known(&token));
        }
    }

    /// What confuses those who believe the header: the public key, in every form that is public, as an HMAC secret.
    #[test]
    fn the_public_key_is_no_secret() {
        let (id, public) = HERE.with(|here| (here.keys.id().to_owned(), here.pair.public_key()));
        for secret in [public.to_bytes(), public.to_der(), public.to_pem().into_bytes(), id.clone().into_bytes()] {
            let sign = |key: HS256Key| key.with_key_id(&id).authenticate(claims(Some(0), None, Some(60))).unwrap();
            assert!(!known(&sign(HS256Key::from_bytes(&secret))));
            let longer = HS512Key::from_bytes(&secret).with_key_id(&id);
            assert!(!known(&longer.authenticate(claims(Some(0), None, Some(60))).unwrap()));
        }
        assert!(known(&HERE.with(|here| here.sign(claims(Some(0), None, Some(60))))));
    }
}
