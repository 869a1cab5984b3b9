//! `redact`: masks, hashes or removes personal data.

use std::collections::BTreeSet;

use json_schema::JsonSchema;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{
    metadata_key,
    spec::{Cost, Group, NodeSpec},
};
use crate::pipeline::{
    port::{Flow, Ports},
    problem::{NodeProblems, ProblemCode},
};

/// Maximum number of patterns.
const MAX_PATTERNS: usize = 50;
/// Maximum length of a pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_000;
/// Maximum length of a pattern's name, in bytes.
const MAX_NAME_BYTES: usize = 50;
/// Maximum memory of a compiled pattern, in bytes.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// Settings of `redact`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Redact {
    /// The identifiers to find.
    pub find: BTreeSet<Identifier>,
    /// Patterns to find.
    #[schemars(length(max = 50))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<Pattern>,
    /// Keys of metadata with entities of an earlier node: objects with `start` and `end` (byte ranges of the document's text) or `text`.
    #[schemars(length(max = 50))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// The replacement.
    pub replace_with: Replacement,
    /// The key of the metadata that gets the number of replacements of each kind.
    #[schemars(length(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
}

/// A pattern and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pattern {
    /// The name: letters, digits and `_`. It stands in the replacement.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// A regular expression, without look-around and back-references: it takes linear time.
    #[schemars(length(min = 1, max = 1000))]
    pub pattern: String,
}

/// The replacement of a passage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The kind: `[EMAIL]`.
    #[default]
    Mask,
    /// The kind and a hash under a key of the workspace, equal for equal passages: `[EMAIL:0f3a..]`.
    Hash,
    /// Nothing.
    Nothing,
}

macro_rules! identifiers {
    ($($variant:ident $name:literal $doc:literal;)+) => {
        /// A kind of identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[schemars(crate = "json_schema")]
        pub enum Identifier {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)+
        }

        impl Identifier {
            /// All identifiers, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The identifier in settings.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

identifiers! {
    Email "email" "E-mail addresses.";
    Phone "phone" "Telephone numbers: international ones, and national ones with separators.";
    Iban "iban" "International bank account numbers, by country and checksum.";
    Card "card" "Payment cards, by checksum (Luhn).";
    IpAddress "ip_address" "IP addresses of both versions.";
    MacAddress "mac_address" "MAC addresses.";
    UsSsn "us_ssn" "United States: social security numbers with hyphens.";
    UkNhs "uk_nhs" "United Kingdom: NHS numbers, by checksum.";
    UkNino "uk_nino" "United Kingdom: national insurance numbers, by format.";
    DeTaxId "de_tax_id" "Germany: tax identification numbers, by checksum.";
    AtSvnr "at_svnr" "Austria: social insurance numbers, by checksum.";
    ChAhv "ch_ahv" "Switzerland: AHV numbers, by checksum.";
    FrNir "fr_nir" "France: NIR (INSEE) numbers, by checksum.";
    EsDni "es_dni" "Spain: DNI and NIE, by checksum.";
    ItCodiceFiscale "it_codice_fiscale" "Italy: codice fiscale, by checksum.";
    NlBsn "nl_bsn" "Netherlands: BSN, by checksum.";
    BeNationalNumber "be_national_number" "Belgium: national register numbers, by checksum.";
    PlPesel "pl_pesel" "Poland: PESEL, by checksum.";
    PtNif "pt_nif" "Portugal: NIF, by checksum.";
    SePersonnummer "se_personnummer" "Sweden: personal identity numbers, by checksum.";
    FiHetu "fi_hetu" "Finland: personal identity codes, by checksum.";
    BrCpf "br_cpf" "Brazil: CPF, by checksum.";
    InAadhaar "in_aadhaar" "India: Aadhaar, by checksum.";
}

impl Pattern {
    /// The compiled pattern.
    ///
    /// # Errors
    /// It is no regular expression, or needs too much memory.
    pub fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.pattern).size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_COMPILED_BYTES).build()
    }

    fn validate(&self, field: &str, problems: &mut NodeProblems<'_>) {
        let valid = (1..=MAX_NAME_BYTES).contains(&self.name.len())
            && self.name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !valid {
            let message = format!("must have 1 to {MAX_NAME_BYTES} letters, digits and `_`");
            problems.add(ProblemCode::InvalidSetting, &format!("{field}.name"), message, "rename the pattern");
        }
        let field = format!("{field}.pattern");
        if self.pattern.len() > MAX_PATTERN_BYTES {
            let message = format!("has more than {MAX_PATTERN_BYTES} bytes");
            problems.add(ProblemCode::InvalidSetting, &field, message, "shorten it, or divide it into several");
            return;
        }
        match self.compile() {
            Ok(pattern) if pattern.is_match("") => {
                let message = "matches the empty text";
                problems.add(ProblemCode::InvalidSetting, &field, message, "require at least one character");
            }
            Ok(_) => {}
            Err(error) => {
                // The first line alone: others draw the pattern.
                let message = match &error {
                    regex::Error::CompiledTooBig(_) => "needs too much memory".to_owned(),
                    error => error.to_string().lines().last().unwrap_or_default().to_owned(),
                };
                let remedy = "use a regular expression without look-around and back-references";
                problems.add(ProblemCode::InvalidSetting, &field, message, remedy);
            }
        }
    }
}

