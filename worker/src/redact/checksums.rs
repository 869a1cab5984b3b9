//! The checksums of identifiers. Each function gets a candidate without white space, hyphens, dots and slashes, in capital letters.

/// The digits of a candidate; none if there are other characters.
fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|letter| letter.to_digit(10)).collect()
}

/// The digits, if there are so many.
fn digits_of<const N: usize>(text: &str) -> Option<[u32; N]> {
    digits(text)?.try_into().ok()
}

/// The sum of digits times their weights.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Whether all digits are equal: placeholders such as `000000000`.
fn is_uniform(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// The Luhn checksum.
fn luhn(digits: &[u32]) -> bool {
    let double = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digits = digits.iter().rev().enumerate();
    digits.map(|(place, digit)| if place % 2 == 1 { double(*digit) } else { *digit }).sum::<u32>() % 10 == 0
}

/// Whether these digits are a month and a day.
fn is_date(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

pub(super) fn card(text: &str) -> bool {
    let Some(digits) = digits(text) else { return false };
    (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]) && !is_uniform(&digits) && luhn(&digits)
}

pub(super) fn iban(text: &str) -> bool {
    text.parse::<iban::Iban>().is_ok()
}

pub(super) fn us_ssn(text: &str) -> bool {
    let Some(digits) = digits_of::<9>(text) else { return false };
    let (area, group, serial) = (&text[..3], &text[3..5], &text[5..]);
    digits[0] != 9 && area != "000" && area != "666" && group != "00" && serial != "0000"
}

pub(super) fn uk_nhs(text: &str) -> bool {
    let Some(digits) = digits_of::<10>(text) else { return false };
    let check = 11 - weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    !is_uniform(&digits) && check % 11 == digits[9] && check != 10
}

pub(super) fn uk_nino(text: &str) -> bool {
    let prefix = &text[..2];
    let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];
    !never.contains(&prefix) && !prefix.contains(['D', 'F', 'I', 'Q', 'U', 'V']) && !prefix.ends_with('O')
}

