//! The stores that opendal speaks to, with the settings of connections.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use nvisy_shared::domain::connection::{
    InvalidSetting,
    objects::{
        AzureBlobCredentials, AzureBlobSettings, GcsCredentials, GcsSettings, S3Credentials, S3Settings,
        WebDavCredentials, WebDavSettings,
    },
};
use opendal::{Operator, services};
use reqwest::{Url, header::HeaderValue};
use serde_json::Value;

use super::{
    store::{ObjectStore, StoreSource},
    store_target::StoreTarget,
    webdav_target::WebDavTarget,
};
use crate::{
    connectors::{CallFailure, DynSource, OpenConnection, object_target::DynObjectTarget},
    context::Context,
};

type Opened = Result<Arc<ObjectStore>, CallFailure>;

/// Opens a store to read it.
pub(crate) fn source(store: Opened) -> Result<Box<DynSource>, CallFailure> {
    Ok(Box::new(StoreSource(store?)))
}

/// Opens a store to write it.
pub(crate) fn target(store: Opened) -> Result<Box<DynObjectTarget>, CallFailure> {
    Ok(Box::new(StoreTarget(store?)))
}

fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Opens a bucket of S3.
pub(crate) fn s3(cx: &Context, connection: &OpenConnection) -> Opened {
    let settings: S3Settings = connection.settings()?;
    let credentials: Option<S3Credentials> = connection.credentials()?;
    let endpoint = settings.endpoint();
    // Nothing of this machine: no variables, files or metadata services.
    let mut builder = services::S3::default()
        .bucket(&settings.bucket)
        .region(&settings.region)
        .disable_config_load()
        .disable_ec2_metadata();
    if let Some(endpoint) = &endpoint {
        builder = builder.endpoint(without_slash(endpoint));
    }
    if settings.virtual_host {
        builder = builder.enable_virtual_host_style();
    }
    builder = match &credentials {
        None => builder.skip_signature(),
        Some(keys) => {
            let builder = builder.access_key_id(&keys.access_key_id).secret_access_key(keys.secret_access_key.expose());
            match &keys.session_token {
                Some(token) => builder.session_token(token.expose()),
                None => builder,
            }
        }
    };
    ObjectStore::new(cx, connection, Operator::new(builder), (Some(settings.bucket), endpoint), false)
}

/// Opens a bucket of Google Cloud Storage.
pub(crate) fn gcs(cx: &Context, connection: &OpenConnection) -> Opened {
    let settings: GcsSettings = connection.settings()?;
    let credentials: Option<GcsCredentials> = connection.credentials()?;
    let endpoint = settings.endpoint();
    let mut builder = services::Gcs::default().bucket(&settings.bucket).disable_config_load().disable_vm_metadata();
    if let Some(endpoint) = &endpoint {
        builder = builder.endpoint(without_slash(endpoint));
    }
    builder = match &credentials {
        None => builder.skip_signature(),
        Some(keys) => {
            let account = keys.service_account.expose();
            if account.get("type").and_then(Value::as_str) != Some("service_account") {
                return Err(InvalidSetting::new("serviceAccount.type", "must be `service_account`").into());
            }
            builder.credential(&BASE64.encode(account.to_string()))
        }
    };
    ObjectStore::new(cx, connection, Operator::new(builder), (Some(settings.bucket), endpoint), false)
}

/// Opens a container of Azure.
pub(crate) fn azure_blob(cx: &Context, connection: &OpenConnection) -> Opened {
    let settings: AzureBlobSettings = connection.settings()?;
    let credentials: Option<AzureBlobCredentials> = connection.credentials()?;
    let endpoint = settings.endpoint();
    let mut builder = services::Azblob::default().container(&settings.container).account_name(&settings.account);
    if let Some(endpoint) = &endpoint {
        builder = builder.endpoint(without_slash(endpoint));
    }
    builder = match credentials {
        Some(AzureBlobCredentials { account_key: Some(key), .. }) => builder.account_key(key.expose()),
        Some(AzureBlobCredentials { sas_token: Some(token), .. }) => {
            builder.sas_token(token.expose().trim_start_matches('?'))
        }
        _ => builder.skip_signature(),
    };
    ObjectStore::new(cx, connection, Operator::new(builder), (Some(settings.container), endpoint), false)
}

/// Opens a WebDAV server.
fn webdav(
    cx: &Context,
    connection: &OpenConnection,
) -> Result<(Arc<ObjectStore>, WebDavSettings, Option<WebDavCredentials>), CallFailure> {
    let settings: WebDavSettings = connection.settings()?;
    let credentials: Option<WebDavCredentials> = connection.credentials()?;
    let mut builder = services::Webdav::default().endpoint(without_slash(&settings.url)).root(&settings.root);
    if let Some(credentials) = &credentials {
        if let (Some(username), Some(password)) = (&credentials.username, &credentials.password) {
            builder = builder.username(username).password(password.expose());
        }
        if let Some(token) = &credentials.token {
            builder = builder.token(token.expose());
        }
    }
    let address = (None, Some(settings.url.clone()));
    let store = ObjectStore::new(cx, connection, Operator::new(builder), address, true)?;
    Ok((store, settings, credentials))
}

/// Opens a WebDAV server to read it.
pub(crate) fn webdav_source(cx: &Context, connection: &OpenConnection) -> Result<Box<DynSource>, CallFailure> {
    source(webdav(cx, connection).map(|(store, ..)| store))
}

/// Opens a WebDAV server to write it.
pub(crate) fn webdav_target(cx: &Context, connection: &OpenConnection) -> Result<Box<DynObjectTarget>, CallFailure> {
    let (store, settings, credentials) = webdav(cx, connection)?;
    let mut root = settings.url;
    if let Ok(mut segments) = root.path_segments_mut() {
        segments.pop_if_empty().extend(settings.root.split('/').filter(|part| !part.is_empty()));
    }
    Ok(Box::new(WebDavTarget { store, root, authorization: authorization(credentials)? }))
}

fn authorization(credentials: Option<WebDavCredentials>) -> Result<Option<HeaderValue>, CallFailure> {
    let Some(credentials) = credentials else { return Ok(None) };
    let text = match (credentials.username, credentials.password, credentials.token) {
        (Some(username), Some(password), _) => {
            format!("Basic {}", BASE64.encode(format!("{username}:{}", password.expose())))
        }
        (_, _, Some(token)) => format!("Bearer {}", token.expose()),
        _ => return Ok(None),
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| CallFailure::from(InvalidSetting::new("token", "must have visible ASCII characters")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}
