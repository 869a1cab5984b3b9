//! Jobs: the work of workers. A row exists from the transaction that requests the work to the one that completes it.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0009_jobs",
    up: r"
        -- The system workspace owns the jobs that belong to no tenant. It has no members.
        insert into workspace (id, name) values ('00000000-0000-0000-0000-000000000000', 'system');

        create table job (
            id uuid primary key,
            workspace_id uuid not null references workspace on delete cascade,
            kind text not null,
            version integer not null,
            lane text not null,
            -- Dispatched first within a tenant and lane: the lower level.
            level smallint not null default 0 check (level >= 0),
            payload jsonb not null,
            -- waiting: for `run_at` or its tenant's turn; queued: JetStream has its message; running: a worker holds it.
            state text not null default 'waiting' check (state in ('waiting', 'queued', 'running')),
            -- Counts claims. A holder's writes are fenced by the epoch that it claimed.
            epoch integer not null default 0,
            attempts integer not null default 0,
            run_at timestamptz not null default now(),
            -- The message's sequence in the JetStream stream while queued: shows whether JetStream still has it.
            stream_seq bigint,
            queued_at timestamptz,
            holder text,
            heartbeat_at timestamptz,
            last_error text,
            traceparent text,
            created_at timestamptz not null default now()
        );
        -- The relay reads tenant by tenant, and only the head of each tenant's backlog: by level, and by age.
        create index job_waiting on job (workspace_id, lane, level, run_at, id) where state = 'waiting';
        create index job_waiting_by_age on job (workspace_id, lane, run_at, id) where state = 'waiting';
        create index job_in_flight on job (workspace_id, lane) where state <> 'waiting';

        create table dead_job (
            id uuid primary key,
            workspace_id uuid not null references workspace on delete cascade,
            kind text not null,
            version integer not null,
            lane text not null,
            payload jsonb not null,
            attempts integer not null,
            reason text not null,
            error text not null,
            created_at timestamptz not null,
            died_at timestamptz not null default now()
        );
        create index dead_job_by_workspace on dead_job (workspace_id, died_at);

        -- Maintenance tasks: one worker at a time runs each for the whole installation.
        create table maintenance_lease (
            name text primary key,
            -- When it is due next; while a worker runs it, when that worker's lease ends.
            due_at timestamptz not null
        );

        -- Wakes the relays; sent when the transaction commits, once per transaction.
        create function notify_outbox() returns trigger language plpgsql as $$
            begin
                perform pg_notify('nvisy_outbox', tg_argv[0]);
                return null;
            end $$;
        -- Also on delete: a finished job makes room for its workspace's next one.
        create trigger job_changed after insert or delete on job for each statement execute function notify_outbox('job');
        -- A claimed job leaves the queue, which has room for another one.
        create trigger job_claimed after update of state on job for each row
            when (old.state = 'queued' and new.state = 'running') execute function notify_outbox('job');
    ",
    down: r"
        drop table maintenance_lease, dead_job, job;
        drop function notify_outbox();
        delete from workspace where id = '00000000-0000-0000-0000-000000000000';
    ",
};
