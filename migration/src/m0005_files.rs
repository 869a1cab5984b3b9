//! Files, their versions, and the stored objects that hold their bytes.
//!
//! Every key starts with the workspace, and every reference includes it: a row cannot point into another tenant.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0005_files",
    up: r"
        -- One stored object. Identical content in a workspace is one row.
        create table blob (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            sha256 bytea not null check (octet_length(sha256) = 32),
            bytes bigint not null check (bytes >= 0),
            -- Updated when an upload finds its content stored already: the garbage collector spares recent rows.
            used_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, sha256)
        );

        create table file (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            -- Source and external id identify a file; its content does not.
            source text not null default 'upload',
            external_id text,
            name text not null check (char_length(name) between 1 and 255),
            tags text[] not null default '{}',
            metadata jsonb not null default '{}',
            -- The newest version.
            version_id uuid not null,
            -- The version that search sees; null until the first one is ready.
            live_version_id uuid,
            created_by uuid references account on delete set null,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, source, external_id)
        );

        create table file_version (
            workspace_id uuid not null,
            id uuid not null,
            file_id uuid not null,
            number integer not null check (number >= 1),
            blob_id uuid not null,
            bytes bigint not null check (bytes >= 0),
            sha256 bytea not null,
            media_type text not null,
            -- The extracted text, of which chunks are byte ranges; the content's own blob where the content is text.
            text_blob_id uuid,
            page_count integer,
            chunk_count integer,
            state text not null default 'queued' check (state in ('queued', 'processing', 'ready', 'failed')),
            failure_code text,
            failure_detail text,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, file_id, id),
            unique (workspace_id, file_id, number),
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade,
            foreign key (workspace_id, blob_id) references blob (workspace_id, id),
            foreign key (workspace_id, text_blob_id) references blob (workspace_id, id),
            check ((state = 'failed') = (failure_code is not null))
        );
        create index file_version_by_blob on file_version (workspace_id, blob_id);
        create index file_version_by_text_blob on file_version (workspace_id, text_blob_id) where text_blob_id is not null;

        -- File and version refer to each other. Deferred: one transaction inserts a file and its first version.
        alter table file
            add foreign key (workspace_id, id, version_id)
                references file_version (workspace_id, file_id, id) deferrable initially deferred,
            add foreign key (workspace_id, id, live_version_id)
                references file_version (workspace_id, file_id, id) deferrable initially deferred;
    ",
    down: r"
        alter table file drop constraint file_workspace_id_id_version_id_fkey,
                         drop constraint file_workspace_id_id_live_version_id_fkey;
        drop table file_version, file, blob;
    ",
};
