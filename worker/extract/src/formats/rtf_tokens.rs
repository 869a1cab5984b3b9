//! The tokens of Rich Text Format: groups, bytes of text and control words.

/// The longest name of a control word.
const MAX_WORD_BYTES: usize = 40;
/// The most digits of a number behind a control word, with its sign.
const MAX_DIGITS: usize = 12;

/// A token; line breaks between tokens are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// The begin of a group.
    Open,
    /// The end of a group.
    Close,
    /// A byte of text, in the encoding of the group.
    Byte(u8),
    /// A backslash and a character that is no letter, if the two are no byte of text.
    Symbol(u8),
    /// A control word, and the number behind it.
    Word(&'a str, Option<i64>),
}

/// The tokens of a file.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The bytes behind the last token.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The token behind a backslash; `None`: there is none, or binary data that is no text.
    fn control(&mut self) -> Option<Token<'a>> {
        let first = self.peek()?;
        if first.is_ascii_alphabetic() {
            return self.word();
        }
        self.at += 1;
        match first {
            b'\'' => self.hexadecimal().map(Token::Byte),
            b'\\' | b'{' | b'}' => Some(Token::Byte(first)),
            _ => Some(Token::Symbol(first)),
        }
    }

    /// A byte in two digits; other characters behind the apostrophe are text.
    fn hexadecimal(&mut self) -> Option<u8> {
        let digits = std::str::from_utf8(self.bytes.get(self.at..self.at + 2)?).ok()?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        self.at += 2;
        Some(byte)
    }

    fn word(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) && self.at - start < MAX_WORD_BYTES {
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let digits = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) && self.at - digits < MAX_DIGITS {
            self.at += 1;
        }
        let number =
            std::str::from_utf8(&self.bytes[digits..self.at]).ok().and_then(|digits| digits.parse::<i64>().ok());
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        if word == "bin" {
            self.at = self.at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0)).min(self.bytes.len());
            return None;
        }
        Some(Token::Word(word, number))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'{' => return Some(Token::Open),
                b'}' => return Some(Token::Close),
                b'\\' => {
                    if let Some(token) = self.control() {
                        return Some(token);
                    }
                }
                b'\r' | b'\n' | 0 => {}
                byte => return Some(Token::Byte(byte)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_symbols_and_bytes_are_distinguished() {
        let file = br"{\rtf1 a\'e4\'zz\{\~\fs-24\bin3 xyz\par}";
        let expected = [
            Token::Open,
            Token::Word("rtf", Some(1)),
            Token::Byte(b'a'),
            Token::Byte(0xE4),
            Token::Byte(b'z'),
            Token::Byte(b'z'),
            Token::Byte(b'{'),
            Token::Symbol(b'~'),
            Token::Word("fs", Some(-24)),
            Token::Word("par", None),
            Token::Close,
        ];
        assert_eq!(Tokens::new(file).collect::<Vec<_>>(), expected);
        assert_eq!(Tokens::new(b"\\\r\n\0\\bin9 x").collect::<Vec<_>>(), [Token::Symbol(b'\r')]);
        assert_eq!(Tokens::new(b"x\\").collect::<Vec<_>>(), [Token::Byte(b'x')]);
    }
}
