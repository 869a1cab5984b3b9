//! Words and numbers of charts and diagrams in files of Office Open XML.

use calamine::{ExcelDateTime, ExcelDateTimeType};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::decimal::decimal;
use super::markup::{append_text, malformed};
use super::number_format::NumberFormat;
use crate::FileError;

/// Longest format of a list of numbers that is read.
const MAX_FORMAT_BYTES: usize = 1024;

/// Titles, names of series, categories and numbers in their order; numbers as their list's format shows them.
pub(super) fn words(xml: &str) -> Result<String, FileError> {
    let mut reader = Reader::from_str(xml);
    let mut words: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    let (mut in_numbers, mut format) = (false, None);
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "v" | "t" | "formatCode" => open = Some(String::new()),
                "numCache" | "numLit" => (in_numbers, format) = (true, None),
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                "formatCode" => {
                    let code = open.take().unwrap_or_default();
                    format = if code.len() > MAX_FORMAT_BYTES { None } else { NumberFormat::parse(&code) };
                }
                "v" if in_numbers => words.extend(open.take().map(|value| number(value, format.as_ref()))),
                "v" | "t" => words.extend(open.take()),
                "numCache" | "numLit" => in_numbers = false,
                _ => {}
            },
            Event::Eof => {
                words.retain(|word| !word.trim().is_empty());
                return Ok(words.join(" "));
            }
            event => {
                if let Some(text) = &mut open {
                    append_text(text, &event);
                }
            }
        }
    }
}

fn number(value: String, format: Option<&NumberFormat>) -> String {
    let Ok(number) = value.trim().parse::<f64>() else { return value };
    let as_date = |format: &NumberFormat| format.time(&ExcelDateTime::new(number, ExcelDateTimeType::DateTime, false));
    let shown = format.and_then(|format| format.number(number).or_else(|| as_date(format)));
    shown.unwrap_or_else(|| decimal(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_charts_are_shown_by_their_format() {
        let xml = "<c:chart><c:title><a:t>Sales &amp; more</a:t></c:title><c:cat><c:strCache><c:pt><c:v>2025</c:v></c:pt></c:strCache>\
             <c:numCache><c:formatCode>mmm yyyy</c:formatCode><c:pt><c:v>45963</c:v></c:pt></c:numCache></c:cat>\
             <c:numCache><c:formatCode>0.0%</c:formatCode><c:pt><c:v>0.125</c:v></c:pt></c:numCache>\
             <c:numCache><c:formatCode>General</c:formatCode><c:pt><c:v>8.1999999999999993</c:v></c:pt><c:pt><c:v/></c:pt></c:numCache>\
             </c:chart>";
        assert_eq!(words(xml), Ok("Sales & more 2025 Nov 2025 12.5% 8.2".to_owned()));
    }
}
