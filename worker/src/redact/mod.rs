//! Finding passages to redact in a text: identifiers by format and checksum, patterns, and entities that are given.

mod checksums;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
    sync::LazyLock,
};

use nvisy_shared::pipeline::node::redact::{Identifier, Pattern};
use regex::Regex;

/// A passage and its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bytes of the text.
    pub bytes: Range<usize>,
    /// The kind, in capital letters.
    pub kind: String,
}

/// Identifiers and patterns to search for.
pub struct Finder {
    identifiers: Vec<Identifier>,
    patterns: Vec<(String, Regex)>,
}

/// How an identifier is found: the format, and a check of a candidate without separators in capital letters.
struct Format {
    regex: Regex,
    check: Check,
}

/// Whether a candidate without separators, in capital letters, is an identifier.
type Check = fn(&str) -> bool;

/// Characters between the groups of an identifier.
const SEPARATORS: [char; 5] = [' ', '\u{a0}', '-', '.', '/'];

/// The formats. Boundaries are tested apart, because `\b` sees none between `_` or `+` and a digit.
static FORMATS: LazyLock<BTreeMap<Identifier, Format>> = LazyLock::new(|| {
    use Identifier as I;
    // Any text that has the format.
    let always: Check = |_| true;
    let formats: [(Identifier, &str, Check); 23] = [
        (
            I::Email,
            r"(?i)[a-z0-9](?:[a-z0-9._%+'-]{0,62}[a-z0-9_+-])?@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}",
            always,
        ),
        (
            I::Phone,
            r"(?:\+|00)[1-9](?:[ \xa0./-]?\(?\d\)?){6,14}|\(?0[1-9]\d{0,3}\)?[ \xa0/-]{1,2}\d{3,}(?:[ \xa0-]?\d{2,}){0,4}|\(\d{3}\) ?\d{3}-\d{4}|[2-9]\d{2}[.-][2-9]\d{2}[.-]\d{4}",
            phone,
        ),
        (I::Iban, r"(?i)[a-z]{2}\d{2}(?:[ \xa0]?[a-z0-9]){11,30}", checksums::iban),
        (
            I::Card,
            r"\d{4}[ \xa0-]\d{6}[ \xa0-]\d{4,5}|\d{4}(?:[ \xa0-]\d{4}){3}(?:[ \xa0-]\d{3})?|\d{13,19}",
            checksums::card,
        ),
        (
            I::IpAddress,
            r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)|[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}",
            ip_address,
        ),
        (I::MacAddress, r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}", always),
        (I::UsSsn, r"\d{3}-\d{2}-\d{4}", checksums::us_ssn),
        (I::UkNhs, r"\d{3}[ \xa0-]?\d{3}[ \xa0-]?\d{4}", checksums::uk_nhs),
        (I::UkNino, r"(?i)[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d]", checksums::uk_nino),
        (I::DeTaxId, r"\d{2}[ \xa0/]?\d{3}[ \xa0/]?\d{3}[ \xa0/]?\d{3}", checksums::de_tax_id),
        (I::AtSvnr, r"\d{4}[ \xa0-]?\d{6}", checksums::at_svnr),
        (I::ChAhv, r"756[ .]?\d{4}[ .]?\d{4}[ .]?\d{2}", checksums::ch_ahv),
        (
            I::FrNir,
            r"(?i)[1-478][ \xa0]?\d{2}[ \xa0]?\d{2}[ \xa0]?\d[\dab][ \xa0]?\d{3}[ \xa0]?\d{3}[ \xa0]?\d{2}",
            checksums::fr_nir,
        ),
        (I::EsDni, r"(?i)(?:\d{8}|\d{2}\.\d{3}\.\d{3}|[xyz]-?\d{7})-?[a-z]", checksums::es_dni),
        (
            I::ItCodiceFiscale,
            r"(?i)[a-z]{6}[ ]?[\dlmnp-v]{2}[a-z][\dlmnp-v]{2}[ ]?[a-z][\dlmnp-v]{3}[a-z]",
            checksums::it_codice_fiscale,
        ),
        (I::NlBsn, r"\d{9}|\d{4}[. ]\d{2}[. ]\d{3}|\d{3}[. ]\d{3}[. ]\d{3}", checksums::nl_bsn),
        (I::BeNationalNumber, r"\d{2}\.?\d{2}\.?\d{2}[ -]?\d{3}[. ]?\d{2}", checksums::be_national_number),
        (I::PlPesel, r"\d{11}", checksums::pl_pesel),
        (I::PtNif, r"\d{9}|\d{3} \d{3} \d{3}", checksums::pt_nif),
        (I::SePersonnummer, r"(?:\d{2})?\d{6}[-+]\d{4}|(?:19|20)\d{10}", checksums::se_personnummer),
        (I::FiHetu, r"(?i)\d{6}[-+a-fu-y]\d{3}[\da-fhj-npr-y]", checksums::fi_hetu),
        (I::BrCpf, r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", checksums::br_cpf),
        (I::InAadhaar, r"\d{4}[ -]?\d{4}[ -]?\d{4}", checksums::in_aadhaar),
    ];
    let compiled = formats.into_iter().map(|(identifier, format, check)| {
        let regex = Regex::new(format).expect("the formats are valid");
        (identifier, Format { regex, check })
    });
    compiled.collect()
});

