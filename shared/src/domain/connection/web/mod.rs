//! Connections to websites, services with JSON over HTTP, and Git repositories.

mod credentials;
mod git;
mod rest;
mod website;

pub use self::{
    credentials::WebCredentials,
    git::{Git, GitSettings, GitStream},
    rest::{Paging, Rest, RestAuth, RestCursor, RestSettings, RestStream},
    website::{Website, WebsiteSettings, WebsiteStream},
};

/// The longest wait for a response where the settings name none, in seconds.
const fn default_timeout() -> u32 {
    30
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::connection::{provider, validate};

    #[test]
    fn settings_of_websites_services_and_repositories_are_checked_by_field() {
        let start = "https://example.org/";
        for (name, settings, credentials, field) in [
            ("website", json!({ "startUrls": [] }), json!({}), "settings.startUrls"),
            ("website", json!({ "startUrls": ["ftp://h/"] }), json!({}), "settings.startUrls.0"),
            ("website", json!({ "startUrls": ["https://u:p@h/"] }), json!({}), "settings.startUrls.0"),
            ("website", json!({ "startUrls": [start], "hosts": ["https://a"] }), json!({}), "settings.hosts.0"),
            ("website", json!({ "startUrls": [start], "hosts": ["*"] }), json!({}), "settings.hosts.0"),
            ("website", json!({ "startUrls": [start], "concurrency": 0 }), json!({}), "settings.concurrency"),
            ("website", json!({ "startUrls": [start] }), json!({ "username": "u" }), "credentials"),
            ("rest", json!({ "baseUrl": "https://h/?a=b" }), json!({ "token": "t" }), "settings.baseUrl"),
            (
                "rest",
                json!({ "baseUrl": "https://h/", "auth": { "type": "header", "name": "a b" } }),
                json!({ "token": "t" }),
                "settings.auth.name",
            ),
            (
                "rest",
                json!({ "baseUrl": "https://h/", "headers": { "Authorization": "x" } }),
                json!({ "token": "t" }),
                "settings.headers.Authorization",
            ),
            ("rest", json!({ "baseUrl": "https://h/" }), json!({ "token": "a\nb" }), "credentials.token"),
            ("git", json!({ "url": "ssh://h/a.git" }), json!({ "token": "t" }), "settings.url"),
            ("git", json!({ "url": "https://h/a.git" }), json!({}), "credentials"),
        ] {
            let problems = validate(name, &settings, Some(&credentials)).unwrap_err();
            assert!(problems.iter().any(|problem| problem.field == field), "{name} {field}: {problems:?}");
        }
    }

    #[test]
    fn address_of_a_website_is_its_first_start() {
        let settings = json!({ "startUrls": ["https://a.example.org/docs/", "https://b.example.org/"] });
        let address = provider("website").unwrap().address(&settings).unwrap();
        assert_eq!((address.field, address.url.as_str()), ("startUrls", "https://a.example.org/docs/"));
    }
}
