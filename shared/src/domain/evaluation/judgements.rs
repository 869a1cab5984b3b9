//! The grades of hits, by the judgements of their query.

use std::collections::BTreeMap;

use crate::id::FileId;

/// A judgement of a file, or of a part of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileJudgement {
    /// The file.
    pub file: FileId,
    /// The byte range; `None`: the whole file.
    pub range: Option<(i64, i64)>,
    /// 0 to [`super::MAX_GRADE`].
    pub grade: i16,
}

/// The grade of a passage: the best one of its file whose range, if it has one, overlaps the passage. `None`: not judged.
#[must_use]
pub fn grade_of(judgements: &[FileJudgement], file: FileId, start: i64, end: i64) -> Option<i16> {
    let applies = |judgement: &&FileJudgement| {
        judgement.file == file && judgement.range.is_none_or(|(from, to)| from < end && start < to)
    };
    judgements.iter().filter(applies).map(|judgement| judgement.grade).max()
}

/// The best grade of each judged file.
#[must_use]
pub fn grades_by_file(judgements: &[FileJudgement]) -> Vec<i16> {
    let mut grades: BTreeMap<FileId, i16> = BTreeMap::new();
    for judgement in judgements {
        let grade = grades.entry(judgement.file).or_default();
        *grade = judgement.grade.max(*grade);
    }
    grades.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passage_has_the_best_grade_that_applies_to_it() {
        let (file, other) = (FileId::new(), FileId::new());
        let judgement = |file, range, grade| FileJudgement { file, range, grade };
        let judgements =
            [judgement(file, Some((100, 200)), 3), judgement(file, Some((0, 50)), 1), judgement(other, None, 0)];
        assert_eq!(grade_of(&judgements, file, 150, 300), Some(3));
        assert_eq!(grade_of(&judgements, file, 0, 101), Some(3));
        assert_eq!(grade_of(&judgements, file, 0, 100), Some(1));
        assert_eq!(grade_of(&judgements, file, 50, 100), None);
        assert_eq!(grade_of(&judgements, other, 5, 6), Some(0));
        assert_eq!(grade_of(&judgements, FileId::new(), 0, 1), None);
        let mut grades = grades_by_file(&judgements);
        grades.sort_unstable();
        assert_eq!(grades, [0, 3]);
    }
}
