//! The one place where slices are mounted.

use apistos::web::{ServiceConfig, scope};

use crate::{
    accounts, activities, events, files, health, invites, mail, members, search, sessions, tokens, totp, usage,
    workspaces,
};

/// Everything that stands in the OpenAPI document.
pub fn mount(config: &mut ServiceConfig) {
    config.configure(health::routes);
    config.service(
        scope("/api/v1")
            .configure(accounts::routes)
            .configure(mail::routes)
            .configure(sessions::routes)
            .configure(totp::routes)
            .configure(tokens::routes)
            .configure(workspaces::routes)
            .configure(members::routes)
            .configure(usage::routes)
            .configure(invites::routes)
            .configure(files::routes)
            .configure(events::routes)
            .configure(search::routes)
            .configure(activities::routes),
    );
}
