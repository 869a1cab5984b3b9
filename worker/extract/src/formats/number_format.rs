//! Number formats of spreadsheets (`#,##0.00 "EUR"`, `0%`, `d mmm yyyy`): how a cell shows its number.
//!
//! Fractions, eras, and names of months in other languages than English are not known: such a cell shows its plain number or ISO date.

use calamine::ExcelDateTime;

use super::number_dates::{DateToken, shown_time};
use super::number_sections::Section;

/// Longest format that Excel accepts; longer ones are damage.
const MAX_FORMAT_CHARS: usize = 255;

/// The formats of dates whose order follows the reader's system: such a date is shown as ISO.
pub(super) const SYSTEM_DATES: [u32; 2] = [14, 22];

/// What a number is by its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Number,
    /// A date, or a time of the day.
    Time,
    Duration,
}

/// A format: for all numbers, or for positive ones, negative ones and zero, or by conditions.
#[derive(Debug)]
pub(super) struct NumberFormat {
    sections: Vec<Section>,
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

    /// What numbers are, by the first section.
    pub(super) fn kind(&self) -> NumberKind {
        match self.sections.first().and_then(|section| section.date.as_ref()) {
            Some(parts) if parts.iter().any(|part| matches!(part, DateToken::Elapsed(..))) => NumberKind::Duration,
            Some(_) => NumberKind::Time,
            None => NumberKind::Number,
        }
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
