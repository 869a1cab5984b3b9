//! A look at NATS for the doctor: everything that is wrong, not only the first thing. Nothing is created.

use async_nats::jetstream::{self, Context, account::Account};
use sea_orm::Iterable;

use super::{Names, QueueError, ground};
use crate::{config, domain::job::Lane, error_chain, probe::Finding};

/// What was found, and JetStream, if it could be reached.
pub(crate) struct Inspection {
    pub(crate) findings: Vec<Finding>,
    pub(crate) jetstream: Option<(Context, Names)>,
}

/// Looks at the server, JetStream, streams and consumers. `upload` is the largest file that may be uploaded.
pub(crate) async fn inspect(nats: &config::Nats, upload: u64) -> Inspection {
    let client = match ground::connect(nats).await {
        Ok(client) => client,
        Err(error) => return Inspection { findings: vec![wrong("NATS", &error)], jetstream: None },
    };
    let mut findings = vec![Finding::of("NATS", ground::server(&client).map_err(|error| error_chain(&error)))];
    let jetstream = jetstream::new(client);
    let names = Names::new(&nats.prefix);
    match ground::account(&jetstream).await {
        Ok(account) => findings.push(limits(&jetstream, &names, &account, upload).await),
        Err(error) => {
            findings.push(wrong("JetStream", &error));
            return Inspection { findings, jetstream: None };
        }
    }
    for name in [names.jobs_stream(), names.events_stream()] {
        findings.push(stream(&jetstream, &name).await);
    }
    for lane in Lane::iter() {
        findings.push(consumer(&jetstream, &names, lane).await);
    }
    Inspection { findings, jetstream: Some((jetstream, names)) }
}

fn wrong(part: &'static str, error: &QueueError) -> Finding {
    Finding::wrong(part, error_chain(error))
}

async fn limits(jetstream: &Context, names: &Names, account: &Account, upload: u64) -> Finding {
    let of =
        |most: Option<i64>| most.map_or_else(String::new, |most| format!(" of {}", mebibytes(most.unsigned_abs())));
    let used = format!(
        "{}{} of files, {} streams{}, {} consumers{}",
        mebibytes(account.storage),
        of(account.limits.max_storage),
        account.streams,
        account.limits.max_streams.map_or_else(String::new, |most| format!(" of {most}")),
        account.consumers,
        account.limits.max_consumers.map_or_else(String::new, |most| format!(" of {most}")),
    );
    match ground::room(jetstream, names, i64::try_from(upload).unwrap_or(i64::MAX)).await {
        Ok(()) => Finding::fine("JetStream", used),
        Err(error) => Finding::wrong(
            "JetStream",
            format!("no room for one file of NVISY_HTTP_UPLOAD_BYTES ({}): {}", mebibytes(upload), error_chain(&error)),
        ),
    }
}

async fn stream(jetstream: &Context, name: &str) -> Finding {
    let part = format!("stream {name}");
    match jetstream.get_stream(name).await {
        Ok(stream) => {
            let state = &stream.cached_info().state;
            Finding::fine(part, format!("{} messages, {}", state.messages, mebibytes(state.bytes)))
        }
        Err(error) => Finding::wrong(part, missing(&error)),
    }
}

async fn consumer(jetstream: &Context, names: &Names, lane: Lane) -> Finding {
    let part = format!("consumer {}", lane.name());
    let found = async {
        let stream = jetstream.get_stream_no_info(names.jobs_stream()).await.map_err(|error| missing(&error))?;
        let info = stream.consumer_info(lane.name()).await.map_err(|error| missing(&error))?;
        Ok(format!("{} waiting, {} with workers", info.num_pending, info.num_ack_pending))
    };
    Finding::of(part, found.await)
}

fn missing(error: &(dyn std::error::Error + 'static)) -> String {
    format!("missing: the API and the worker make it when they start ({})", error_chain(error))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
