//! Mounts the routes of all slices.

use apistos::web::{ServiceConfig, scope};

use super::health;
use crate::{
    content::{collections, connections, events, files, pipelines, runs, search},
    identity::{accounts, mail_links, sessions, tokens, totp},
    workspaces::{self, activity, invites, members, signing, usage},
};

/// Mounts all operations of the OpenAPI document.
pub fn mount(config: &mut ServiceConfig) {
    config.configure(health::routes);
    config.service(
        scope("/api/v1")
            .configure(accounts::routes)
            .configure(mail_links::routes)
            .configure(sessions::routes)
            .configure(totp::routes)
            .configure(tokens::routes)
            .configure(workspaces::routes)
            .configure(members::routes)
            .configure(usage::routes)
            .configure(signing::routes)
            .configure(invites::routes)
            .configure(files::routes)
            .configure(collections::routes)
            .configure(connections::routes)
            .configure(pipelines::routes)
            .configure(runs::routes)
            .configure(events::routes)
            .configure(search::routes)
            .configure(activity::routes),
    );
}
