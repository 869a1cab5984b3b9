//! Prompts: files of this crate with a version, or the setting `prompt` of a node.

/// The built-in prompts by node type. The first line is the version, which is the code version of the type.
const PROMPTS: &[(&str, &str)] = &[
    ("extract.json", include_str!("../../../prompts/extract.json.md")),
    ("extract.entities", include_str!("../../../prompts/extract.entities.md")),
    ("extract.keywords", include_str!("../../../prompts/extract.keywords.md")),
    ("classify", include_str!("../../../prompts/classify.md")),
    ("sentiment", include_str!("../../../prompts/sentiment.md")),
    ("relations", include_str!("../../../prompts/relations.md")),
    ("summarize", include_str!("../../../prompts/summarize.md")),
    ("title", include_str!("../../../prompts/title.md")),
    ("contextualize", include_str!("../../../prompts/contextualize.md")),
    ("enrich.table", include_str!("../../../prompts/enrich.table.md")),
    ("enrich.image", include_str!("../../../prompts/enrich.image.md")),
];

/// The placeholder of the text.
const TEXT: &str = "text";

/// A prompt whose placeholders are filled in, but for the text.
#[derive(Clone, Debug)]
pub(super) struct Prompt {
    before: String,
    after: String,
}

impl Prompt {
    /// The prompt of a node type, or the one of its settings. A prompt without the placeholder of the text has it at its end.
    pub(super) fn new(kind: &str, setting: Option<&str>, values: &[(&str, String)]) -> Self {
        let builtin = PROMPTS.iter().find(|(name, _)| *name == kind).map_or("", |(_, file)| body(file));
        let template = setting.unwrap_or(builtin);
        let placeholder = format!("{{{{{TEXT}}}}}");
        let (before, after) = template.split_once(&placeholder).unwrap_or((template, ""));
        let before = fill(before, values);
        let before = if template.contains(&placeholder) { before } else { format!("{}\n\n", before.trim_end()) };
        Self { before, after: fill(after, values) }
    }

    /// The prompt with a text.
    pub(super) fn with(&self, text: &str) -> String {
        format!("{}{text}{}", self.before, self.after).trim_end().to_owned()
    }

    /// The length of the prompt without a text, in bytes.
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// The prompt in a file, below its version.
fn body(file: &str) -> &str {
    file.split_once('\n').map_or("", |(_, body)| body).trim()
}

/// Replaces placeholders in one pass, so that a value which looks like one stays.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| {
            let value = values.iter().find(|(known, _)| *known == name.trim())?;
            Some((value.1.as_str(), after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use nvisy_shared::pipeline::node::node_types;
    use sha2::{Digest, Sha256};

    use super::*;

    /// The version and the hash of each prompt: answers that are kept are asked for again only when the version rises.
    const HASHES: &[(&str, u32, &str)] = &[
        ("extract.json", 1, "22bb198d"),
        ("extract.entities", 1, "3bbdf4fe"),
        ("extract.keywords", 1, "2c53913c"),
        ("classify", 1, "dd39dcbc"),
        ("sentiment", 1, "467101fb"),
        ("relations", 1, "f148fe31"),
        ("summarize", 1, "8ff8f085"),
        ("title", 1, "d021cf4d"),
        ("contextualize", 1, "ac61fd84"),
        ("enrich.table", 1, "5c3c1a66"),
        ("enrich.image", 1, "7bdf6c04"),
    ];

    #[test]
    fn changed_prompt_has_another_version_which_is_the_code_version() {
        let types = node_types();
        let found: Vec<_> = PROMPTS
            .iter()
            .map(|(kind, file)| {
                let version = file.strip_prefix("version: ").and_then(|rest| rest.lines().next()?.parse().ok());
                let code_version = types.iter().find(|of| of.name == *kind).map(|of| of.code_version);
                assert_eq!(version, code_version, "{kind}: raise `CODE_VERSION` with the version of the prompt");
                (*kind, version.unwrap_or_default(), hex::encode(&Sha256::digest(body(file).as_bytes())[..4]))
            })
            .collect();
        let expected: Vec<_> =
            HASHES.iter().map(|(kind, version, hash)| (*kind, *version, (*hash).to_owned())).collect();
        assert_eq!(
            expected, found,
            "a prompt has changed: raise its version and the code version, and enter the hash here"
        );
    }

    #[test]
    fn placeholders_are_filled_once() {
        let values = [("labels", "a {{text}} b".to_owned()), ("max", "3".to_owned())];
        let prompt = Prompt::new("none", Some("{{labels}}, {{ max }}, {{other}}: {{text}}!"), &values);
        assert_eq!(prompt.with("words {{max}}"), "a {{text}} b, 3, {{other}}: words {{max}}!");
        assert_eq!(Prompt::new("none", Some("Sum up."), &[]).with("words"), "Sum up.\n\nwords");
        assert!(Prompt::new("title", None, &[("maxWords", "7".to_owned())]).with("words").contains("at most 7 words"));
    }
}
