//! `source.connection`: the objects of a system behind a connection, kept in step.

use json_schema::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    model_options::EXAMPLE_CONNECTION,
    source_files::{Missed, Schedule},
    spec::{Cost, Group, NodeSpec},
};
use crate::{
    clock,
    id::ConnectionId,
    pipeline::{
        port::{Flow, Ports},
        problem::{NodeProblems, ProblemCode},
    },
};

/// Maximum number of patterns.
const MAX_PATTERNS: usize = 100;
/// Maximum length of a pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_000;
/// Maximum number of media types.
const MAX_MEDIA_TYPES: usize = 100;
/// The largest limit of an object's size.
const MAX_BYTES: u64 = 1 << 40;
/// The longest jitter: a day.
const MAX_JITTER_SECONDS: u32 = 86_400;

/// Settings of `source.connection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceConnection {
    /// The id of the connection.
    #[schemars(with = "String")]
    pub connection: ConnectionId,
    /// The part of the system, as `discover` returns it; absent: all. Of stores of objects: `path`, a folder.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub stream: Map<String, Value>,
    /// Patterns such as `**/*.pdf`, of which an object's path must match one; absent: any path.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Patterns of which an object's path must match none.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The largest size of an object, in bytes; larger ones fail with `too_large`. Absent: the limit of uploads.
    #[schemars(range(min = 1, max = 1099511627776u64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Media types such as `application/pdf` or `text/*`, of which an object must have one: that which the system names, otherwise that
    /// of its extension. Absent: any type.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_types: Vec<String>,
    /// What a sync lists.
    #[serde(default)]
    pub mode: SyncMode,
    /// What happens to files whose objects are gone.
    #[serde(default)]
    pub deletions: Deletions,
    /// Whether a listing without any object deletes all files. Otherwise it fails the sync, because it rather shows a mistake.
    #[serde(default)]
    pub allow_empty: bool,
    /// The times of syncs; absent: on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Up to this long after its time a scheduled sync begins, each pipeline after another part of it.
    #[schemars(range(min = 0, max = 86400))]
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// What a sync lists. Unchanged objects are read in no mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// All objects, so that deleted ones are found.
    #[default]
    Full,
    /// What changed since the last sync, where the system can say that; otherwise all objects.
    Incremental,
}

/// What happens to files whose objects are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "json_schema")]
#[serde(rename_all = "snake_case")]
pub enum Deletions {
    /// Nothing.
    Ignore,
    /// They stay, and show that their source has deleted them.
    Mark,
    /// They are deleted, with everything that pipelines have made of them.
    #[default]
    Delete,
}

impl NodeSpec for SourceConnection {
    const TYPE: &'static str = "source.connection";
    const TITLE: &'static str = "Connection";
    const DESCRIPTION: &'static str = "Keeps files in step with the objects of a connection.";
    const GROUP: Group = Group::Source;
    const COST: Cost = Cost::Storage;

    fn connection(&self) -> Option<ConnectionId> {
        Some(self.connection)
    }

    fn ports(&self) -> Ports {
        Ports::source(Flow::Bytes)
    }

    fn validate(&self, problems: &mut NodeProblems<'_>) {
        for (field, patterns) in [("include", &self.include), ("exclude", &self.exclude)] {
            if patterns.len() > MAX_PATTERNS {
                let message = format!("has more than {MAX_PATTERNS} patterns");
                problems.add(ProblemCode::InvalidSetting, field, message, "remove some, or join them as `{a,b}`");
            }
            for (at, pattern) in patterns.iter().enumerate() {
                if let Err(reason) = check_pattern(pattern) {
                    let field = format!("{field}.{at}");
                    problems.add(ProblemCode::InvalidSetting, &field, reason, "write a pattern such as `**/*.pdf`");
                }
            }
        }
        if self.media_types.len() > MAX_MEDIA_TYPES {
            let message = format!("has more than {MAX_MEDIA_TYPES} media types");
            problems.add(
                ProblemCode::InvalidSetting,
                "mediaTypes",
                message,
                "remove some, or name a family as `text/*`",
            );
        }
        for (at, media_type) in self.media_types.iter().enumerate() {
            if !is_media_type(media_type) {
                let (field, message) = (format!("mediaTypes.{at}"), "is no media type".to_owned());
                let remedy = "write one such as `application/pdf`, or a family such as `text/*`";
                problems.add(ProblemCode::InvalidSetting, &field, message, remedy);
            }
        }
        if let Some(bytes) = self.max_bytes.filter(|bytes| !(1..=MAX_BYTES).contains(bytes)) {
            let message = format!("{bytes} is not between 1 and {MAX_BYTES}");
            problems.add(ProblemCode::InvalidSetting, "maxBytes", message, "set another size, or leave it out");
        }
        problems.range("jitterSeconds", self.jitter_seconds, 0, MAX_JITTER_SECONDS);
        if let Some(schedule) = &self.schedule
            && let Err(error) = schedule.next_after(clock::now())
        {
            let remedy =
                "write minute, hour, day of the month, month and day of the week, and a zone such as `Europe/Berlin`";
            problems.add(ProblemCode::InvalidSchedule, "schedule", error.to_string(), remedy);
        }
    }

