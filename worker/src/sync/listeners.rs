//! Listening to databases whose `NOTIFY` starts syncs: one worker for each connection.
//!
//! A notification is not stored by its database, so those of the time without a listener are lost. Each begin of listening therefore
//! counts as one: the sync that it starts finds what changed meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    time::{Duration, Instant},
};

use nvisy_shared::{
    crypt, error_chain,
    id::{self, ConnectionId},
    lifecycle::Lifecycle,
    store::{
        self, TransactionTrait,
        source_listener::{self, Listened},
        source_notification,
    },
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    connectors::{
        OpenConnection,
        gate::Gate,
        sql::{ChannelListener, ChannelNotification},
    },
    context::Context,
    runner::JobError,
};

/// How long a worker that listens may be silent before another listens in its place.
const LEASE: Duration = Duration::from_secs(30);
/// The most connections that a worker listens to: each holds two sockets.
const MAX_LISTENERS: usize = 200;
/// How long notifications are gathered before they are stored together.
const GATHERING: Duration = Duration::from_millis(500);
/// Rows that notifications name, above which the source is rather listed.
const MAX_KEYS: usize = 1_000;
/// The wait before a lost connection is opened again; it doubles with each further failure.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest such wait.
const MAX_DELAY: Duration = Duration::from_secs(300);
/// A connection that was open for so long is opened again after the first wait.
const STEADY: Duration = Duration::from_secs(60);

/// Until the soft stop: listens to the connections that pipelines want and no other worker listens to.
pub(crate) async fn run(cx: Context, interval: Duration, lifecycle: Lifecycle) {
    let mut listeners = Listeners { holder: id::new(), running: HashMap::new(), cx };
    let mut ticks = tokio::time::interval(interval);
    loop {
        tokio::select! {
            () = lifecycle.soft().cancelled() => break,
            _ = ticks.tick() => {}
        }
        if let Err(error) = listeners.adjust().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "listeners cannot be adjusted, it is tried again");
        }
    }
    let all: Vec<_> = listeners.running.keys().copied().collect();
    listeners.stop(&all).await;
}

/// The connections that this worker listens to.
struct Listeners {
    cx: Context,
    holder: Uuid,
    running: HashMap<ConnectionId, Running>,
}

