//! Numbers without a format, as spreadsheets show them.

/// Fifteen digits, as spreadsheets show: 0.1 + 0.2 is 0.3. Very large and very small numbers have a power of ten.
pub(super) fn decimal(number: f64) -> String {
    if !number.is_finite() || number == 0.0 {
        return number.to_string();
    }
    if !(1e-5..1e21).contains(&number.abs()) {
        let text = format!("{number:.14E}");
        let (digits, power) = text.split_once('E').unwrap_or((&text, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        return format!("{}E{power:+03}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let digits = (14 - number.abs().log10().floor() as i32).clamp(0, 17) as usize;
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_fifteen_digits_and_extreme_ones_a_power_of_ten() {
        assert_eq!(decimal(0.1 + 0.2), "0.3");
        assert_eq!(decimal(1_234_567.0), "1234567");
        assert_eq!(decimal(-2.5), "-2.5");
        assert_eq!(decimal(1e20), "100000000000000000000");
        assert_eq!(decimal(1.2345678e142), "1.2345678E+142");
        assert_eq!(decimal(-3.5e-12), "-3.5E-12");
        assert_eq!(decimal(1.25e-6), "1.25E-06");
    }
}
