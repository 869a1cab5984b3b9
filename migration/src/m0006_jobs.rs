//! Work to do. A row lives from the transaction that asks for the work to the one that completes it.

crate::migration! {
    "m0006_jobs",
    up: r"
        create table job (
            id uuid primary key,
            workspace_id uuid not null references workspace on delete cascade,
            kind text not null,
            version integer not null,
            lane text not null,
            payload jsonb not null,
            -- waiting: for its time or its turn; queued: with JetStream; running: held by a worker.
            state text not null default 'waiting' check (state in ('waiting', 'queued', 'running')),
            -- Counts claims. What a holder writes is fenced by the epoch it claimed.
            epoch integer not null default 0,
            attempts integer not null default 0,
            run_at timestamptz not null default now(),
            -- Its place in the JetStream stream while queued: tells whether JetStream still knows of it.
            stream_seq bigint,
            queued_at timestamptz,
            holder text,
            heartbeat_at timestamptz,
            last_error text,
            traceparent text,
            created_at timestamptz not null default now()
        );
        -- The relay walks tenant by tenant; what waits deep in one tenant's backlog is never read.
        create index job_waiting on job (workspace_id, lane, run_at, id) where state = 'waiting';
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

        -- Wakes the relays; sent when the transaction commits, once per transaction.
        create function notify_job() returns trigger language plpgsql as $$
            begin
                perform pg_notify('nvisy_outbox', 'job');
                return null;
            end $$;
        -- A finished job makes room for its workspace's next one.
        create trigger job_changed after insert or delete on job for each statement execute function notify_job();
    ",
    down: "drop table dead_job, job; drop function notify_job();",
}
