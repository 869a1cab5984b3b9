//! Judged queries, and evaluations of searches on them.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0030_evaluations",
    up: r"
        create table query_set (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            name text not null,
            -- Raised by every change of its queries and judgements.
            revision integer not null default 1,
            queries integer not null default 0,
            judgements integer not null default 0,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, name)
        );

        create table judged_query (
            workspace_id uuid not null,
            id uuid not null,
            query_set_id uuid not null,
            -- The client's name of the query, such as the number of a topic.
            external_id text,
            text text not null,
            created_at timestamptz not null default now(),
            primary key (workspace_id, id),
            foreign key (workspace_id, query_set_id) references query_set (workspace_id, id) on delete cascade
        );
        create index judged_query_by_set on judged_query (workspace_id, query_set_id, id);
        create unique index judged_query_external_id on judged_query (workspace_id, query_set_id, external_id)
            where external_id is not null;

        -- A file by its id goes with the file; one by its external id stays, for a file that comes or returns.
        create table judgement (
            workspace_id uuid not null,
            id uuid not null default uuidv7(),
            query_set_id uuid not null,
            query_id uuid not null,
            file_id uuid,
            external_id text,
            -- A byte range of the file's text; null: the whole file.
            start_byte bigint,
            end_byte bigint,
            grade smallint not null check (grade between 0 and 3),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique nulls not distinct (workspace_id, query_id, file_id, external_id, start_byte, end_byte),
            check ((file_id is null) <> (external_id is null)),
            check ((start_byte is null) = (end_byte is null) and start_byte >= 0 and start_byte < end_byte),
            foreign key (workspace_id, query_set_id) references query_set (workspace_id, id) on delete cascade,
            foreign key (workspace_id, query_id) references judged_query (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade
        );
        create index judgement_by_set on judgement (workspace_id, query_set_id);
        create index judgement_by_file on judgement (workspace_id, file_id) where file_id is not null;
        create index file_by_external_id on file (workspace_id, external_id) where external_id is not null;

        create table evaluation (
            workspace_id uuid not null,
            id uuid not null,
            query_set_id uuid not null,
            -- The revision of the set when the evaluation was started.
            set_revision integer not null,
            settings jsonb not null,
            collections uuid[] not null,
            state text not null default 'running' check (state in ('running', 'done', 'failed')),
            -- Queries to search, and those that are done.
            queries integer not null,
            done integer not null default 0,
            after_query_id uuid not null default '00000000-0000-0000-0000-000000000000',
            -- The weights of the result, by their place in the grid.
            choice integer not null default 0,
            metrics jsonb,
            fit jsonb,
            failure_code text,
            failure_detail text,
            created_at timestamptz not null default now(),
            ended_at timestamptz,
            primary key (workspace_id, id),
            foreign key (workspace_id, query_set_id) references query_set (workspace_id, id) on delete cascade
        );
        create index evaluation_by_set on evaluation (workspace_id, query_set_id, id);

        -- The text stays as it was searched, also when the query is deleted.
        create table evaluated_query (
            workspace_id uuid not null,
            evaluation_id uuid not null,
            query_id uuid not null,
            external_id text,
            text text not null,
            -- Metrics and first hits for each of the weights; empty: no file is judged relevant.
            results jsonb not null,
            -- Judgements of files that the workspace does not have.
            unresolved integer not null default 0,
            primary key (workspace_id, evaluation_id, query_id),
            foreign key (workspace_id, evaluation_id) references evaluation (workspace_id, id) on delete cascade
        );
    ",
    down: r"
        drop table evaluated_query, evaluation, judgement, judged_query, query_set;
        drop index file_by_external_id;
    ",
};
