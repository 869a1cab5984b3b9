//! Sink: rows or objects for the system behind a connection, before the job is completed. Their ids depend on pipeline, node, file and
//! ordinal alone, so that a repetition writes over what is there.

use nvisy_shared::{
    pipeline::node::sink_connection::SinkConnection,
    store::external_target::{self, Source, TargetKey},
};
use serde::Serialize;
use serde_json::Value;

use super::{sink_objects, sink_rows};
use crate::{
    connectors::{gate::Gate, table::OpenTarget},
    pipeline::{
        contract::{Behaviour, Call, Effect, Output, TargetAccess},
        element::Elements,
        writing,
    },
    runner::JobError,
};

impl Behaviour for SinkConnection {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        // A branch that is not taken.
        if input.is_empty() {
            return Ok(Output::default());
        }
        if call.preview {
            let elements = u32::try_from(input.len()).unwrap_or(u32::MAX);
            return Ok(Output::effects(vec![Effect::Written { elements, destination: String::new() }]));
        }
        let access =
            call.target_access.ok_or_else(|| JobError::retry("a sink has no connection")("the plan gave it none"))?;
        match &access.connection.target {
            OpenTarget::Rows(target) => sink_rows::write(self, call, access, &**target, input).await,
            OpenTarget::Objects(target) => sink_objects::write(self, call, access, &**target, input).await,
        }
    }
}

/// What a sink has written at a place, for the file of a call.
pub(super) struct Destination<'a> {
    pub(super) key: TargetKey,
    pub(super) gate: Gate<'a>,
    place: Value,
}

impl<'a> Destination<'a> {
    pub(super) fn new(call: &Call<'a>, access: TargetAccess<'a>, place: &impl Serialize) -> Result<Self, JobError> {
        let connection = &access.connection.connection;
        let place = serde_json::to_value(place).map_err(JobError::retry("a place cannot be written as JSON"))?;
        let parts = [connection.id.0.as_bytes().as_slice(), place.to_string().as_bytes()].concat();
        let key = TargetKey {
            workspace_id: call.workspace,
            pipeline_id: call.pipeline,
            node: call.node.to_owned(),
            file_id: call.file.id,
            destination: external_target::destination(&[&parts]),
        };
        Ok(Self { key, gate: Gate::of(call.cx, connection), place })
    }

    /// Records that so many rows or objects may be written from now on; returns how many may be there already, or `None` if a newer
    /// version or run has written.
    pub(super) async fn begin(
        &self,
        call: &Call<'_>,
        access: TargetAccess<'_>,
        elements: u32,
    ) -> Result<Option<u32>, JobError> {
        self.gate.check_circuit().await?;
        self.gate.begin(access.claim).await?;
        let source = Source { version: access.version, run: call.run };
        let outside = external_target::Place::Connection(access.connection.connection.id, &self.place);
        writing::begin(call.cx, access.claim, &self.key, outside, source, elements).await
    }
}
