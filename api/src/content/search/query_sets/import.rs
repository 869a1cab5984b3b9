//! Reads queries and judgements from text: JSON lines, and the files of TREC. Every bad line is reported with its number.

use nvisy_shared::{
    domain::{evaluation::MAX_GRADE, file::MAX_EXTERNAL_ID_CHARS},
    id::FileId,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    imported::{Document, Import, ImportedJudgement, Place, Problems, QueryReference},
    qrels, topics,
};
use crate::{http::validation::line, problem::Problem};

/// The texts of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportTexts<'a> {
    pub jsonl: &'a str,
    pub topics: &'a str,
    pub qrels: &'a str,
}

/// Reads all texts; 422 with the numbers of bad lines.
pub fn read(texts: ImportTexts<'_>) -> Result<Import, Problem> {
    let (mut import, mut problems) = (Import::default(), Problems::default());
    topics::read(texts.topics, &mut import, &mut problems);
    read_json_lines(texts.jsonl, &mut import, &mut problems);
    qrels::read(texts.qrels, &mut import, &mut problems);
    problems.check()?;
    Ok(import)
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JsonLine {
    id: Option<String>,
    query: String,
    #[serde(default)]
    judgements: Vec<JsonJudgement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JsonJudgement {
    file: Option<Uuid>,
    external_id: Option<String>,
    start: Option<i64>,
    end: Option<i64>,
    grade: i16,
}

impl JsonJudgement {
    fn document(&self) -> Result<Document, &'static str> {
        match (self.file, &self.external_id) {
            (Some(file), None) => Ok(Document::File(FileId(file))),
            (None, Some(id)) if line(1, MAX_EXTERNAL_ID_CHARS)(id, &()).is_ok() => Ok(Document::ExternalId(id.clone())),
            (None, Some(_)) => Err("`externalId` must have 1 to 512 characters"),
            _ => Err("a judgement needs either `file` or `externalId`"),
        }
    }

    fn range(&self) -> Result<Option<(i64, i64)>, &'static str> {
        match (self.start, self.end) {
            (None, None) => Ok(None),
            (Some(start), Some(end)) if 0 <= start && start < end => Ok(Some((start, end))),
            _ => Err("`start` and `end` must be a byte range"),
        }
    }

    fn grade(&self) -> Result<i16, &'static str> {
        if (0..=MAX_GRADE).contains(&self.grade) { Ok(self.grade) } else { Err("`grade` must be 0 to 3") }
    }
}

fn read_json_lines(text: &str, import: &mut Import, problems: &mut Problems) {
    for (number, json) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = Place { field: "jsonl", line: number + 1 };
        let parsed: JsonLine = match serde_json::from_str(json) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = error.to_string();
                problems.add(place, text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message));
                continue;
            }
        };
        let before = import.queries.len();
        import.add_query(place, parsed.id.as_deref(), &parsed.query, problems);
        if import.queries.len() == before {
            continue;
        }
        for judgement in &parsed.judgements {
            match judgement.document().and_then(|found| Ok((found, judgement.range()?, judgement.grade()?))) {
                Err(message) => problems.add(place, message),
                Ok((document, range, grade)) => {
                    let query = QueryReference::Imported(before);
                    import.judgements.push(ImportedJudgement { place, query, document, range, grade });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::imported::{ImportedQuery, MAX_ERRORS},
        *,
    };

    fn errors(texts: ImportTexts<'_>) -> Vec<String> {
        let problem = read(texts).unwrap_err().to_json();
        let errors = problem["errors"].as_array().unwrap().iter();
        errors
            .map(|error| format!("{}: {}", error["field"].as_str().unwrap(), error["message"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn json_lines_have_queries_and_judgements() {
        let file = Uuid::nil();
        let one = json!({ "id": "q1", "query": " When? ", "judgements": [
            { "file": file, "grade": 3, "start": 5, "end": 9 }, { "externalId": "drive/a", "grade": 0 }] });
        let import = read(ImportTexts {
            jsonl: &format!("{one}\r\n\n{}\n", json!({ "query": "Where?" })),
            ..Default::default()
        });
        let import = import.unwrap();
        assert_eq!(import.queries[0], ImportedQuery { external_id: Some("q1".to_owned()), text: "When?".to_owned() });
        assert_eq!(import.queries[1], ImportedQuery { external_id: None, text: "Where?".to_owned() });
        let judgement = &import.judgements[0];
        assert_eq!(
            (judgement.range, judgement.grade, &judgement.document),
            (Some((5, 9)), 3, &Document::File(FileId(file)))
        );
        assert_eq!(import.judgements[1].document, Document::ExternalId("drive/a".to_owned()));
        assert_eq!(import.judgements[1].query, QueryReference::Imported(0));
    }

    #[test]
    fn bad_json_lines_are_reported_with_their_numbers() {
        let jsonl = r#"{"query":"a"}
{"query":
{"query":"a","judgements":[{"externalId":"x","grade":4}]}
{"query":"  "}
{"query":"a","judgements":[{"grade":1},{"externalId":"x","grade":1,"start":9,"end":9}]}
{"query":"a","colour":1}"#;
        let errors = errors(ImportTexts { jsonl, ..Default::default() });
        let lines: Vec<&str> = errors.iter().filter_map(|error| error.split(": ").nth(1)).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5", "line 5", "line 6"], "{errors:?}");
        assert!(errors[5].contains("unknown field `colour`"), "{errors:?}");
    }

    #[test]
    fn problem_lists_the_first_bad_lines_only() {
        assert_eq!(errors(ImportTexts { jsonl: &"x\n".repeat(50), ..Default::default() }).len(), MAX_ERRORS);
    }
}
