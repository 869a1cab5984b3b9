//! What sinks have written to systems outside.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0022_external_targets",
    up: r"
        -- What a sink has written outside for a file: requests to a receiver, or rows behind a connection. It outlives file and pipeline
        -- until nothing of it is left there.
        create table external_target (
            workspace_id uuid not null references workspace on delete cascade,
            pipeline_id uuid not null,
            node text not null,
            file_id uuid not null,
            -- A hash of the place: a sink with another address or table begins a target of its own.
            destination text not null,
            -- The receiver of requests, or the connection and what the sink says of the place in it.
            url text,
            connection_id uuid,
            place jsonb,
            -- The newest version of the file, and its newest run, after which this is left.
            version integer not null,
            run_id uuid not null,
            -- Rows that may be there, by their ordinals from 0.
            written integer not null default 0 check (written >= 0),
            -- Rows of the last complete write; 0: none is complete.
            elements integer not null default 0 check (elements >= 0),
            -- Whether nothing is to be left, and whether a job sees to it.
            obsolete boolean not null default false,
            queued boolean not null default false,
            -- The job that writes or deletes, as long as it runs with this epoch.
            job_id uuid,
            epoch integer,
            primary key (workspace_id, pipeline_id, node, file_id, destination),
            check (num_nonnulls(url, connection_id) = 1 and (connection_id is null) = (place is null))
        );
        create index external_target_by_file on external_target (workspace_id, file_id);
        create index external_target_obsolete on external_target (workspace_id) where obsolete and not queued;

        insert into external_target
            (workspace_id, pipeline_id, node, file_id, destination, url, version, run_id, written, elements, obsolete)
        select t.workspace_id, t.pipeline_id, t.node, t.file_id, encode(sha256(convert_to(t.url, 'UTF8')), 'hex'), t.url,
            coalesce((select max(v.number) from file_version v
                where v.workspace_id = t.workspace_id and v.file_id = t.file_id), 1), t.run_id, 1, 1,
            t.obsolete
                or not exists (select from file f where f.workspace_id = t.workspace_id and f.id = t.file_id)
                or not exists (select from pipeline p where p.workspace_id = t.workspace_id and p.id = t.pipeline_id)
        from webhook_target t;
        drop table webhook_target;
        delete from job where kind = 'webhook.tell_obsolete';

        -- Ordered: two statements that change several of the rows lock them in the same order.
        create function files_left_targets() returns trigger language plpgsql as $$
            begin
                perform from external_target t
                    where (t.workspace_id, t.file_id) in (select workspace_id, id from changed) and not t.obsolete
                    order by t.workspace_id, t.pipeline_id, t.node, t.file_id, t.destination for no key update;
                update external_target t set obsolete = true from changed c
                where t.workspace_id = c.workspace_id and t.file_id = c.id and not t.obsolete;
                return null;
            end $$;
        create trigger file_left_targets after delete on file referencing old table as changed
            for each statement execute function files_left_targets();
        create function pipelines_left_targets() returns trigger language plpgsql as $$
            begin
                perform from external_target t
                    where (t.workspace_id, t.pipeline_id) in (select workspace_id, id from changed) and not t.obsolete
                    order by t.workspace_id, t.pipeline_id, t.node, t.file_id, t.destination for no key update;
                update external_target t set obsolete = true from changed c
                where t.workspace_id = c.workspace_id and t.pipeline_id = c.id and not t.obsolete;
                return null;
            end $$;
        create trigger pipeline_left_targets after delete on pipeline referencing old table as changed
            for each statement execute function pipelines_left_targets();
    ",
    down: r"
        drop trigger pipeline_left_targets on pipeline;
        drop trigger file_left_targets on file;
        drop function pipelines_left_targets();
        drop function files_left_targets();
        create table webhook_target (
            workspace_id uuid not null references workspace on delete cascade,
            pipeline_id uuid not null,
            node text not null,
            file_id uuid not null,
            run_id uuid not null,
            url text not null,
            obsolete boolean not null default false,
            primary key (workspace_id, pipeline_id, node, file_id)
        );
        insert into webhook_target (workspace_id, pipeline_id, node, file_id, run_id, url)
        select distinct on (workspace_id, pipeline_id, node, file_id) workspace_id, pipeline_id, node, file_id, run_id, url
        from external_target where url is not null
        order by workspace_id, pipeline_id, node, file_id, run_id desc;
        drop table external_target;
        delete from job where kind = 'target.clear';
    ",
};
