//! `partition`: bytes to a document.

use std::collections::BTreeSet;

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Cost, Group, NodeSpec};
use crate::pipeline::port::{Flow, Ports};

/// Settings of `partition`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Partition {
    /// How much of the structure is read.
    pub mode: PartitionMode,
    /// Whether text in images is recognised.
    pub ocr: Ocr,
    /// The languages of recognised text (ISO 639): only letters of their scripts are recognised. Absent: letters of all scripts.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub languages: BTreeSet<OcrLanguage>,
    /// Whether what can be read of a damaged or too large file is enough: the rest is missing, with a warning. Otherwise the file
    /// fails.
    pub partial: bool,
}

/// How much of the structure is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum PartitionMode {
    /// Headings, lists, tables and pages.
    #[default]
    Auto,
    /// Text and pages only.
    Fast,
}

/// Whether text in images is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Ocr {
    /// Never.
    Never,
    /// In pictures, and on pages without readable text, if the operator has installed the models.
    #[default]
    Auto,
    /// In pictures and on all pages, whatever text they have.
    Always,
}

macro_rules! languages {
    ($($variant:ident $code:literal $doc:literal;)+) => {
        /// A language that the models for text in images read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[schemars(crate = "json_schema")]
        pub enum OcrLanguage {
            $(#[doc = $doc] #[serde(rename = $code)] $variant,)+
        }
    };
}

languages! {
    Af "af" "Afrikaans.";
    Az "az" "Azerbaijani.";
    Bs "bs" "Bosnian.";
    Ca "ca" "Catalan.";
    Cs "cs" "Czech.";
    Cy "cy" "Welsh.";
    Da "da" "Danish.";
    De "de" "German.";
    En "en" "English.";
    Es "es" "Spanish.";
    Et "et" "Estonian.";
    Eu "eu" "Basque.";
    Fi "fi" "Finnish.";
    Fr "fr" "French.";
    Ga "ga" "Irish.";
    Gl "gl" "Galician.";
    Hr "hr" "Croatian.";
    Hu "hu" "Hungarian.";
    Id "id" "Indonesian.";
    Is "is" "Icelandic.";
    It "it" "Italian.";
    Ja "ja" "Japanese.";
    Ku "ku" "Kurdish, in Latin letters.";
    La "la" "Latin.";
    Lb "lb" "Luxembourgish.";
    Lt "lt" "Lithuanian.";
    Lv "lv" "Latvian.";
    Mi "mi" "Maori.";
    Ms "ms" "Malay.";
    Mt "mt" "Maltese.";
    Nl "nl" "Dutch.";
    No "no" "Norwegian.";
    Oc "oc" "Occitan.";
    Pl "pl" "Polish.";
    Pt "pt" "Portuguese.";
    Qu "qu" "Quechua.";
    Rm "rm" "Romansh.";
    Ro "ro" "Romanian.";
    Sk "sk" "Slovak.";
    Sl "sl" "Slovenian.";
    Sq "sq" "Albanian.";
    Sr "sr" "Serbian, in Latin letters.";
    Sv "sv" "Swedish.";
    Sw "sw" "Swahili.";
    Tl "tl" "Tagalog.";
    Tr "tr" "Turkish.";
    Uz "uz" "Uzbek, in Latin letters.";
    Vi "vi" "Vietnamese.";
    Zh "zh" "Chinese, simplified and traditional.";
}

impl NodeSpec for Partition {
    const TYPE: &'static str = "partition";
    const TITLE: &'static str = "Read";
    const DESCRIPTION: &'static str = "Reads files into text with headings, lists, tables and pages.";
    const GROUP: Group = Group::Read;
    const COST: Cost = Cost::Processor;
    const KEEPS_OUTPUT: bool = true;
    const CODE_VERSION: u32 = 5;

    fn ports(&self) -> Ports {
        Ports::transform(Flow::Bytes, Flow::Document)
    }

    fn example() -> Self {
        let languages = BTreeSet::from([OcrLanguage::De, OcrLanguage::En]);
        Self { mode: PartitionMode::Auto, ocr: Ocr::Auto, languages, partial: false }
    }
}
