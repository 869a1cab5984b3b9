//! Account states and e-mail addresses.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use url::Host;

/// Maximum length of an e-mail address, in characters.
pub const MAX_EMAIL_CHARS: usize = 254;

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// In use.
    Active,
    /// Suspended by an operator: every request is rejected.
    Suspended,
}

/// The spelling under which an address is stored and looked up: trimmed, in lower case, compatibility characters (full
/// width, ligatures, decomposed letters) normalised, and the domain in its ASCII form.
#[must_use]
pub fn normalise_email(raw: &str) -> String {
    // Lower case can decompose letters again.
    let email: String = raw.trim().nfkc().collect::<String>().to_lowercase().nfkc().collect();
    match email.rsplit_once('@') {
        Some((local, domain)) if !domain.is_ascii() => match Host::parse(domain) {
            Ok(Host::Domain(ascii)) => format!("{local}@{ascii}"),
            _ => email,
        },
        _ => email,
    }
}

#[cfg(test)]
mod tests {
    use super::normalise_email;

    #[test]
    fn equivalent_spellings_normalise_to_one_address() {
        let one = |spellings: &[&str]| {
            let all: std::collections::BTreeSet<_> = spellings.iter().map(|raw| normalise_email(raw)).collect();
            assert_eq!(all.len(), 1, "{all:?}");
        };
        one(&[
            "ada@example.org",
            " Ada@Example.ORG ",
            "\u{ff41}da@example.org",
            "ada\u{ff20}example.org",
            "ad\u{aa}@example.org",
        ]);
        one(&["f\u{fc}@example.org", "fu\u{308}@example.org", "FU\u{308}@example.org"]);
        one(&["o\u{fb03}ce@example.org", "office@example.org"]);
        one(&["k@example.org", "\u{212a}@example.org"]);
        assert_ne!(normalise_email("ada@example.org"), normalise_email("adb@example.org"));
    }

    #[test]
    fn domain_normalises_to_ascii() {
        let ascii = "ada@xn--exmple-cua.org";
        for raw in ["ada@ex\u{e4}mple.org", "Ada@EX\u{c4}MPLE.org", "ada@exa\u{308}mple.org", ascii] {
            assert_eq!(normalise_email(raw), ascii);
        }
        // An invalid domain stays unchanged; the API's validation rejects it.
        assert_eq!(normalise_email("ada@ex\u{e4}m ple"), "ada@ex\u{e4}m ple");
    }

    #[test]
    fn normalisation_is_idempotent() {
        for raw in ["\u{130}@example.org", "\u{1e9e}@example.org", "\u{2126}\u{301}@example.org"] {
            let once = normalise_email(raw);
            assert_eq!(normalise_email(&once), once);
        }
    }
}