pub(super) fn de_tax_id(text: &str) -> bool {
    let Some(digits) = digits_of::<11>(text) else { return false };
    // One digit occurs two or three times among the first ten, and no other more than once.
    let count = |wanted: u32| digits[..10].iter().filter(|digit| **digit == wanted).count();
    let repeated: Vec<usize> = (0..10).map(count).filter(|count| *count > 1).collect();
    if digits[0] == 0 || !matches!(repeated.as_slice(), [2 | 3]) {
        return false;
    }
    // ISO 7064, MOD 11, 10.
    let product = digits[..10].iter().fold(10, |product, digit| {
        let sum = match (product + digit) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == digits[10]
}

pub(super) fn at_svnr(text: &str) -> bool {
    let Some(digits) = digits_of::<10>(text) else { return false };
    let rest = [&digits[..3], &digits[4..]].concat();
    let month = digits[6] * 10 + digits[7];
    // Months above 12 are used when the numbers of a day are exhausted.
    let valid = digits[0] != 0 && (1..=15).contains(&month) && is_date(1, digits[4] * 10 + digits[5]);
    valid && weighted(&rest, &[3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11 == digits[3]
}

pub(super) fn ch_ahv(text: &str) -> bool {
    let Some(digits) = digits_of::<13>(text) else { return false };
    let sum = weighted(&digits[..12], &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    text.starts_with("756") && (10 - sum % 10) % 10 == digits[12]
}

pub(super) fn fr_nir(text: &str) -> bool {
    if text.len() != 15 || !text.is_ascii() {
        return false;
    }
    // The departments of Corsica have a letter.
    let number = match &text[5..7] {
        "2A" => text[..13].replacen("2A", "19", 1),
        "2B" => text[..13].replacen("2B", "18", 1),
        _ => text[..13].to_owned(),
    };
    let (Ok(number), Ok(key)) = (number.parse::<u64>(), text[13..].parse::<u64>()) else { return false };
    let first = text.as_bytes()[0];
    matches!(first, b'1'..=b'4' | b'7' | b'8') && 97 - number % 97 == key
}

pub(super) fn es_dni(text: &str) -> bool {
    if text.len() != 9 || !text.is_ascii() {
        return false;
    }
    let number = match text.as_bytes()[0] {
        b'X' => format!("0{}", &text[1..8]),
        b'Y' => format!("1{}", &text[1..8]),
        b'Z' => format!("2{}", &text[1..8]),
        _ => text[..8].to_owned(),
    };
    let Ok(number) = number.parse::<usize>() else { return false };
    b"TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == text.as_bytes()[8]
}

pub(super) fn it_codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let letters = text.as_bytes();
    if letters.len() != 16 || !letters.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    // A digit has the value of the letter at its place.
    let value = |letter: u8| usize::from(if letter.is_ascii_digit() { letter - b'0' } else { letter - b'A' });
    let sum: u32 = letters[..15]
        .iter()
        .enumerate()
        .map(|(place, letter)| if place % 2 == 0 { ODD[value(*letter)] } else { value(*letter) as u32 })
        .sum();
    letters[15].is_ascii_uppercase() && sum % 26 == value(letters[15]) as u32
}

pub(super) fn nl_bsn(text: &str) -> bool {
    let Some(digits) = digits_of::<9>(text) else { return false };
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    !is_uniform(&digits) && sum >= digits[8] && (sum - digits[8]).is_multiple_of(11)
}

pub(super) fn be_national_number(text: &str) -> bool {
    let Some(digits) = digits_of::<11>(text) else { return false };
    let (Ok(number), Ok(key)) = (text[..9].parse::<u64>(), text[9..].parse::<u64>()) else { return false };
    // From 2000 on, a 2 stands before the number.
    let valid = [number, 2_000_000_000 + number].iter().any(|number| 97 - number % 97 == key);
    valid && digits[2] * 10 + digits[3] <= 52 && digits[4] * 10 + digits[5] <= 31
}

pub(super) fn pl_pesel(text: &str) -> bool {
    let Some(digits) = digits_of::<11>(text) else { return false };
    // Centuries add 20 to 80 to the month.
    let month = (digits[2] * 10 + digits[3]) % 20;
    let sum = weighted(&digits[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_date(month, digits[4] * 10 + digits[5]) && (10 - sum % 10) % 10 == digits[10]
}

pub(super) fn pt_nif(text: &str) -> bool {
    let Some(digits) = digits_of::<9>(text) else { return false };
    let check = 11 - weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    !matches!(digits[0], 0 | 4 | 7) && !is_uniform(&digits) && (if check > 9 { 0 } else { check }) == digits[8]
}

pub(super) fn se_personnummer(text: &str) -> bool {
    let text = if text.len() == 12 { &text[2..] } else { text };
    let Some(digits) = digits_of::<10>(text) else { return false };
    // Coordination numbers add 60 to the day.
    let day = digits[4] * 10 + digits[5];
    is_date(digits[2] * 10 + digits[3], if day > 60 { day - 60 } else { day }) && luhn(&digits)
}

pub(super) fn fi_hetu(text: &str) -> bool {
    // The sign of the century, which may be a hyphen, is gone or a letter.
    let signs = if text.len() == 11 { 7 } else { 6 };
    if !(10..=11).contains(&text.len()) || !text.is_ascii() {
        return false;
    }
    let (date, rest) = (&text[..6], &text[signs..]);
    let (Some(digits), Ok(number)) = (digits_of::<6>(date), format!("{date}{}", &rest[..3]).parse::<usize>()) else {
        return false;
    };
    is_date(digits[2] * 10 + digits[3], digits[0] * 10 + digits[1])
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == rest.as_bytes()[3]
}

pub(super) fn br_cpf(text: &str) -> bool {
    let Some(digits) = digits_of::<11>(text) else { return false };
    let check = |count: usize| {
        let weights: Vec<u32> = (2..=count as u32 + 1).rev().collect();
        weighted(&digits[..count], &weights) * 10 % 11 % 10
    };
    !is_uniform(&digits) && check(9) == digits[9] && check(10) == digits[10]
}

/// The Verhoeff checksum.
pub(super) fn in_aadhaar(text: &str) -> bool {
    const PRODUCT: [[usize; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTATION: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let Some(digits) = digits_of::<12>(text) else { return false };
    let permuted = |digit: u32, times: usize| (0..times).fold(digit as usize, |digit, _| PERMUTATION[digit]);
    let check =
        digits.iter().rev().enumerate().fold(0, |check, (place, digit)| PRODUCT[check][permuted(*digit, place % 8)]);
    digits[0] > 1 && check == 0
}
