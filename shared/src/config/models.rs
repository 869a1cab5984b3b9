//! The file of further embedding models: a list of objects with the settings of `NVISY_EMBEDDING_*`, without the prefix and in
//! lower case.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use super::{EmbeddingConfig, LayeredSettings};

/// The variable that names the file.
const FILE: &str = "NVISY_EMBEDDING_MODELS_FILE";
/// The prefix of the settings of a model.
const PREFIX: &str = "NVISY_EMBEDDING_";

/// Reads the models. Adds every mistake to `mistakes`.
pub(super) fn read(path: &Path, mistakes: &mut Vec<String>) -> Vec<EmbeddingConfig> {
    let shown = path.display();
    let models = match fs::read(path).map(|text| serde_json::from_slice::<Vec<Map<String, Value>>>(&text)) {
        Ok(Ok(models)) => models,
        Ok(Err(error)) => {
            // The position only: the text may contain a key.
            let (line, column) = (error.line(), error.column());
            mistakes.push(format!(
                "{FILE} names {shown}, which is not a JSON list of objects (line {line}, column {column})"
            ));
            return Vec::new();
        }
        Err(error) => {
            mistakes.push(format!("{FILE} names {shown}, which cannot be read: {error}"));
            return Vec::new();
        }
    };
    let models = models.iter().enumerate();
    models.filter_map(|(index, model)| parse(model, &format!("{FILE}, model {}", index + 1), mistakes)).collect()
}

/// Parses a model as if its settings were variables.
fn parse(model: &Map<String, Value>, place: &str, mistakes: &mut Vec<String>) -> Option<EmbeddingConfig> {
    let before = mistakes.len();
    let mut variables = Vec::new();
    for (key, value) in model {
        match value {
            _ if key == "models_file" => mistakes.push(format!("{place}: `models_file` is not a setting of a model")),
            Value::String(text) => variables.push((name(key), text.clone())),
            Value::Number(_) | Value::Bool(_) => variables.push((name(key), value.to_string())),
            _ => mistakes.push(format!("{place}: `{key}` has a value that is no text, number, true or false")),
        }
    }
    match LayeredSettings::from_variables(variables).check() {
        Ok(config) if mistakes.len() == before => Some(config.embedding),
        Ok(_) => None,
        Err(error) => {
            mistakes.extend(error.0.iter().map(|mistake| format!("{place}: {mistake}")));
            None
        }
    }
}

fn name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, EmbeddingProvider};

    fn with(json: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("models.json");
        std::fs::write(&path, json).unwrap();
        let file = ("NVISY_EMBEDDING_MODELS_FILE".to_owned(), path.to_str().unwrap().to_owned());
        Config::from_variables([file]).map_err(|error| error.to_string())
    }

    #[test]
    fn models_have_the_settings_and_defaults_of_the_variables() {
        let json = r#"[
            {"provider": "openai", "url": "http://models/v1", "model": "large", "dimensions": 3072, "api_key": "sk-1",
             "request_dimensions": true, "query_prefix": "query: "},
            {"directory": "/models/small", "threads": 2}
        ]"#;
        let [large, small] = &with(json).unwrap().embedding.models[..] else { panic!("two models") };
        assert_eq!((large.model.as_deref(), large.dimensions), (Some("large"), Some(3072)));
        assert_eq!((large.request_dimensions, large.concurrency, &*large.query_prefix), (true, 4, "query: "));
        assert_eq!(large.api_key.as_ref().unwrap().expose(), "sk-1");
        assert_eq!((small.provider, small.threads), (EmbeddingProvider::Local, 2));
    }

    #[test]
    fn mistakes_name_the_model_and_hide_values() {
        let json = r#"[
            {"provider": "openai", "model": "large", "api_key": ["hunter2"], "treads": 1},
            {"directory": "small", "models_file": "x", "threads": 5000}
        ]"#;
        let error = with(json).unwrap_err();
        for sentence in [
            "MODELS_FILE, model 1: `api_key` has a value that is no text",
            "model 1: NVISY_EMBEDDING_TREADS is not a setting",
            "model 1: NVISY_EMBEDDING_URL must be set",
            "model 2: `models_file` is not a setting of a model",
            "model 2: NVISY_EMBEDDING_THREADS has a value that is not between",
        ] {
            assert!(error.contains(sentence), "{sentence}: {error}");
        }
        for broken in [r#"{"model": "hunter2"}"#, r#"["hunter2"]"#, "[hunter2"] {
            let error = with(broken).unwrap_err();
            assert!(
                error.contains("which is not a JSON list of objects (line 1") && !error.contains("hunter2"),
                "{error}"
            );
        }
        let missing = [("NVISY_EMBEDDING_MODELS_FILE".to_owned(), "/nowhere/models.json".to_owned())];
        let error = Config::from_variables(missing).unwrap_err().to_string();
        assert!(
            error.starts_with("NVISY_EMBEDDING_MODELS_FILE names /nowhere/models.json, which cannot be read"),
            "{error}"
        );
    }
}
