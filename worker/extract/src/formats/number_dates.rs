//! The part of number formats that shows dates, times and durations.

use calamine::ExcelDateTime;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SECONDS_PER_DAY: f64 = 86_400.0;
/// Longest duration, in seconds, that is shown.
const MAX_SECONDS: f64 = 1e15;

/// A part of a format of dates, with the number of its letters.
#[derive(Debug, PartialEq)]
pub(super) enum DateToken {
    Literal(char),
    Year,
    Month(usize),
    Day(usize),
    Hour(usize),
    Minute(usize),
    Second(usize),
    /// Digits behind the point of seconds.
    Fraction(usize),
    /// Hours, minutes or seconds of a whole duration: the seconds of one.
    Elapsed(i64, usize),
    HalfDay,
    /// An era, or a year of another calendar.
    Unknown,
}

impl DateToken {
    /// Whether it is a word of a language.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Self::Month(3..) | Self::Day(3..))
    }
}

/// The parts of a section of a format that shows a date or a time; `None`: it shows neither.
pub(super) fn date_tokens(code: &str) -> Option<Vec<DateToken>> {
    let mut tokens: Vec<DateToken> = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let letter = c.to_ascii_lowercase();
        let count = rest.chars().take_while(|next| next.eq_ignore_ascii_case(&c)).count();
        // Letters of parts are ASCII.
        let (mut length, token) = match letter {
            'y' => (count, Some(DateToken::Year)),
            'm' => (count, Some(DateToken::Month(count))),
            'd' => (count, Some(DateToken::Day(count))),
            'h' => (count, Some(DateToken::Hour(count))),
            's' => (count, Some(DateToken::Second(count))),
            'b' | 'e' | 'g' => (count, Some(DateToken::Unknown)),
            _ => (c.len_utf8(), None),
        };
        let after = &rest[c.len_utf8()..];
        let token = token.or_else(|| match c {
            '"' => {
                let (words, _) = after.split_once('"').unwrap_or((after, ""));
                length = (1 + words.len() + 1).min(rest.len());
                tokens.extend(words.chars().map(DateToken::Literal));
                None
            }
            '\\' | '_' | '*' => {
                let next = after.chars().next();
                length += next.map_or(0, char::len_utf8);
                let space = (c == '_').then_some(' ');
                space.or(next.filter(|_| c == '\\')).map(DateToken::Literal)
            }
            '[' => {
                let (inner, _) = after.split_once(']').unwrap_or((after, ""));
                length = (1 + inner.len() + 1).min(rest.len());
                elapsed(inner)
            }
            'A' | 'a' => {
                let is_half = |half: &str| rest.get(..half.len()).is_some_and(|word| word.eq_ignore_ascii_case(half));
                let half = ["AM/PM", "A/P"].into_iter().find(|half| is_half(half));
                length = half.map_or(1, str::len);
                Some(half.map_or(DateToken::Literal(c), |_| DateToken::HalfDay))
            }
            '.' if matches!(tokens.last(), Some(DateToken::Second(_) | DateToken::Elapsed(1, _))) => {
                let zeros = after.bytes().take_while(|digit| *digit == b'0').count();
                length += zeros;
                Some(if zeros > 0 { DateToken::Fraction(zeros) } else { DateToken::Literal('.') })
            }
            c => Some(DateToken::Literal(c)),
        });
        tokens.extend(token);
        rest = &rest[length..];
    }
    // An era alone is no part of a date: `General` begins with its letter.
    let shows_time = |token: &DateToken| !matches!(token, DateToken::Literal(_) | DateToken::Unknown);
    let is_number =
        code.contains(['0', '#', '?']) && !tokens.iter().any(|token| matches!(token, DateToken::Fraction(_)));
    let is_general = code.to_ascii_lowercase().contains("general");
    let is_era = tokens.contains(&DateToken::Unknown) && !is_number;
    if is_general || !(tokens.iter().any(shows_time) || is_era) {
        return None;
    }
    with_minutes(&mut tokens);
    Some(tokens)
}

