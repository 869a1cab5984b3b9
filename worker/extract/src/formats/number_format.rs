//! Number formats of spreadsheets (`#,##0.00 "EUR"`, `0%`, `d mmm yyyy`): how a cell shows its number.
//!
//! Fractions, eras, and names of months in other languages than English are not known: such a cell shows its plain number or ISO date.

use calamine::ExcelDateTime;

use super::number_dates::{DateToken, date_tokens, shown_time};
use super::sheets::decimal;

/// Longest format that Excel accepts; longer ones are damage.
const MAX_FORMAT_CHARS: usize = 255;
/// Largest number, and most decimal places, that are written digit by digit.
const MAX_PLAIN: f64 = 1e21;
const MAX_PLACES: usize = 30;

/// A format: for all numbers, or for positive ones, negative ones and zero, or by conditions.
#[derive(Debug)]
pub(super) struct NumberFormat {
    sections: Vec<Section>,
}

#[derive(Debug, Default)]
struct Section {
    condition: Option<(Comparison, f64)>,
    tokens: Vec<Token>,
    /// The same as parts of a date, if it shows one.
    date: Option<Vec<DateToken>>,
    /// Whether it shows what is not known here.
    is_unknown: bool,
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, PartialEq)]
enum Token {
    Literal(char),
    /// `0`, `#` or `?`.
    Digit(char),
    Point,
    Comma,
    Percent,
    /// Whether a plus is shown.
    Exponent(bool),
    General,
}

impl NumberFormat {
    /// Reads a format; `None`: numbers are shown as they are.
    pub(super) fn parse(code: &str) -> Option<Self> {
        let is_plain = code.is_empty() || code.eq_ignore_ascii_case("general") || code == "@";
        if is_plain || code.chars().nth(MAX_FORMAT_CHARS).is_some() {
            return None;
        }
        let sections: Vec<_> = split(code).into_iter().map(Section::parse).collect();
        Some(Self { sections })
    }

    /// A number as it is shown; `None`: the format does not say how.
    pub(super) fn number(&self, value: f64) -> Option<String> {
        let (section, is_signed) = self.section(value)?;
        if section.is_unknown || section.date.is_some() || !value.is_finite() {
            return None;
        }
        section.number(value, is_signed)
    }

    /// A date, a time or a duration as it is shown; `None`: the format does not say how.
    pub(super) fn time(&self, time: &ExcelDateTime) -> Option<String> {
        let (section, is_signed) = self.section(time.as_f64())?;
        match &section.date {
            _ if section.is_unknown => None,
            Some(parts) => shown_time(parts, time),
            None => section.number(time.as_f64(), is_signed),
        }
    }

    /// The section of a value, and whether a minus stands before a negative one.
    fn section(&self, value: f64) -> Option<(&Section, bool)> {
        // The fourth section is that of texts.
        let sections = &self.sections[..self.sections.len().min(3)];
        if sections.iter().any(|section| section.condition.is_some()) {
            let holds =
                |section: &&Section| section.condition.is_none_or(|(comparison, to)| comparison.holds(value, to));
            return sections.iter().find(holds).map(|section| (section, true));
        }
        match sections {
            [one] => Some((one, true)),
            [_, negative, ..] if value < 0.0 => Some((negative, false)),
            [_, _, zero] if value == 0.0 => Some((zero, false)),
            [first, ..] => Some((first, true)),
            [] => None,
        }
    }
}

impl Comparison {
    fn holds(self, value: f64, to: f64) -> bool {
        match self {
            Self::Less => value < to,
            Self::LessOrEqual => value <= to,
            Self::Equal => value == to,
            Self::NotEqual => value != to,
            Self::GreaterOrEqual => value >= to,
            Self::Greater => value > to,
        }
    }
}