struct Running {
    of: Listened,
    extended_at: Instant,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listeners {
    /// Ends the listeners that are not wanted any more, and begins those that are missing.
    async fn adjust(&mut self) -> store::Result<()> {
        let wanted = source_listener::wanted(&self.cx.db).await?;
        let is_wanted = |running: &Running| wanted.iter().any(|wanted| is_same(wanted, &running.of));
        let ended: Vec<_> = self.running.iter().filter(|(_, running)| !is_wanted(running)).map(|(id, _)| *id).collect();
        self.stop(&ended).await;
        for wanted in wanted {
            let id = wanted.connection_id;
            let is_mine = self.running.contains_key(&id) || ended.contains(&id);
            let is_fresh = self.running.get(&id).is_some_and(|running| running.extended_at.elapsed() < LEASE / 3);
            if is_fresh || !(is_mine || wanted.is_free) || (!is_mine && self.running.len() >= MAX_LISTENERS) {
                continue;
            }
            let extended_at = Instant::now();
            if !source_listener::acquire(&self.cx.db, &wanted, self.holder, LEASE).await? {
                self.running.remove(&id);
                continue;
            }
            match self.running.get_mut(&id) {
                Some(running) => running.extended_at = extended_at,
                None => {
                    let task = tokio::spawn(keep_listening(self.cx.clone(), wanted.clone()));
                    self.running.insert(id, Running { of: wanted, extended_at, task });
                }
            }
        }
        Ok(())
    }

    async fn stop(&mut self, connections: &[ConnectionId]) {
        if connections.is_empty() {
            return;
        }
        for id in connections {
            self.running.remove(id);
        }
        // Leases that stay expire.
        if let Err(error) = source_listener::release(&self.cx.db, self.holder, connections.to_vec()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the leases of listeners were not ended");
        }
    }
}

/// Whether a listener does what is wanted.
fn is_same(wanted: &Listened, running: &Listened) -> bool {
    let of = |listened: &Listened| (listened.connection_id, listened.revision);
    of(wanted) == of(running) && wanted.channels == running.channels
}

/// Listens, and connects again when the connection is lost.
async fn keep_listening(cx: Context, of: Listened) {
    let mut delay = FIRST_DELAY;
    loop {
        let began = Instant::now();
        let Err(error) = listen(&cx, &of).await;
        tracing::info!(connection.id = %of.connection_id, reason = %error_chain(&error), "a listener ended, it begins again");
        delay = if began.elapsed() > STEADY { FIRST_DELAY } else { (delay * 2).min(MAX_DELAY) };
        // Listeners of one server do not return together.
        let [byte] = crypt::random();
        let wait = delay.mul_f64(0.5 + f64::from(byte) / 512.0);
        let wait = match error {
            JobError::Blocked { delay, .. } => wait.max(delay),
            _ => wait,
        };
        tokio::time::sleep(wait).await;
    }
}

/// Listens until the connection is lost.
async fn listen(cx: &Context, of: &Listened) -> Result<Infallible, JobError> {
    let (workspace, id) = (of.workspace_id, of.connection_id);
    let connection = OpenConnection::find(cx, workspace, id).await?.ok_or(JobError::Obsolete)?;
    let gate = Gate::of(cx, &connection);
    gate.check_circuit().await?;
    let mut listener = match ChannelListener::open(cx, &connection, &of.channels).await {
        Ok(listener) => listener,
        Err(failure) => return Err(gate.failed(failure).await?),
    };
    gate.succeeded().await?;
    let mut gathered = Gathered::default();
    of.channels.iter().for_each(|channel| gathered.add(channel, ""));
    loop {
        record(cx, of, std::mem::take(&mut gathered)).await?;
        let lost = gather(&mut listener, &mut gathered).await;
        if let Err(failure) = lost {
            record(cx, of, gathered).await?;
            return Err(JobError::retry("the connection to the database is lost")(failure));
        }
    }
}

/// Waits for a notification, and for those that follow at once.
async fn gather(listener: &mut ChannelListener, gathered: &mut Gathered) -> Result<(), crate::connectors::CallFailure> {
    let ChannelNotification { channel, payload } = listener.next().await?;
    gathered.add(&channel, &payload);
    let until = tokio::time::Instant::now() + GATHERING;
    while let Ok(next) = tokio::time::timeout_at(until, listener.next()).await {
        let ChannelNotification { channel, payload } = next?;
        gathered.add(&channel, &payload);
    }
    Ok(())
}

async fn record(cx: &Context, of: &Listened, gathered: Gathered) -> Result<(), JobError> {
    let (workspace, connection) = (of.workspace_id, of.connection_id);
    let tx = cx.db.begin().await?;
    for (channel, keys) in gathered.0 {
        let keys = keys.into_iter().collect();
        source_notification::add_of_channel(&tx, workspace, connection, &channel, keys).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The rows that notifications name, by channel.
#[derive(Debug, Default, PartialEq)]
struct Gathered(BTreeMap<String, BTreeSet<String>>);

impl Gathered {
    fn add(&mut self, channel: &str, payload: &str) {
        let keys = self.0.entry(channel.to_owned()).or_default();
        keys.extend(keys_of(payload));
        if keys.len() > MAX_KEYS {
            *keys = BTreeSet::from([source_notification::ANYTHING.to_owned()]);
        }
    }
}

/// The keys that a payload names: the elements of a JSON array, otherwise the text itself. Without a text anything may have changed.
fn keys_of(payload: &str) -> Vec<String> {
    let anything = || vec![source_notification::ANYTHING.to_owned()];
    let payload = payload.trim();
    if !payload.starts_with('[') {
        return vec![payload.to_owned()];
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(payload) else {
        return vec![payload.to_owned()];
    };
    let keys = values.into_iter().map(|value| match value {
        serde_json::Value::String(key) => Some(key),
        serde_json::Value::Number(key) => Some(key.to_string()),
        _ => None,
    });
    match keys.collect::<Option<Vec<_>>>() {
        Some(keys) if !keys.is_empty() => keys,
        _ => anything(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_names_keys_or_nothing() {
        assert_eq!(keys_of(" 42 "), ["42"]);
        assert_eq!(keys_of("a b"), ["a b"]);
        assert_eq!(keys_of(r#"["a", 7]"#), ["a", "7"]);
        assert_eq!(keys_of("[not JSON"), ["[not JSON"]);
        for anything in ["", " ", "[]", "[{}]"] {
            assert_eq!(keys_of(anything), [source_notification::ANYTHING], "{anything}");
        }
    }

    #[test]
    fn too_many_keys_become_one_listing() {
        let mut gathered = Gathered::default();
        (0..=MAX_KEYS).for_each(|key| gathered.add("rows", &key.to_string()));
        gathered.add("other", "1");
        assert_eq!(gathered.0["rows"], BTreeSet::from([source_notification::ANYTHING.to_owned()]));
        assert_eq!(gathered.0["other"].len(), 1);
    }
}
