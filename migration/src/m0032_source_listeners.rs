//! Sources whose databases say with `NOTIFY` that something has changed.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0032_source_listeners",
    up: r"
        -- Which worker listens to the database of a connection.
        create table source_listener (
            workspace_id uuid not null,
            connection_id uuid primary key,
            -- An id that the worker has made when it started.
            holder uuid not null,
            leased_until timestamptz not null,
            foreign key (workspace_id, connection_id) references connection (workspace_id, id) on delete cascade
        );

        -- The few definitions that name a channel, among all.
        create index pipeline_version_channel on pipeline_version (workspace_id, pipeline_id, number)
            where jsonb_path_exists(definition, '$.nodes[*].stream.channel');
    ",
    down: r"
        drop index pipeline_version_channel;
        drop table source_listener;
    ",
};