/// The sections of a format, which semicolons separate.
fn split(code: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut is_quoted, mut in_bracket, mut is_escaped) = (0, false, false, false);
    for (place, c) in code.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '\\' | '_' | '*' => is_escaped = true,
            '[' => in_bracket = true,
            ']' => in_bracket = false,
            ';' if !in_bracket => {
                parts.push(&code[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&code[start..]);
    parts
}

impl Section {
    fn parse(code: &str) -> Self {
        let mut section = Self::default();
        let mut is_english = true;
        let (tokens, mut rest) = (&mut section.tokens, code);
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = after;
            match c {
                '"' => {
                    let (words, after) = after.split_once('"').unwrap_or((after, ""));
                    tokens.extend(words.chars().map(Token::Literal));
                    rest = after;
                }
                '\\' | '_' | '*' => {
                    let next = after.chars().next();
                    rest = &after[next.map_or(0, char::len_utf8)..];
                    match c {
                        '\\' => tokens.extend(next.map(Token::Literal)),
                        // As wide as a character.
                        '_' => tokens.push(Token::Literal(' ')),
                        // Fills the cell.
                        _ => {}
                    }
                }
                '[' => {
                    let (inner, after) = after.split_once(']').unwrap_or((after, ""));
                    rest = after;
                    if let Some(sign) = inner.strip_prefix('$') {
                        let (sign, language) = sign.split_once('-').unwrap_or((sign, ""));
                        tokens.extend(sign.chars().map(Token::Literal));
                        is_english &= is_english_language(language);
                    } else {
                        section.condition = section.condition.or_else(|| condition(inner));
                    }
                }
                '0' | '#' | '?' => tokens.push(Token::Digit(c)),
                '.' => tokens.push(Token::Point),
                ',' => tokens.push(Token::Comma),
                '%' => tokens.push(Token::Percent),
                'E' | 'e' if after.starts_with(['+', '-']) => {
                    tokens.push(Token::Exponent(after.starts_with('+')));
                    rest = &after[1..];
                }
                'G' | 'g' if after.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("eneral")) => {
                    tokens.push(Token::General);
                    rest = &after[6..];
                }
                '@' => tokens.push(Token::General),
                c => tokens.push(Token::Literal(c)),
            }
        }
        section.date = date_tokens(code);
        if let Some(parts) = &section.date {
            section.is_unknown =
                parts.contains(&DateToken::Unknown) || !is_english && parts.iter().any(DateToken::is_name);
        } else {
            // A fraction.
            let is_digit = |token: &Token| matches!(token, Token::Digit(_));
            let is_fraction = |window: &[Token]| is_digit(&window[0]) && window[1] == Token::Literal('/');
            section.is_unknown = section.tokens.windows(2).any(is_fraction);
        }
        section
    }

    fn has(&self, token: &Token) -> bool {
        self.tokens.contains(token)
    }

    fn number(&self, value: f64, is_signed: bool) -> Option<String> {
        let mut size = value.abs();
        let sign = if is_signed && value < 0.0 { "-" } else { "" };
        if self.has(&Token::General) {
            let shown = self.tokens.iter().map(|token| match token {
                Token::General => decimal(size),
                Token::Literal(c) => c.to_string(),
                _ => String::new(),
            });
            return Some(format!("{sign}{}", shown.collect::<String>()));
        }
        for _ in self.tokens.iter().filter(|token| **token == Token::Percent) {
            size *= 100.0;
        }
        let exponent_at = self.tokens.iter().position(|token| matches!(token, Token::Exponent(_)));
        let (mantissa, exponent) = self.tokens.split_at(exponent_at.unwrap_or(self.tokens.len()));
        let point = mantissa.iter().position(|token| *token == Token::Point).unwrap_or(mantissa.len());
        let (whole, places) = mantissa.split_at(point);
        let is_digit = |token: &&Token| matches!(token, Token::Digit(_));
        let whole_digits = whole.iter().filter(is_digit).count();
        let place_digits = places.iter().filter(is_digit).count().min(MAX_PLACES);
        if whole_digits + place_digits == 0 {
            return Some(self.tokens.iter().filter_map(Token::sign).collect());
        }
        // A comma between digits groups them; one behind them divides by a thousand.
        let last = whole.iter().rposition(|token| is_digit(&token)).unwrap_or(0);
        let is_grouped = whole[..last].contains(&Token::Comma);
        for _ in whole[last..].iter().chain(places).filter(|token| **token == Token::Comma) {
            size /= 1000.0;
        }
        let mut power = 0;
        if !exponent.is_empty() && size > 0.0 {
            let step = i32::try_from(whole_digits.max(1)).ok()?;
            let power_of = |size: f64| (size.log10().floor() as i32).div_euclid(step) * step;
            power = power_of(size);
            // Rounding may add a digit: 9.99 with one place is 1.0E+01.
            let rounded = rounded(size / 10_f64.powi(power), place_digits) * 10_f64.powi(power);
            power = power.max(power_of(rounded * (1.0 + f64::EPSILON)));
            size /= 10_f64.powi(power);
        }
        if size >= MAX_PLAIN || !size.is_finite() {
            return None;
        }
        let digits = format!("{:.place_digits$}", rounded(size, place_digits));
        let (integer, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
        let integer = if integer == "0" { "" } else { integer };
        let is_zero = integer.is_empty() && decimals.bytes().all(|digit| digit == b'0');
        let mut shown = if is_zero { String::new() } else { sign.to_owned() };
        add_whole(&mut shown, whole, integer, is_grouped);
        add_places(&mut shown, places, decimals);
        add_exponent(&mut shown, exponent, power);
        Some(shown)
    }
}

