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
            -- The text that takes its place; null: its own.
            text text,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, collection_id, file_id, text_hash),
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade,
            constraint chunk_change_check check (disabled or text is not null)
        );
        create index chunk_change_by_file on chunk_change (workspace_id, file_id);

        alter table chunk
            -- Whether search leaves it out.
            add column disabled boolean not null default false,
            -- The text of the source, where members have written another.
            add column original_text text,
            -- Its number in the postings of the source's text, while its own is another; and one of a text that it has no more.
            add column source_document bigint,
            add column dead_document bigint,
            add column revision integer not null default 1;
        -- Each search reads the first and the last, in nearly all workspaces without finding anything.
        create index chunk_disabled on chunk (workspace_id, target_id, ordinal) include (id, document) where disabled;
        create index chunk_edited on chunk (workspace_id, target_id, ordinal) where original_text is not null;
        create index chunk_dead_document on chunk (workspace_id) include (source_document, dead_document)
            where source_document is not null or dead_document is not null;
    ",
    down: r"
        drop index chunk_disabled, chunk_edited, chunk_dead_document;
        -- Edited chunks have the text of their source again, without vectors and words of another one.
        delete from embedding using chunk
            where chunk.workspace_id = embedding.workspace_id and chunk.id = embedding.chunk_id
                and chunk.original_text is not null;
        update chunk set text = original_text, document = coalesce(source_document, document)
            where original_text is not null;
        alter table chunk
            drop column disabled, drop column original_text, drop column source_document, drop column dead_document,
            drop column revision;
        drop table chunk_change;
    ",
};
