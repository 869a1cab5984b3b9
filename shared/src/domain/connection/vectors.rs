//! Connections to vector stores.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Address, Capability, ConnectionKind, InvalidSetting, ProviderSpec,
    limits::{CallLimits, header_secret, range},
    url_problem,
};
use crate::secret::Secret;

macro_rules! vector_providers {
    ($($provider:ident, $name:literal, $title:literal, needs_key: $needs_key:literal;)+) => {
        $(
            #[doc = concat!("The provider `", $name, "`.")]
            #[derive(Debug)]
            pub struct $provider;

            impl ProviderSpec for $provider {
                const NAME: &'static str = $name;
                const TITLE: &'static str = $title;
                const KIND: ConnectionKind = ConnectionKind::Vectors;
                const CAPABILITIES: &'static [Capability] = &[Capability::Write, Capability::Delete];
                const NEEDS_CREDENTIALS: bool = $needs_key;
                type Settings = VectorSettings;
                type Credentials = VectorCredentials;

                fn settings_problems(settings: &VectorSettings) -> Vec<InvalidSetting> {
                    settings.problems()
                }

                fn credentials_problems(credentials: &VectorCredentials) -> Vec<InvalidSetting> {
                    credentials.problems()
                }

                fn address(settings: &VectorSettings) -> Option<Address> {
                    Some(Address { field: "baseUrl", url: settings.base_url.clone() })
                }
            }
        )+
    };
}

vector_providers! {
    Qdrant, "qdrant", "Qdrant", needs_key: false;
    Weaviate, "weaviate", "Weaviate", needs_key: false;
    Milvus, "milvus", "Milvus", needs_key: false;
    Pinecone, "pinecone", "Pinecone", needs_key: true;
}

/// Settings of a connection to a vector store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VectorSettings {
    /// The address of the server; of Pinecone, the host of the index.
    #[schemars(with = "String")]
    pub base_url: Url,
    /// The longest wait for a response, in seconds.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
    /// Limits of calls.
    #[serde(flatten)]
    pub limits: CallLimits,
}

const fn default_timeout() -> u32 {
    30
}

/// Credentials of a connection to a vector store.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VectorCredentials {
    /// The API key; of Milvus, the token or `user:password`.
    #[schemars(with = "String", length(min = 1, max = 4096))]
    pub api_key: Secret<String>,
}

impl VectorSettings {
    fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        problems.extend(url_problem("baseUrl", &self.base_url));
        range(&mut problems, "timeoutSeconds", self.timeout_seconds, 1, 600);
        self.limits.check(&mut problems);
        problems
    }
}

impl VectorCredentials {
    fn problems(&self) -> Vec<InvalidSetting> {
        let mut problems = Vec::new();
        header_secret(&mut problems, "apiKey", self.api_key.expose());
        problems
    }
}
