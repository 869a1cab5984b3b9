//! How much each workspace uses, and its quotas.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0008_usage",
    up: r"
        -- Maintained by triggers in the transaction of the change, so that every change counts, cascades included.
        -- The row stays locked from the change to the commit: a limit is compared with the value that will be committed.
        create table workspace_usage (
            workspace_id uuid primary key references workspace on delete cascade,
            files bigint not null default 0,
            -- Of all versions of all files.
            bytes bigint not null default 0,
            chunks bigint not null default 0,
            tokens bigint not null default 0,
            -- Unfinished ones.
            runs bigint not null default 0
        ) with (fillfactor = 50);

        -- Set by an operator for one workspace. Null: the setting `NVISY_QUOTA_*`.
        create table workspace_quota (
            workspace_id uuid primary key references workspace on delete cascade,
            files bigint check (files >= 0),
            bytes bigint check (bytes >= 0),
            chunks bigint check (chunks >= 0),
            runs bigint check (runs >= 0),
            updated_at timestamptz not null default now()
        );

        create table search_count (
            workspace_id uuid not null references workspace on delete cascade,
            day date not null,
            searches bigint not null,
            primary key (workspace_id, day)
        );

        create function count_use(workspace uuid, files bigint, bytes bigint, chunks bigint, tokens bigint, runs bigint)
        returns void language sql as $$
            update workspace_usage u set files = u.files + count_use.files, bytes = u.bytes + count_use.bytes,
                chunks = u.chunks + count_use.chunks, tokens = u.tokens + count_use.tokens, runs = u.runs + count_use.runs
            where u.workspace_id = workspace
        $$;

        -- One function per table counts inserted and deleted rows. Ordered by workspace id: two statements that change
        -- several workspaces cannot deadlock.
        create function count_files() returns trigger language plpgsql as $$
            declare
                direction integer := case tg_op when 'INSERT' then 1 else -1 end;
            begin
                perform count_use(workspace_id, direction * n, 0, 0, 0, 0) from (
                    select workspace_id, count(*) as n from changed group by 1 order by 1) change;
                return null;
            end $$;
        create trigger file_added after insert on file referencing new table as changed
            for each statement execute function count_files();
        create trigger file_removed after delete on file referencing old table as changed
            for each statement execute function count_files();

        create function count_versions() returns trigger language plpgsql as $$
            declare
                direction integer := case tg_op when 'INSERT' then 1 else -1 end;
            begin
                perform count_use(workspace_id, 0, direction * n, 0, 0, 0) from (
                    select workspace_id, sum(bytes)::bigint as n from changed group by 1 order by 1) change;
                return null;
            end $$;
        create trigger file_version_added after insert on file_version referencing new table as changed
            for each statement execute function count_versions();
        create trigger file_version_removed after delete on file_version referencing old table as changed
            for each statement execute function count_versions();

        create function count_chunks() returns trigger language plpgsql as $$
            declare
                direction integer := case tg_op when 'INSERT' then 1 else -1 end;
            begin
                perform count_use(workspace_id, 0, 0, direction * n, direction * t, 0) from (
                    select workspace_id, count(*) as n, sum(tokens)::bigint as t from changed group by 1 order by 1) change;
                return null;
            end $$;
        create trigger chunk_added after insert on chunk referencing new table as changed
            for each statement execute function count_chunks();
        create trigger chunk_removed after delete on chunk referencing old table as changed
            for each statement execute function count_chunks();

        create function count_runs() returns trigger language plpgsql as $$
            declare
                direction integer := case tg_op when 'INSERT' then 1 else -1 end;
            begin
                perform count_use(workspace_id, 0, 0, 0, 0, direction * n) from (
                    select workspace_id, count(*) as n from changed where finished_at is null group by 1 order by 1) change;
                return null;
            end $$;
        create trigger run_added after insert on run referencing new table as changed
            for each statement execute function count_runs();
        create trigger run_removed after delete on run referencing old table as changed
            for each statement execute function count_runs();
        create function count_changed_runs() returns trigger language plpgsql as $$
            begin
                perform count_use(workspace_id, 0, 0, 0, 0, n) from (
                    select workspace_id, sum(case when finished_at is null then weight else 0 end)::bigint as n from (
                        select workspace_id, finished_at, 1 as weight from added
                        union all select workspace_id, finished_at, -1 from removed) change
                    group by 1 order by 1) change where n <> 0;
                return null;
            end $$;
        create trigger run_changed after update on run referencing old table as removed new table as added
            for each statement execute function count_changed_runs();

        create function begin_usage() returns trigger language plpgsql as $$
            begin
                insert into workspace_usage (workspace_id) values (new.id);
                return null;
            end $$;
        create trigger workspace_added after insert on workspace for each row execute function begin_usage();
    ",
    down: r"
        drop trigger file_added on file; drop trigger file_removed on file;
        drop trigger file_version_added on file_version; drop trigger file_version_removed on file_version;
        drop trigger chunk_added on chunk; drop trigger chunk_removed on chunk;
        drop trigger run_added on run; drop trigger run_removed on run; drop trigger run_changed on run;
        drop trigger workspace_added on workspace;
        drop function count_files(), count_versions(), count_chunks(), count_runs(), count_changed_runs(), begin_usage(),
            count_use(uuid, bigint, bigint, bigint, bigint, bigint);
        drop table search_count, workspace_quota, workspace_usage;
    ",
};
