//! Connections to other systems, and what calls of models cost.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0020_connections",
    up: r"
        -- An account at another system, such as a model provider, with which pipelines work.
        create table connection (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            provider text not null,
            name text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
            -- As the provider's schema says; contains no secret.
            settings jsonb not null,
            -- Sealed under the workspace's key, with the ids of workspace and connection bound in. Null: the provider needs none.
            credentials bytea,
            key_id integer,
            enabled boolean not null default true,
            -- Raised by every change; the connection's ETag. A check does not raise it.
            revision integer not null default 1,
            -- The check that was requested last, and its result.
            check_id uuid,
            check_state text check (check_state in ('running', 'ok', 'failed')),
            check_steps jsonb not null default '[]',
            checked_at timestamptz,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, name),
            check ((credentials is null) = (key_id is null))
        );

        -- The health of the system behind a connection, as calls of all workers have found it.
        create table connection_health (
            workspace_id uuid not null,
            connection_id uuid not null,
            -- Failures since the last success.
            failures integer not null default 0,
            -- No worker calls before this time.
            blocked_until timestamptz,
            -- Why; shown to members.
            reason text,
            primary key (workspace_id, connection_id),
            foreign key (workspace_id, connection_id) references connection (workspace_id, id) on delete cascade
        ) with (fillfactor = 50);

        -- Jobs that call a connection, where a setting limits them.
        create table connection_call (
            connection_id uuid not null,
            job_id uuid not null references job on delete cascade,
            epoch integer not null,
            primary key (connection_id, job_id)
        );
        create index connection_call_by_job on connection_call (job_id);

        -- Calls, tokens and cost of models. Kept when run or connection is deleted.
        create table model_usage (
            workspace_id uuid not null references workspace on delete cascade,
            -- The first day of the month, in UTC.
            month date not null,
            connection_id uuid not null,
            model text not null,
            run_id uuid not null,
            calls bigint not null default 0,
            input_tokens bigint not null default 0,
            output_tokens bigint not null default 0,
            -- In millionths of the currency in which the connection's prices are.
            cost bigint not null default 0,
            primary key (workspace_id, month, connection_id, model, run_id)
        ) with (fillfactor = 70);
        create index model_usage_by_run on model_usage (workspace_id, run_id);

        -- Answers of models by the hash of the question, so that a repeated attempt pays for none twice.
        create table model_answer (
            workspace_id uuid not null references workspace on delete cascade,
            key bytea not null check (octet_length(key) = 32),
            -- The file that the question was about: the answer goes with it.
            file_id uuid not null,
            answer jsonb not null,
            created_at timestamptz not null default now(),
            primary key (workspace_id, key),
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade
        );
        create index model_answer_by_file on model_answer (workspace_id, file_id);
        create index model_answer_by_age on model_answer (created_at);

        -- The largest cost of a run, in millionths; null: no limit.
        alter table run add column budget bigint check (budget >= 0);
        -- Why the job waits, for members; null: in the normal course of events.
        alter table job add column wait_reason text;
    ",
    down: r"
        delete from job where kind = 'connection.check';
        alter table job drop column wait_reason;
        alter table run drop column budget;
        drop table model_answer, model_usage, connection_call, connection_health, connection;
    ",
};