fn phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (7..=15).contains(&digits) && text.matches('(').count() == text.matches(')').count()
}

fn ip_address(text: &str) -> bool {
    if text.contains(':') {
        // `a::b` of a program is an address, too, but rarely meant as one.
        return text.contains(|letter: char| letter.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok();
    }
    text.parse::<Ipv4Addr>().is_ok()
}

impl Finder {
    /// A finder of identifiers and patterns.
    ///
    /// # Errors
    /// When a pattern is not valid.
    pub fn new(identifiers: impl IntoIterator<Item = Identifier>, patterns: &[Pattern]) -> Result<Self, regex::Error> {
        let compiled = patterns.iter().map(|pattern| Ok((pattern.name.to_uppercase(), pattern.compile()?)));
        Ok(Self { identifiers: identifiers.into_iter().collect(), patterns: compiled.collect::<Result<_, _>>()? })
    }

    /// All passages, with `others` that were found before; in order and disjoint. Passages that overlap are one, of the kind of the
    /// first of them.
    #[must_use]
    pub fn find(&self, text: &str, others: Vec<Found>) -> Vec<Found> {
        let mut found = others;
        for identifier in &self.identifiers {
            if let Some(format) = FORMATS.get(identifier) {
                let kind = identifier.name().to_uppercase();
                let has_format = |bytes| Found { bytes, kind: kind.clone() };
                found.extend(candidates(text, format, *identifier).map(has_format));
            }
        }
        for (kind, pattern) in &self.patterns {
            let matches = pattern.find_iter(text).filter(|found| !found.is_empty());
            found.extend(matches.map(|found| Found { bytes: found.range(), kind: kind.clone() }));
        }
        join(found)
    }
}

/// The passages that have a format and its checksum. Where a candidate is none, a shorter one at the same place or one that begins
/// within it may be.
fn candidates<'t>(
    text: &'t str,
    format: &'t Format,
    identifier: Identifier,
) -> impl Iterator<Item = Range<usize>> + 't {
    let mut next = 0;
    std::iter::from_fn(move || {
        while let Some(candidate) = format.regex.find_at(text, next) {
            let range = candidate.range();
            if let Some(end) = valid_end(text, &range, format.check, identifier) {
                next = end;
                return Some(range.start..end);
            }
            // On to the next group of letters and digits: an identifier does not begin within one.
            let rest = &text[range.start..];
            let group = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
            let step = group.max(rest.chars().next().map_or(1, char::len_utf8));
            next = (range.start + step).min(text.len());
            if next == text.len() {
                return None;
            }
        }
        None
    })
}

/// The end of the longest valid identifier that begins where the candidate does.
fn valid_end(text: &str, range: &Range<usize>, check: Check, identifier: Identifier) -> Option<usize> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let before = &text[..range.start];
    // A number that began before a dot is longer, too.
    let is_rest = identifier == Identifier::IpAddress
        && before
            .strip_suffix(['.', ':'])
            .is_some_and(|before| before.ends_with(|letter: char| letter.is_ascii_hexdigit()));
    if before.ends_with(is_part) || is_rest {
        return None;
    }
    // Dots and hyphens within these are parts, not separators.
    let as_it_is =
        matches!(identifier, Identifier::Email | Identifier::IpAddress | Identifier::MacAddress | Identifier::Phone);
    let mut end = range.end;
    loop {
        let candidate = &text[range.start..end];
        let plain: String = if as_it_is {
            candidate.to_owned()
        } else {
            candidate
                .chars()
                .filter(|letter| !SEPARATORS.contains(letter) && *letter != '+')
                .collect::<String>()
                .to_uppercase()
        };
        let follows = &text[end..];
        // A number that goes on behind a dot is longer: a version, an address, an amount.
        let goes_on = follows.starts_with(is_part)
            || identifier == Identifier::IpAddress
                && follows.trim_start_matches(['.', ':']).len() < follows.len()
                && follows.trim_start_matches(['.', ':']).starts_with(|letter: char| letter.is_ascii_hexdigit());
        if !goes_on && check(&plain) {
            return Some(end);
        }
        // The closing bracket of a number in brackets is not a part of it.
        if candidate.ends_with(')') && candidate.matches('(').count() < candidate.matches(')').count() {
            end -= 1;
            continue;
        }
        if as_it_is && identifier != Identifier::Phone {
            return None;
        }
        let shorter = candidate.rfind(SEPARATORS)?;
        end = range.start + shorter;
    }
}

/// Joins passages that overlap.
fn join(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|one, other| {
        (one.bytes.start, std::cmp::Reverse(one.bytes.end))
            .cmp(&(other.bytes.start, std::cmp::Reverse(other.bytes.end)))
    });
    let mut joined: Vec<Found> = Vec::with_capacity(found.len());
    for passage in found {
        match joined.last_mut() {
            Some(last) if passage.bytes.start < last.bytes.end => {
                last.bytes.end = last.bytes.end.max(passage.bytes.end)
            }
            _ => joined.push(passage),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
