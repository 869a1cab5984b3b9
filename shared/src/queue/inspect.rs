//! Checks of NATS for the doctor. They report every fault, not only the first, and create nothing that stays.

use async_nats::jetstream::{self, Context, account::Account};
use sea_orm::Iterable;

use super::{NatsNames, QueueError, preflight};
use crate::{config, domain::job::Lane, error_chain, probe::Finding};

/// The findings, and JetStream, if it could be reached.
pub(crate) struct Inspection {
    pub(crate) findings: Vec<Finding>,
    pub(crate) jetstream: Option<(Context, NatsNames)>,
}

/// Checks the server, JetStream, streams and consumers. `upload_bytes` is the size of the largest allowed upload.
pub(crate) async fn inspect(nats: &config::NatsConfig, upload_bytes: u64) -> Inspection {
    let client = match preflight::connect(nats).await {
        Ok(client) => client,
        Err(error) => return Inspection { findings: vec![wrong("NATS", &error)], jetstream: None },
    };
    let mut findings =
        vec![Finding::from_result("NATS", preflight::server_version(&client).map_err(|error| error_chain(&error)))];
    let jetstream = jetstream::new(client);
    let names = NatsNames::new(&nats.prefix);
    match preflight::jetstream_account(&jetstream).await {
        Ok(account) => findings.push(limits(&jetstream, &names, &account, upload_bytes).await),
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

async fn limits(jetstream: &Context, names: &NatsNames, account: &Account, upload_bytes: u64) -> Finding {
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
    match preflight::check_free_space(jetstream, names, i64::try_from(upload_bytes).unwrap_or(i64::MAX)).await {
        Ok(()) => Finding::ok("JetStream", used),
        Err(error) => Finding::wrong(
            "JetStream",
            format!(
                "no space for one file of NVISY_HTTP_UPLOAD_BYTES ({}): {}",
                mebibytes(upload_bytes),
                error_chain(&error)
            ),
        ),
    }
}

async fn stream(jetstream: &Context, name: &str) -> Finding {
    let part = format!("stream {name}");
    match jetstream.get_stream(name).await {
        Ok(stream) => {
            let state = &stream.cached_info().state;
            Finding::ok(part, format!("{} messages, {}", state.messages, mebibytes(state.bytes)))
        }
        Err(error) => Finding::wrong(part, missing(&error)),
    }
}

async fn consumer(jetstream: &Context, names: &NatsNames, lane: Lane) -> Finding {
    let part = format!("consumer {}", lane.name());
    let found = async {
        let stream = jetstream.get_stream_no_info(names.jobs_stream()).await.map_err(|error| missing(&error))?;
        let info = stream.consumer_info(lane.name()).await.map_err(|error| missing(&error))?;
        Ok(format!("{} waiting, {} with workers", info.num_pending, info.num_ack_pending))
    };
    Finding::from_result(part, found.await)
}

fn missing(error: &(dyn std::error::Error + 'static)) -> String {
    format!("missing: the API and the worker create it when they start ({})", error_chain(error))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
