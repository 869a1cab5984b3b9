//! A section of a number format: what it consists of, and how it shows a number.

use super::decimal::decimal;
use super::number_dates::{DateToken, date_tokens};

/// Largest number, and most decimal places, that are written digit by digit.
const MAX_PLAIN: f64 = 1e21;
const MAX_PLACES: usize = 30;

/// A part of a format, for all numbers or some of them.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) condition: Option<(Comparison, f64)>,
    tokens: Vec<Token>,
    /// The same as parts of a date, if it shows one.
    pub(super) date: Option<Vec<DateToken>>,
    /// Whether it shows what is not known here.
    pub(super) is_unknown: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
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

impl Comparison {
    pub(super) fn holds(self, value: f64, to: f64) -> bool {
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

impl Section {
    pub(super) fn parse(code: &str) -> Self {
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

    /// A number as the section shows it; `None`: it is too large for that.
    pub(super) fn number(&self, value: f64, is_signed: bool) -> Option<String> {
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