/// Hours, minutes or seconds in brackets; a colour, a condition or a language is none.
fn elapsed(inner: &str) -> Option<DateToken> {
    let first = inner.chars().next()?.to_ascii_lowercase();
    let is_same = inner.chars().all(|c| c.to_ascii_lowercase() == first);
    let seconds = match first {
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    is_same.then_some(DateToken::Elapsed(seconds, inner.len()))
}

/// Makes minutes of months behind hours and before seconds.
fn with_minutes(tokens: &mut [DateToken]) {
    let parts: Vec<usize> =
        (0..tokens.len()).filter(|place| !matches!(tokens[*place], DateToken::Literal(_))).collect();
    for (number, &place) in parts.iter().enumerate() {
        let DateToken::Month(count @ 1..=2) = tokens[place] else { continue };
        let before = number.checked_sub(1).map(|number| &tokens[parts[number]]);
        let after = parts.get(number + 1).map(|&place| &tokens[place]);
        if matches!(before, Some(DateToken::Hour(_) | DateToken::Elapsed(3600, _)))
            || matches!(after, Some(DateToken::Second(_) | DateToken::Elapsed(1, _)))
        {
            tokens[place] = DateToken::Minute(count);
        }
    }
}

/// A date, a time or a duration; years always have four digits. `None`: it is outside of the calendar.
pub(super) fn shown_time(parts: &[DateToken], time: &ExcelDateTime) -> Option<String> {
    let total = time.as_f64() * SECONDS_PER_DAY;
    let is_elapsed = parts.iter().any(|part| matches!(part, DateToken::Elapsed(..)));
    if total.abs() >= MAX_SECONDS || (total < 0.0 && !is_elapsed) {
        return None;
    }
    let places = parts.iter().find_map(|part| match part {
        DateToken::Fraction(places) => Some((*places).min(3)),
        _ => None,
    });
    let (year, month, day, mut hour, mut minute, mut second, mut milli) = time.to_ymd_hms_milli();
    if is_elapsed {
        // The smaller parts are those of the same rounded duration.
        let millis = (total.abs() * 1000.0).round() as u64;
        let millis = if places.is_none() { (millis + 500) / 1000 * 1000 } else { millis };
        let part = |size: u64, of: u64| (millis / size % of) as u8;
        (hour, minute, second) = (part(3_600_000, 24), part(60_000, 60), part(1000, 60));
        milli = (millis % 1000) as u16;
    } else if places.is_none() && milli >= 500 {
        // Binary fractions of a day fall just short of a second.
        let seconds = u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second) + 1;
        if seconds < 86_400 {
            (hour, minute, second) = ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8);
        }
    }
    let whole = (total.abs() + if places.is_none() { 0.5 } else { 0.000_5 }).floor() as i64;
    let has_half = parts.contains(&DateToken::HalfDay);
    let mut shown = if total < 0.0 { "-".to_owned() } else { String::new() };
    for part in parts {
        match part {
            DateToken::Literal(c) => shown.push(*c),
            DateToken::Year => shown.push_str(&format!("{year:04}")),
            DateToken::Month(count) => shown.push_str(&named(&MONTHS, *count, month.checked_sub(1)?, month)?),
            DateToken::Day(count) => shown.push_str(&named(&DAYS, *count, weekday(year, month, day), day)?),
            DateToken::Hour(count) if has_half => shown.push_str(&padded((hour + 11) % 12 + 1, *count)),
            DateToken::Hour(count) => shown.push_str(&padded(hour, *count)),
            DateToken::Minute(count) => shown.push_str(&padded(minute, *count)),
            DateToken::Second(count) => shown.push_str(&padded(second, *count)),
            DateToken::Fraction(_) => {
                let places = places.unwrap_or(0);
                shown.push('.');
                shown.push_str(&format!("{milli:03}")[..places]);
            }
            DateToken::Elapsed(seconds, width) => {
                let (count, width) = (whole / *seconds, *width);
                shown.push_str(&format!("{count:0width$}"));
            }
            DateToken::HalfDay => shown.push_str(if hour < 12 { "AM" } else { "PM" }),
            DateToken::Unknown => return None,
        }
    }
    Some(shown)
}

fn padded(value: u8, count: usize) -> String {
    match count {
        1 => value.to_string(),
        _ => format!("{value:02}"),
    }
}

/// A month or a day: as a number, a short name, a name, or the first letter of a month.
fn named(names: &[&str], count: usize, place: u8, number: u8) -> Option<String> {
    let name = names.get(usize::from(place))?;
    Some(match count {
        1 | 2 => padded(number, count),
        3 => name[..3].to_owned(),
        5 => name[..1].to_owned(),
        _ => (*name).to_owned(),
    })
}

/// The day of the week, from Sunday.
fn weekday(year: u16, month: u8, day: u8) -> u8 {
    const OFFSETS: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let month_offset = OFFSETS.get(usize::from(month).saturating_sub(1)).copied().unwrap_or(0);
    let year = u32::from(year) - u32::from(month < 3 && year > 0);
    ((year + year / 4 - year / 100 + year / 400 + month_offset + u32::from(day)) % 7) as u8
}
