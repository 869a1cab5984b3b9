//! Topics of TREC: `<top>` elements with `<num>` and `<title>`, or lines of an id, a tab and a query.

use super::imported::{Import, Place, Problems};

/// The text that some files have before a value.
const LABELS: [&str; 2] = ["Number:", "Topic:"];

pub fn read(text: &str, import: &mut Import, problems: &mut Problems) {
    if text.contains("<top>") {
        read_elements(text, import, problems);
    } else {
        read_lines(text, import, problems);
    }
}

fn place(line: usize) -> Place {
    Place { field: "topics", line }
}

fn read_lines(text: &str, import: &mut Import, problems: &mut Problems) {
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_once('\t') {
            Some((id, query)) => import.add_query(place(number + 1), Some(id.trim()), query, problems),
            None => problems.add(place(number + 1), "must be `<top>`, or an id, a tab and a query"),
        }
    }
}

/// A topic that is being read.
struct Topic {
    /// The line of `<top>`.
    line: usize,
    number: String,
    title: String,
    /// The element that further lines belong to.
    element: Element,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Number,
    Title,
    Other,
}

impl Topic {
    const fn new(line: usize) -> Self {
        Self { line, number: String::new(), title: String::new(), element: Element::Other }
    }

    fn add(&mut self, line: &str) {
        let mut text = line.trim();
        if let Some(rest) = text.strip_prefix('<')
            && let Some((name, rest)) = rest.split_once('>')
        {
            self.element = match name {
                "num" => Element::Number,
                "title" => Element::Title,
                _ => Element::Other,
            };
            text = rest.trim();
        }
        // Newer files close their elements.
        let (text, is_closed) = match text.split_once("</") {
            Some((text, _)) => (text, true),
            None => (text, false),
        };
        let text = LABELS.iter().find_map(|label| text.strip_prefix(label)).unwrap_or(text).trim();
        let value = match self.element {
            Element::Number => &mut self.number,
            Element::Title => &mut self.title,
            Element::Other => return,
        };
        if !value.is_empty() && !text.is_empty() {
            value.push(' ');
        }
        value.push_str(text);
        if is_closed {
            self.element = Element::Other;
        }
    }
}

fn read_elements(text: &str, import: &mut Import, problems: &mut Problems) {
    let mut topic: Option<Topic> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.trim(), &mut topic) {
            ("<top>", None) => topic = Some(Topic::new(number + 1)),
            ("<top>", Some(open)) => {
                problems.add(place(open.line), "the topic has no `</top>`");
                topic = Some(Topic::new(number + 1));
            }
            ("</top>", open) => match open.take() {
                None => problems.add(place(number + 1), "there is no `<top>` before"),
                Some(topic) if topic.number.is_empty() => {
                    problems.add(place(topic.line), "the topic has no `<num>`");
                }
                Some(topic) if topic.title.is_empty() => {
                    problems.add(place(topic.line), "the topic has no `<title>`");
                }
                Some(topic) => import.add_query(place(topic.line), Some(&topic.number), &topic.title, problems),
            },
            (line, Some(open)) => open.add(line),
            // Comments, and elements around all topics.
            (_, None) => {}
        }
    }
    if let Some(open) = topic {
        problems.add(place(open.line), "the topic has no `</top>`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(text: &str) -> Vec<(String, String)> {
        let (mut import, mut problems) = (Import::default(), Problems::default());
        read(text, &mut import, &mut problems);
        problems.check().unwrap();
        import.queries.into_iter().map(|query| (query.external_id.unwrap(), query.text)).collect()
    }

    fn error(text: &str) -> String {
        let (mut import, mut problems) = (Import::default(), Problems::default());
        read(text, &mut import, &mut problems);
        problems.check().unwrap_err().to_json()["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn topics_of_old_and_new_files_are_read() {
        let old = "<top>\n<num> Number: 301 \n<title> International\nOrganized Crime \n\n<desc> Description: \nIdentify it.\n\n</top>\n";
        let new = "<top>\n<num>302</num>\n<title>Poliomyelitis</title>\n<desc>Is it under control?</desc>\n</top>\n";
        let read = queries(&format!("{old}\n{new}"));
        let expected = [("301", "International Organized Crime"), ("302", "Poliomyelitis")];
        assert_eq!(read, expected.map(|(id, text)| (id.to_owned(), text.to_owned())));
    }

    #[test]
    fn lines_with_tabs_are_read() {
        assert_eq!(
            queries("7\twhen is the tide\r\n\n8\twhere\n"),
            [("7".to_owned(), "when is the tide".to_owned()), ("8".to_owned(), "where".to_owned())]
        );
        assert!(error("7 when").starts_with("line 1: "));
    }

    #[test]
    fn incomplete_topics_are_reported_with_their_line() {
        assert_eq!(error("\n<top>\n<num> 1\n</top>"), "line 2: the topic has no `<title>`");
        assert_eq!(error("<top>\n<title> a\n</top>"), "line 1: the topic has no `<num>`");
        assert_eq!(error("<top>\n<num> 1\n<title> a\n"), "line 1: the topic has no `</top>`");
        assert_eq!(error("</top>\n<top>\n<num> 1\n<title> a\n</top>"), "line 1: there is no `<top>` before");
    }
}
