//! Values of cells of spreadsheets as they are shown.

use calamine::{CellErrorType, Data, ExcelDateTime};

use super::decimal::decimal;
use super::number_format::NumberFormat;

/// A value as its format shows it.
pub(super) fn formatted(value: &Data, format: Option<&NumberFormat>) -> String {
    let by_format = format.and_then(|format| match value {
        Data::Int(number) => format.number(*number as f64),
        Data::Float(number) => format.number(*number),
        Data::DateTime(time) => format.time(time),
        _ => None,
    });
    by_format.unwrap_or_else(|| shown(value))
}

/// A value without a format, as a person reads it.
fn shown(value: &Data) -> String {
    match value {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::String(text) => text.clone(),
        Data::Bool(value) => boolean(*value).to_owned(),
        Data::DateTime(time) => date_time(time),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(CellErrorType::NA) | Data::Empty => String::new(),
        Data::Error(error) => error.to_string(),
    }
}

pub(super) fn boolean(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

/// The words of an error by its number in XLS and XLSB; a value that is not available has none.
pub(super) fn error(number: u8) -> &'static str {
    match number {
        0x00 => "#NULL!",
        0x07 => "#DIV/0!",
        0x0F => "#VALUE!",
        0x17 => "#REF!",
        0x1D => "#NAME?",
        0x24 => "#NUM!",
        _ => "",
    }
}

/// A number that XLS and XLSB pack into 32 bits: an integer, or the upper half of a float, or a hundred times either.
pub(super) fn packed_number(bits: u32) -> f64 {
    let value = match bits & 2 {
        0 => f64::from_bits(u64::from(bits & !3) << 32),
        // The sign is kept.
        _ => f64::from(bits.cast_signed() >> 2),
    };
    if bits & 1 == 0 { value } else { value / 100.0 }
}

fn date_time(time: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    if time.is_duration() {
        let seconds = (time.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    }
    let clock = match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    if (0.0..1.0).contains(&time.as_f64()) {
        return clock;
    }
    match time.as_f64().fract() == 0.0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{year:04}-{month:02}-{day:02} {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_are_integers_floats_and_hundredths() {
        assert_eq!(packed_number((7 << 2) | 2), 7.0);
        assert_eq!(packed_number(((-1234_i32) << 2).cast_unsigned() | 3), -12.34);
        assert_eq!(packed_number((0.5_f64.to_bits() >> 32) as u32), 0.5);
    }
}