    fn example() -> Self {
        Self {
            connection: ConnectionId(EXAMPLE_CONNECTION.parse().unwrap_or_default()),
            stream: Map::from_iter([("path".to_owned(), json!("contracts/"))]),
            include: vec!["**/*.{pdf,docx}".to_owned()],
            exclude: vec!["**/archive/**".to_owned()],
            max_bytes: Some(100_000_000),
            media_types: vec!["application/*".to_owned()],
            mode: SyncMode::Full,
            deletions: Deletions::Delete,
            allow_empty: false,
            schedule: Some(Schedule {
                cron: "*/30 * * * *".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
                missed: Missed::Once,
            }),
            jitter_seconds: 60,
        }
    }
}

/// Whether a pattern can be used; the reason if not.
fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("must have 1 to {MAX_PATTERN_BYTES} bytes"));
    }
    glob(pattern).map(drop)
}

/// Whether a text is a media type or a family of them, without parameters.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        (1..=127).contains(&part.len()) && part.chars().all(allowed)
    };
    text.split_once('/').is_some_and(|(family, subtype)| is_token(family) && (subtype == "*" || is_token(subtype)))
}

/// Whether a media type, with or without parameters, is one of these or of one of these families.
#[must_use]
pub fn has_media_type(media_types: &[String], found: &str) -> bool {
    let found = found.split(';').next().unwrap_or_default().trim();
    media_types.iter().any(|wanted| match wanted.strip_suffix("/*") {
        Some(family) => found.split_once('/').is_some_and(|(found, _)| found.eq_ignore_ascii_case(family)),
        None => found.eq_ignore_ascii_case(wanted),
    })
}

/// A pattern of paths: `*` stays within a folder, `**` does not.
///
/// # Errors
/// The reason why it cannot be used.
pub fn glob(pattern: &str) -> Result<globset::Glob, String> {
    let mut builder = globset::GlobBuilder::new(pattern);
    builder.literal_separator(true).build().map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        glob(pattern).unwrap().compile_matcher().is_match(path)
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        let wanted = ["application/pdf".to_owned(), "text/*".to_owned()];
        for found in ["application/pdf", "Application/PDF; version=2", "text/plain;charset=utf-8", "TEXT/csv"] {
            assert!(has_media_type(&wanted, found), "{found}");
        }
        for found in ["application/json", "textual/plain", "application", ""] {
            assert!(!has_media_type(&wanted, found), "{found}");
        }
    }

    #[test]
    fn media_types_have_a_family_and_a_subtype() {
        assert!(["application/pdf", "text/*", "image/svg+xml"].into_iter().all(is_media_type));
        assert!(
            !["pdf", "*/*", "text/", "/plain", "text/plain; charset=utf-8", "a/b/c"].into_iter().any(is_media_type)
        );
    }

    #[test]
    fn star_stays_within_a_folder_and_two_stars_do_not() {
        assert!(matches("**/*.pdf", "a/b/c.pdf") && matches("**/*.pdf", "c.pdf"));
        assert!(matches("docs/*.{pdf,docx}", "docs/a.docx") && !matches("docs/*.pdf", "docs/a/b.pdf"));
        assert!(matches("docs/**", "docs/a/b"));
        assert!(glob("[").is_err());
    }
}
