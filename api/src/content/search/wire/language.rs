//! The languages of queries.

use nvisy_shared::store::search::Language;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        IntoDeserializer,
        value::{Error, StrDeserializer},
    },
};

/// A language that is not null. By way of a string: an enumeration that is null or a number is an error of syntax for serde_json.
pub fn language<'de, D: Deserializer<'de>>(field: D) -> Result<Option<QueryLanguage>, D::Error> {
    let code = String::deserialize(field)?;
    QueryLanguage::deserialize(IntoDeserializer::<D::Error>::into_deserializer(code.as_str())).map(Some)
}

/// A language, as an ISO 639-1 code.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "QueryLanguage")]
pub enum QueryLanguage {
    Ar,
    Da,
    De,
    El,
    En,
    Es,
    Fi,
    Fr,
    Hu,
    It,
    Ja,
    Ko,
    Nl,
    No,
    Pt,
    Ro,
    Ru,
    Sv,
    Ta,
    Th,
    Tr,
    Zh,
}

impl QueryLanguage {
    /// The language with this code.
    pub fn of_code(code: &str) -> Option<Self> {
        let code: StrDeserializer<'_, Error> = code.into_deserializer();
        Self::deserialize(code).ok()
    }
}

impl From<QueryLanguage> for Language {
    fn from(language: QueryLanguage) -> Self {
        match language {
            QueryLanguage::Ar => Self::Arabic,
            QueryLanguage::Da => Self::Danish,
            QueryLanguage::De => Self::German,
            QueryLanguage::El => Self::Greek,
            QueryLanguage::En => Self::English,
            QueryLanguage::Es => Self::Spanish,
            QueryLanguage::Fi => Self::Finnish,
            QueryLanguage::Fr => Self::French,
            QueryLanguage::Hu => Self::Hungarian,
            QueryLanguage::It => Self::Italian,
            QueryLanguage::Ja => Self::Japanese,
            QueryLanguage::Ko => Self::Korean,
            QueryLanguage::Nl => Self::Dutch,
            QueryLanguage::No => Self::Norwegian,
            QueryLanguage::Pt => Self::Portuguese,
            QueryLanguage::Ro => Self::Romanian,
            QueryLanguage::Ru => Self::Russian,
            QueryLanguage::Sv => Self::Swedish,
            QueryLanguage::Ta => Self::Tamil,
            QueryLanguage::Th => Self::Thai,
            QueryLanguage::Tr => Self::Turkish,
            QueryLanguage::Zh => Self::Chinese,
        }
    }
}
