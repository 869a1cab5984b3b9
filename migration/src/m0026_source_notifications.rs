//! Notifications of sources: which objects have changed.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0026_source_notifications",
    up: r"
        -- Connections whose systems may say which objects have changed. Path and secret are computed from the version.
        create table connection_notification (
            workspace_id uuid not null,
            connection_id uuid primary key,
            version integer not null default 1,
            created_at timestamptz not null default now(),
            -- When the last notification was accepted.
            received_at timestamptz,
            foreign key (workspace_id, connection_id) references connection (workspace_id, id) on delete cascade
        );

        -- Objects that are to be read again by a source of a pipeline, each once.
        create table source_notification (
            workspace_id uuid not null,
            pipeline_id uuid not null,
            node text not null,
            object_key text not null,
            received_at timestamptz not null default clock_timestamp(),
            primary key (workspace_id, pipeline_id, node, object_key),
            foreign key (workspace_id, pipeline_id) references pipeline (workspace_id, id) on delete cascade
        );

        alter table run drop constraint run_trigger_check,
            add constraint run_trigger_check check (trigger in ('upload', 'change', 'manual', 'schedule', 'after', 'retry', 'fork',
                'backfill', 'inline', 'preview', 'notification'));
    ",
    down: r"
        update run set trigger = 'manual' where trigger = 'notification';
        alter table run drop constraint run_trigger_check,
            add constraint run_trigger_check check (trigger in ('upload', 'change', 'manual', 'schedule', 'after', 'retry', 'fork',
                'backfill', 'inline', 'preview'));
        drop table source_notification, connection_notification;
    ",
};