impl Default for Redact {
    fn default() -> Self {
        use Identifier::{Card, Email, Iban, IpAddress, Phone};
        Self {
            find: BTreeSet::from([Email, Phone, Iban, Card, IpAddress]),
            patterns: Vec::new(),
            entities: Vec::new(),
            replace_with: Replacement::Mask,
            counts: None,
        }
    }
}

impl NodeSpec for Redact {
    const TYPE: &'static str = "redact";
    const TITLE: &'static str = "Redact";
    const DESCRIPTION: &'static str = "Masks, hashes or removes personal data: identifiers with checksums, patterns, and entities of an earlier node.";
    const GROUP: Group = Group::Compute;
    const COST: Cost = Cost::Processor;
    const READS_FILE: bool = true;
    const READS_MODEL: bool = true;

    fn ports(&self) -> Ports {
        Ports::pass(&[Flow::Document, Flow::Chunks, Flow::Records])
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        if self.find.is_empty() && self.patterns.is_empty() && self.entities.is_empty() {
            let message = "there is nothing to find";
            let remedy = "set `find`, `patterns` or `entities`";
            problems.add(ProblemCode::InvalidSetting, "find", message, remedy);
        }
        for (field, count) in [("patterns", self.patterns.len()), ("entities", self.entities.len())] {
            if count > MAX_PATTERNS {
                let message = format!("has more than {MAX_PATTERNS} entries");
                problems.add(ProblemCode::InvalidSetting, field, message, "remove some");
            }
        }
        for (index, pattern) in self.patterns.iter().take(MAX_PATTERNS).enumerate() {
            pattern.validate(&format!("patterns.{index}"), problems);
        }
        for (index, key) in self.entities.iter().take(MAX_PATTERNS).enumerate() {
            metadata_key::validate(key, &format!("entities.{index}"), problems);
        }
        if let Some(key) = &self.counts {
            metadata_key::validate(key, "counts", problems);
        }
    }

    fn example() -> Self {
        Self {
            find: BTreeSet::from([Identifier::Email, Identifier::Iban, Identifier::DeTaxId]),
            patterns: vec![Pattern { name: "case".to_owned(), pattern: r"\bCASE-\d{6}\b".to_owned() }],
            entities: vec!["people".to_owned()],
            replace_with: Replacement::Hash,
            counts: Some("redacted".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::problem::Problems;

    fn problems(settings: &Redact) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        settings.validate(&mut problems.of("node"));
        problems.0.into_iter().map(|problem| (problem.field, problem.message)).collect()
    }

    #[test]
    fn patterns_take_linear_time_and_bounded_memory() {
        let with = |pattern: &str| Redact {
            patterns: vec![Pattern { name: "case".to_owned(), pattern: pattern.to_owned() }],
            ..Redact::default()
        };
        assert_eq!(problems(&with(r"^(a+)+$")), []);
        for (invalid, reason) in [
            (r"(a)\1", "backreferences are not supported"),
            ("(?<=a)b", "look-around"),
            ("(", "unclosed group"),
            ("a*", "matches the empty text"),
            (r"(\w{100}){1000}", "needs too much memory"),
            (&"a".repeat(1_001), "has more than 1000 bytes"),
        ] {
            let found = problems(&with(invalid));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, "patterns.0.pattern");
            assert!(found[0].1.contains(reason), "{found:?}");
        }
        let evil = with(r"^(a+)+$").patterns[0].compile().unwrap();
        assert!(!evil.is_match(&format!("{}!", "a".repeat(100_000))));
    }

    #[test]
    fn settings_without_anything_to_find_are_a_problem() {
        let nothing = Redact { find: BTreeSet::new(), ..Redact::default() };
        assert_eq!(problems(&nothing), [("find".to_owned(), "there is nothing to find".to_owned())]);
    }
}
