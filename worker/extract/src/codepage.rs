//! Encodings that browsers do not know: code pages of DOS, EBCDIC, and Korean of seven bits.

use encoding_rs::EUC_KR;

/// Western Europe under DOS, from 0x80 on.
const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}";
/// Central Europe under DOS, from 0x80 on.
const CP852: &str = "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{AD}˝˛ˇ˘§÷¸°¨˙űŘř■\u{A0}";
/// Cyrillic under DOS, from 0x80 on.
const CP855: &str = "ђЂѓЃёЁєЄѕЅіІїЇјЈљЉњЊћЋќЌўЎџЏюЮъЪаАбБцЦдДеЕфФгГ«»░▒▓│┤хХиИ╣║╗╝йЙ┐└┴┬├─┼кК╚╔╩╦╠═╬¤лЛмМнНоОп┘┌█▄Пя▀ЯрРсСтТуУжЖвВьЬ№\u{AD}ыЫзЗшШэЭщЩчЧ§■\u{A0}";
/// America under DOS, from 0x80 on.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";
/// EBCDIC of mainframes (code page 037), from 0 on.
const CP037: &str = "\u{0}\u{1}\u{2}\u{3}\u{9C}\u{9}\u{86}\u{7F}\u{97}\u{8D}\u{8E}\u{B}\u{C}\u{D}\u{E}\u{F}\u{10}\u{11}\u{12}\u{13}\u{9D}\u{85}\u{8}\u{87}\u{18}\u{19}\u{92}\u{8F}\u{1C}\u{1D}\u{1E}\u{1F}\u{80}\u{81}\u{82}\u{83}\u{84}\u{A}\u{17}\u{1B}\u{88}\u{89}\u{8A}\u{8B}\u{8C}\u{5}\u{6}\u{7}\u{90}\u{91}\u{16}\u{93}\u{94}\u{95}\u{96}\u{4}\u{98}\u{99}\u{9A}\u{9B}\u{14}\u{15}\u{9E}\u{1A} \u{A0}âäàáãåçñ¢.<(+|&éêëèíîïìß!$*);¬-/ÂÄÀÁÃÅÇÑ¦,%_>?øÉÊËÈÍÎÏÌ`:#@'=\"Øabcdefghi«»ðýþ±°jklmnopqrªºæ¸Æ¤µ~stuvwxyz¡¿ÐÝÞ®^£¥·©§¶¼½¾[]¯¨´×{ABCDEFGHI\u{AD}ôöòóõ}JKLMNOPQR¹ûüùúÿ\\÷STUVWXYZ²ÔÖÒÓÕ0123456789³ÛÜÙÚ\u{9F}";

/// A code page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodePage {
    Cp437,
    Cp850,
    Cp852,
    Cp855,
    Ebcdic,
}

impl CodePage {
    /// Decodes a text.
    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        let letters: Vec<char> = match self {
            Self::Cp437 => CP437,
            Self::Cp850 => CP850,
            Self::Cp852 => CP852,
            Self::Cp855 => CP855,
            Self::Ebcdic => CP037,
        }
        .chars()
        .collect();
        let letter = |byte: u8| match self {
            Self::Ebcdic => match letters[usize::from(byte)] {
                // The line end of mainframes.
                '\u{85}' => '\n',
                letter => letter,
            },
            _ if byte.is_ascii() => char::from(byte),
            _ => letters[usize::from(byte) - 0x80],
        };
        bytes.iter().map(|&byte| letter(byte)).collect()
    }
}

/// Whether bytes are a text in EBCDIC: most are its letters and spaces, hardly any are letters of ASCII.
pub(crate) fn is_ebcdic(bytes: &[u8]) -> bool {
    let count = |is: fn(u8) -> bool| bytes.iter().filter(|&&byte| is(byte)).count();
    let letters = count(
        |byte| matches!(byte, 0x81..=0x89 | 0x91..=0x99 | 0xA2..=0xA9 | 0xC1..=0xC9 | 0xD1..=0xD9 | 0xE2..=0xE9 | 0xF0..=0xF9),
    );
    let spaces = count(|byte| byte == 0x40);
    let ascii = count(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    bytes.len() >= 16
        && (letters + spaces) * 10 >= bytes.len() * 8
        && spaces * 30 >= bytes.len()
        && ascii * 10 <= bytes.len()
}

/// What announces Korean letters in ISO-2022-KR.
const KOREAN: &[u8] = b"\x1b$)C";

/// Whether bytes are a text in ISO-2022-KR.
pub(crate) fn is_iso_2022_kr(bytes: &[u8]) -> bool {
    bytes.is_ascii() && bytes.windows(KOREAN.len()).take(1024).any(|window| window == KOREAN)
}

/// Decodes a text in ISO-2022-KR, which is EUC-KR whose letters have no upper bit, but signs before and behind them.
pub(crate) fn iso_2022_kr(bytes: &[u8]) -> Option<String> {
    if !is_iso_2022_kr(bytes) {
        return None;
    }
    let mut letters = Vec::with_capacity(bytes.len());
    let mut is_korean = false;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after.strip_prefix(&KOREAN[1..]).filter(|_| byte == KOREAN[0]).unwrap_or(after);
        match byte {
            0x1B if rest.len() < after.len() => {}
            0x0E => is_korean = true,
            0x0F => is_korean = false,
            0x21..=0x7E if is_korean => letters.push(byte | 0x80),
            byte => {
                // A line begins in ASCII.
                is_korean &= byte != b'\n';
                letters.push(byte);
            }
        }
    }
    EUC_KR.decode_without_bom_handling_and_without_replacement(&letters).map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_pages_are_complete() {
        assert_eq!([CP437, CP850, CP852, CP855].map(|page| page.chars().count()), [128; 4]);
        assert_eq!(CP037.chars().count(), 256);
        assert_eq!(CodePage::Cp850.decode(b"Gr\x94\xE1e"), "Größe");
        assert_eq!(CodePage::Cp852.decode(b"\xA6lu\x9Cou\x9Fk\xEC"), "Žluťoučký");
        assert_eq!(CodePage::Cp855.decode(b"\xDD\xE1\xB7\xEB\xA8\xE5"), "Привет");
        let ebcdic =
            [0xC8, 0x85, 0x93, 0x93, 0x96, 0x40, 0xA6, 0x96, 0x99, 0x93, 0x84, 0x15, 0xF1, 0x40, 0xF2, 0x4B, 0x40];
        assert!(is_ebcdic(&ebcdic));
        assert_eq!(CodePage::Ebcdic.decode(&ebcdic), "Hello world\n1 2. ");
        assert!(!is_ebcdic(b"Plain words in plain ASCII."));
    }

    #[test]
    fn korean_of_seven_bits_is_decoded() {
        let text = "ISO 한국어 text\n두 번째 줄";
        let mut bytes = KOREAN.to_vec();
        for line in text.split_inclusive('\n') {
            for word in line.split_inclusive(' ') {
                let (encoded, ..) = EUC_KR.encode(word);
                let is_korean = !encoded.is_ascii();
                let start = encoded.iter().take_while(|byte| !byte.is_ascii()).count();
                if is_korean {
                    bytes.push(0x0E);
                    bytes.extend(encoded[..start].iter().map(|byte| byte & 0x7F));
                    bytes.push(0x0F);
                }
                bytes.extend(&encoded[start..]);
            }
        }
        assert!(is_iso_2022_kr(&bytes) && bytes.contains(&0x0E));
        assert_eq!(iso_2022_kr(&bytes).as_deref(), Some(text));
        assert_eq!(iso_2022_kr(b"plain $)C"), None);
    }
}
