//! Changes of chunks: those that search does not find, and those whose text was edited.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0036_chunk_changes",
    up: r"
        -- What members have decided about a text of a file in a collection. It outlives the chunks: when the file is indexed
        -- anew, chunks with the same text follow it.
        create table chunk_change (
            workspace_id uuid not null,
            collection_id uuid not null,
            file_id uuid not null,
            -- The first 16 bytes of the SHA-256 of the text, as the source has it.
            text_hash uuid not null,
            disabled boolean not null,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, collection_id, file_id, text_hash),
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade,
            constraint chunk_change_check check (disabled)
        );
        create index chunk_change_by_file on chunk_change (workspace_id, file_id);

        alter table chunk
            -- Whether search leaves it out.
            add column disabled boolean not null default false,
            add column revision integer not null default 1;
        -- Each search reads it, in nearly all workspaces without finding anything.
        create index chunk_disabled on chunk (workspace_id, target_id, ordinal) include (id, document) where disabled;
    ",
    down: r"
        drop index chunk_disabled;
        alter table chunk drop column disabled, drop column revision;
        drop table chunk_change;
    ",
};
