//! Workers in operation, the embedding spaces that each serves, and the jobs that only some of them can do. How fast they embed.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0038_worker_spaces",
    up: r"
        -- Unlogged: after a crash of PostgreSQL the workers are back within a third of a lease.
        create unlogged table worker (
            -- As in `job.holder`.
            holder text primary key,
            -- The spaces of the installation's models in which it computes vectors.
            spaces uuid[] not null,
            seen_at timestamptz not null default now()
        );

        -- How fast workers have recently embedded in a space. Both numbers lose half of their weight every ten minutes in which
        -- more is embedded.
        create table embedding_speed (
            space_id uuid primary key references embedding_space on delete cascade,
            tokens double precision not null,
            -- Of the calls, added up.
            seconds double precision not null,
            measured_at timestamptz not null default now()
        );

        -- The spaces of the installation's models that the job needs, once a worker without one of them has had it. Such a job goes
        -- to no queue: workers that serve the spaces take it.
        alter table job add column spaces uuid[];
        drop index job_waiting, job_waiting_by_age;
        create index job_waiting on job (workspace_id, lane, level, run_at, id) where state = 'waiting' and spaces is null;
        create index job_waiting_by_age on job (workspace_id, lane, run_at, id) where state = 'waiting' and spaces is null;
        create index job_of_spaces on job (lane, workspace_id, level, run_at, id)
            where state = 'waiting' and spaces is not null;
    ",
    down: r"
        drop index job_of_spaces, job_waiting, job_waiting_by_age;
        create index job_waiting on job (workspace_id, lane, level, run_at, id) where state = 'waiting';
        create index job_waiting_by_age on job (workspace_id, lane, run_at, id) where state = 'waiting';
        alter table job drop column spaces;
        drop table embedding_speed, worker;
    ",
};
