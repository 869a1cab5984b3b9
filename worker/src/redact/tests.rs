use Identifier as I;

use super::*;

fn find(identifiers: &[Identifier], text: &str) -> Vec<String> {
    let finder = Finder::new(identifiers.iter().copied(), &[]).unwrap();
    finder.find(text, Vec::new()).into_iter().map(|found| text[found.bytes].to_owned()).collect()
}

/// Valid ones, from the documentation of the authorities and of public test data, and ones with another last character.
#[test]
fn identifiers_are_found_by_format_and_checksum() {
    let valid: &[(Identifier, &[&str])] = &[
        (I::Email, &["ada@example.org", "o'brien+tag@mail.example.co.uk", "A.B_c@EXAMPLE.ORG"]),
        (
            I::Phone,
            &["+49 30 901820", "0049 (30) 901820-12", "030 901820", "(555) 123-4567", "555-234-5678", "0171/1234567"],
        ),
        (I::Iban, &["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "fr14 2004 1010 0505 0001 3m02 606"]),
        (I::Card, &["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3782 822463 10005"]),
        (I::IpAddress, &["192.168.0.1", "2001:db8::8a2e:370:7334", "::1"]),
        (I::MacAddress, &["00:1B:44:11:3a:b7", "00-1B-44-11-3A-B7"]),
        (I::UsSsn, &["536-22-8726"]),
        (I::UkNhs, &["943 476 5919", "9434765919"]),
        (I::UkNino, &["AB 12 34 56 C", "AB123456C"]),
        (I::DeTaxId, &["86095742719", "65 929 970 489", "47036892816"]),
        (I::AtSvnr, &["1237 010180"]),
        (I::ChAhv, &["756.9217.0769.85"]),
        (I::FrNir, &["2 55 08 14 168 025 38", "255081416802538"]),
        (I::EsDni, &["12345678Z", "X1234567L", "12.345.678-Z"]),
        (I::ItCodiceFiscale, &["RSSMRA85T10A562S", "MRTMTT25D09F205Z"]),
        (I::NlBsn, &["111222333", "123456782"]),
        (I::BeNationalNumber, &["85.07.30-033.28"]),
        (I::PlPesel, &["44051401359"]),
        (I::PtNif, &["123456789", "501964843"]),
        (I::SePersonnummer, &["811218-9876", "19811218-9876", "198112189876"]),
        (I::FiHetu, &["131052-308T", "131052A308T"]),
        (I::BrCpf, &["529.982.247-25", "52998224725"]),
        (I::InAadhaar, &["2341 2341 2346"]),
    ];
    let mut tested: Vec<_> = valid.iter().map(|(identifier, _)| *identifier).collect();
    tested.sort_unstable();
    assert_eq!(
        tested,
        I::ALL.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    for (identifier, numbers) in valid {
        for number in *numbers {
            let text = format!("Grün: {number}, {number}.\n({number}) {number}");
            assert_eq!(find(&[*identifier], &text), [*number; 4], "{identifier:?}");
            // With a letter before it, an address is another one.
            if *identifier == I::Email {
                continue;
            }
            assert_eq!(
                find(&[*identifier], &format!("x{number}")),
                Vec::<String>::new(),
                "{identifier:?} within a word"
            );
        }
    }
}

#[test]
fn numbers_with_another_check_digit_are_none() {
    let checked: &[(Identifier, &str)] = &[
        (I::Iban, "DE89 3704 0044 0532 0130 01"),
        (I::Card, "4111 1111 1111 1112"),
        (I::UkNhs, "943 476 5918"),
        (I::DeTaxId, "86095742718"),
        (I::DeTaxId, "01234567899"),
        (I::AtSvnr, "1238 010180"),
        (I::ChAhv, "756.9217.0769.84"),
        (I::FrNir, "2 55 08 14 168 025 39"),
        (I::EsDni, "12345678A"),
        (I::ItCodiceFiscale, "RSSMRA85T10A562T"),
        (I::NlBsn, "111222334"),
        (I::BeNationalNumber, "85.07.30-033.29"),
        (I::PlPesel, "44051401358"),
        (I::PtNif, "123456788"),
        (I::SePersonnummer, "811218-9877"),
        (I::FiHetu, "131052-308U"),
        (I::BrCpf, "529.982.247-26"),
        (I::InAadhaar, "2341 2341 2347"),
        (I::UsSsn, "666-12-3456"),
        (I::IpAddress, "1.2.3.4.5"),
        (I::IpAddress, "300.1.1.1"),
        (I::IpAddress, "12:30:45"),
        (I::Phone, "01-02-2020"),
        (I::Phone, "2020-01-02"),
        (I::Email, "ada@localhost"),
    ];
    for (identifier, number) in checked {
        assert_eq!(find(&[*identifier], number), Vec::<String>::new(), "{identifier:?}");
    }
}

#[test]
fn identifier_among_other_numbers_is_found() {
    assert_eq!(find(&[I::Card], "12 4111 1111 1111 1111 12"), ["4111 1111 1111 1111"]);
    assert_eq!(find(&[I::Iban], "IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF"), ["DE89 3704 0044 0532 0130 00"]);
    assert_eq!(find(&[I::UkNhs], "111 943 476 5919 222"), ["943 476 5919"]);
    assert_eq!(find(&[I::Email], "<ada@example.org>; bob@example.org."), ["ada@example.org", "bob@example.org"]);
}

#[test]
fn overlapping_passages_are_one() {
    let patterns = [
        Pattern { name: "word".to_owned(), pattern: "one two".to_owned() },
        Pattern { name: "next".to_owned(), pattern: "two three".to_owned() },
    ];
    let finder = Finder::new([], &patterns).unwrap();
    let other = Found { bytes: 4..5, kind: "OTHER".to_owned() };
    let found = finder.find("one two three four", vec![other]);
    assert_eq!(found, [Found { bytes: 0..13, kind: "WORD".to_owned() }]);
}

#[test]
fn long_text_takes_linear_time() {
    let text = "4111 1111 1111 1112 86095742718 1.2.3.4.5 a@b ".repeat(20_000);
    let started = std::time::Instant::now();
    assert_eq!(find(I::ALL, &text).len(), 0);
    let took = started.elapsed();
    assert!(took.as_secs() < 60, "{took:?} for {} bytes", text.len());
}