impl Token {
    /// What it shows beside digits.
    fn sign(&self) -> Option<char> {
        match self {
            Self::Literal(c) => Some(*c),
            Self::Percent => Some('%'),
            _ => None,
        }
    }
}

/// Rounds a half away from zero, by the decimal digits that a spreadsheet has: 1.005 is 1.01.
fn rounded(size: f64, places: usize) -> f64 {
    let scale = 10_f64.powi(places as i32);
    let scaled = size * scale;
    if scaled >= 1e15 {
        return size;
    }
    (scaled * (1.0 + f64::EPSILON)).round() / scale
}

/// Adds the digits before the point.
fn add_whole(shown: &mut String, tokens: &[Token], integer: &str, is_grouped: bool) {
    let digits = integer.as_bytes();
    let total = tokens.iter().filter(|token| matches!(token, Token::Digit(_))).count();
    let add = |shown: &mut String, digit: u8, left: usize| {
        shown.push(char::from(digit));
        if is_grouped && left > 0 && left.is_multiple_of(3) {
            shown.push(',');
        }
    };
    let mut left = total;
    let mut is_padded = false;
    for token in tokens {
        let Token::Digit(kind) = token else {
            shown.extend(token.sign());
            continue;
        };
        if left == total {
            // Digits that have no place of their own.
            for place in (total..digits.len()).rev() {
                add(shown, digits[digits.len() - 1 - place], place);
            }
        }
        left -= 1;
        is_padded |= *kind == '0';
        match digits.len().checked_sub(left + 1).map(|place| digits[place]) {
            Some(digit) => add(shown, digit, left),
            None if is_padded => add(shown, b'0', left),
            None => {}
        }
    }
    if total == 0 {
        shown.push_str(integer);
    }
}

/// Adds the point and the digits behind it.
fn add_places(shown: &mut String, tokens: &[Token], decimals: &str) {
    let kinds = tokens.iter().filter_map(|token| match token {
        Token::Digit(kind) => Some(*kind),
        _ => None,
    });
    // The places up to the last one that is not left out.
    let is_shown = |(digit, kind): (u8, char)| digit != b'0' || kind == '0';
    let count = decimals.bytes().zip(kinds).map(is_shown).enumerate().filter(|(_, shows)| *shows).last();
    let count = count.map_or(0, |(place, _)| place + 1);
    let mut place = 0;
    for token in tokens {
        match token {
            Token::Digit(_) => {
                if place < count {
                    shown.push_str(&decimals[place..=place]);
                }
                place += 1;
            }
            Token::Point if place == 0 && count > 0 => shown.push('.'),
            token => shown.extend(token.sign()),
        }
    }
}

/// Adds the power of ten.
fn add_exponent(shown: &mut String, tokens: &[Token], power: i32) {
    let width = tokens.iter().filter(|token| matches!(token, Token::Digit(_))).count();
    let mut is_first = true;
    for token in tokens {
        match token {
            Token::Exponent(has_plus) => {
                shown.push('E');
                match power {
                    ..0 => shown.push('-'),
                    _ if *has_plus => shown.push('+'),
                    _ => {}
                }
            }
            Token::Digit(_) if std::mem::take(&mut is_first) => shown.push_str(&format!("{:0width$}", power.abs())),
            token => shown.extend(token.sign()),
        }
    }
}

/// A condition, as `>=100`; colours and the like are none.
fn condition(text: &str) -> Option<(Comparison, f64)> {
    let signs = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<>", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    let (rest, comparison) =
        signs.into_iter().find_map(|(sign, comparison)| Some((text.strip_prefix(sign)?, comparison)))?;
    Some((comparison, rest.trim().parse().ok()?))
}

