//! Judgements of TREC: lines of a topic, an iteration that is not used, a document and a grade. Without the iteration, they are
//! those of BEIR, which may have a header.

use nvisy_shared::domain::{evaluation::MAX_GRADE, file::MAX_EXTERNAL_ID_CHARS};

use super::imported::{Document, Import, ImportedJudgement, Place, Problems, QueryReference};

/// The first word of a header.
const HEADER: &str = "query-id";

pub fn read(text: &str, import: &mut Import, problems: &mut Problems) {
    for (number, line) in text.lines().enumerate() {
        let place = Place { field: "qrels", line: number + 1 };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (query, document, grade) = match fields[..] {
            [] => continue,
            [HEADER, ..] if number == 0 => continue,
            [query, _, document, grade] | [query, document, grade] => (query, document, grade),
            _ => {
                problems.add(place, "must have a topic, an iteration, a document and a grade");
                continue;
            }
        };
        if document.chars().count() > MAX_EXTERNAL_ID_CHARS {
            problems.add(place, format!("the document must have at most {MAX_EXTERNAL_ID_CHARS} characters"));
            continue;
        }
        // Grades below 0 mark spam.
        let Some(grade) = grade.parse::<i16>().ok().filter(|grade| *grade <= MAX_GRADE) else {
            problems.add(place, format!("the grade must be an integer, at most {MAX_GRADE}"));
            continue;
        };
        import.judgements.push(ImportedJudgement {
            place,
            query: QueryReference::ExternalId(query.to_owned()),
            document: Document::Any(document.to_owned()),
            range: None,
            grade: grade.max(0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Import, Problems) {
        let (mut import, mut problems) = (Import::default(), Problems::default());
        read(text, &mut import, &mut problems);
        (import, problems)
    }

    #[test]
    fn lines_of_trec_and_beir_are_read() {
        let (import, problems) = read_all("301 0 FBIS3-10082 1\n301 Q0 drive/a -2\n");
        problems.check().unwrap();
        let read: Vec<_> =
            import.judgements.iter().map(|judgement| (judgement.document.clone(), judgement.grade)).collect();
        assert_eq!(read, [(Document::Any("FBIS3-10082".to_owned()), 1), (Document::Any("drive/a".to_owned()), 0)]);
        let (import, problems) = read_all("query-id\tcorpus-id\tscore\nq1\td1\t3\r\n");
        problems.check().unwrap();
        assert_eq!(import.judgements.len(), 1);
        assert_eq!(import.judgements[0].query, QueryReference::ExternalId("q1".to_owned()));
    }

    #[test]
    fn bad_lines_are_reported_with_their_numbers() {
        let (_, problems) = read_all("301 0 a 1\n301 0\n\n301 0 a 4\n301 0 a high\n");
        let problem = problems.check().unwrap_err().to_json();
        let messages: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|error| error["message"].as_str().unwrap()).collect();
        assert!(messages[0].starts_with("line 2: ") && messages[1].starts_with("line 4: "), "{messages:?}");
        assert!(messages[2].starts_with("line 5: ") && messages.len() == 3, "{messages:?}");
    }
}