/// Whether a language, as `409`, is English, or that of the reader's system.
fn is_english_language(language: &str) -> bool {
    let Ok(language) = u32::from_str_radix(language.split(',').next().unwrap_or_default(), 16) else { return true };
    // The upper bits are those of calendars and digits; the lower ten bits of a language are the same in all countries.
    let (calendar, language) = (language >> 16, language & 0x3FF);
    calendar == 0 && matches!(language, 0 | 9)
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    fn shown(code: &str, value: f64) -> String {
        NumberFormat::parse(code).and_then(|format| format.number(value)).unwrap_or_else(|| "unknown".to_owned())
    }

    fn time(code: &str, value: f64) -> String {
        let kind = ExcelDateTimeType::DateTime;
        let time = ExcelDateTime::new(value, kind, false);
        NumberFormat::parse(code).and_then(|format| format.time(&time)).unwrap_or_else(|| "unknown".to_owned())
    }

    #[test]
    fn numbers_are_shown_by_their_format() {
        for (code, value, text) in [
            ("0%", 0.5, "50%"),
            ("0.00%", 0.075, "7.50%"),
            ("0.0%", -0.1234, "-12.3%"),
            ("0", 0.4, "0"),
            ("0", -0.4, "0"),
            ("0.00", 1.005, "1.01"),
            ("#,##0", 1_234_567.0, "1,234,567"),
            ("#,##0", 12.0, "12"),
            ("#,##0.00", 0.5, "0.50"),
            ("#,##0.00", -1234.5, "-1,234.50"),
            ("#,##0.00;(#,##0.00)", -1234.5, "(1,234.50)"),
            ("#,##0;[Red]-#,##0", -1234.0, "-1,234"),
            ("0;-0;\"none\"", 0.0, "none"),
            ("0.0#", 2.0, "2.0"),
            ("0.##", 2.0, "2"),
            (".00", 0.5, ".50"),
            ("#,##0.00 [$€-407]", 19.9, "19.90 €"),
            ("\"$\"#,##0.00", 5.0, "$5.00"),
            ("0.0,,\" M\"", 12_345_678.0, "12.3 M"),
            ("000-0000", 5_551_234.0, "555-1234"),
            ("00000", 42.0, "00042"),
            ("0.00E+00", 12_345.0, "1.23E+04"),
            ("0.0E+00", 9.99, "1.0E+01"),
            ("##0.0E+0", 0.000_123, "123.0E-6"),
            ("General\" kg\"", 2.5, "2.5 kg"),
            ("[>=1000]0.0,\" k\";0", 2500.0, "2.5 k"),
            ("[>=1000]0.0,\" k\";0", 12.0, "12"),
            ("0;-0;;@", 0.0, ""),
            ("# ?/?", 0.5, "unknown"),
            ("0", 1e300, "unknown"),
        ] {
            assert_eq!(shown(code, value), text, "{code} of {value}");
        }
        assert_eq!(shown("_-* #,##0.00_-;-* #,##0.00_-", 7.0).trim(), "7.00");
        assert!(NumberFormat::parse("General").is_none());
        assert!(NumberFormat::parse(&"0".repeat(300)).is_none());
    }

    #[test]
    fn dates_are_shown_by_their_format() {
        // Sunday, 2 November 2025, 14:30:05.
        let value = 45_963.0 + (14.0 * 3600.0 + 30.0 * 60.0 + 5.0) / 86_400.0;
        for (code, text) in [
            ("yyyy-mm-dd", "2025-11-02"),
            ("dd.mm.yyyy", "02.11.2025"),
            ("d/m/yy", "2/11/2025"),
            ("d mmmm yyyy", "2 November 2025"),
            ("ddd, d-mmm-yy", "Sun, 2-Nov-2025"),
            ("[$-409]mmm yy", "Nov 2025"),
            ("h:mm", "14:30"),
            ("hh:mm:ss AM/PM", "02:30:05 PM"),
            ("mm:ss", "30:05"),
            ("yyyy-mm-dd\\Thh:mm", "2025-11-02T14:30"),
            ("dd\"th of\" mmmm", "02th of November"),
            ("[$-407]d. mmmm yyyy", "unknown"),
            ("[$-407]dd.mm.yyyy", "02.11.2025"),
            ("[h]:mm:ss", "1103126:30:05"),
            ("ggge", "unknown"),
        ] {
            assert_eq!(time(code, value), text, "{code}");
        }
        assert_eq!(time("[h]:mm", 1.5), "36:00");
        assert_eq!(time("[mm]:ss", 0.0625), "90:00");
        assert_eq!(time("ss.00", 0.5 / 86_400.0), "00.50");
    }
}
