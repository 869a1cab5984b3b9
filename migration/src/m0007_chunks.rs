//! Chunks, embedding spaces and embeddings: the tables that search reads.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0007_chunks",
    up: r"
        create table chunk (
            workspace_id uuid not null,
            id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            ordinal integer not null check (ordinal >= 0),
            text text not null,
            -- Byte range in the version's text: source[start_byte..end_byte] = text.
            start_byte bigint not null check (start_byte >= 0),
            end_byte bigint not null,
            page integer check (page >= 1),
            heading_path text[] not null default '{}',
            tokens integer not null check (tokens > 0),
            language regconfig not null default 'english',
            -- External: ranking reads the lexemes of thousands of rows, so they stay uncompressed and, where a page
            -- has room, in the row.
            lexemes tsvector storage external not null generated always as (to_tsvector(language, text)) stored,
            primary key (workspace_id, id),
            unique (workspace_id, version_id, ordinal),
            foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade,
            check (end_byte - start_byte = octet_length(text))
        ) with (toast_tuple_target = 8160);
        create index chunk_lexemes on chunk using gin (workspace_id, lexemes);

        create table embedding_space (
            id uuid primary key,
            provider text not null,
            model text not null,
            dimensions integer not null check (dimensions between 1 and 4000),
            query_prefix text not null,
            passage_prefix text not null,
            created_at timestamptz not null default now(),
            unique (provider, model, dimensions, query_prefix, passage_prefix)
        );
        alter table workspace add foreign key (default_space_id) references embedding_space;

        -- Has file and version, too: the vector search filters without reading the wide chunk rows. The version
        -- precedes the chunk in the key: the vectors of a few files are found without reading the tenant's others.
        create table embedding (
            workspace_id uuid not null,
            space_id uuid not null references embedding_space,
            chunk_id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            -- Plain: halfvec compresses badly and is read whole, so it stays in the row.
            vector halfvec storage plain not null,
            primary key (workspace_id, space_id, version_id, chunk_id),
            foreign key (workspace_id, chunk_id) references chunk (workspace_id, id) on delete cascade
        );
        create index embedding_by_chunk on embedding (workspace_id, chunk_id);

        -- Creates the HNSW index of a space, in the transaction that creates the space. Partial, because vectors of two
        -- spaces are never compared; cast, because an index needs the number of dimensions. Only a table's owner can
        -- create its indexes: the function runs with the owner's rights, and only for a space that exists.
        create function create_space_index(space uuid, dimensions integer) returns void
            language plpgsql security definer as $$
            begin
                if not exists (select from embedding_space known
                        where known.id = space and known.dimensions = create_space_index.dimensions) then
                    raise exception 'there is no such embedding space';
                end if;
                execute format(
                    'create index if not exists %I on embedding
                         using hnsw ((vector::halfvec(%s)) halfvec_cosine_ops)
                         with (m = 16, ef_construction = 64) where space_id = %L',
                    'embedding_hnsw_' || replace(space::text, '-', ''), dimensions, space);
            end $$;
        -- A fixed search path: callers cannot change what the names in the function refer to.
        do $$
            begin
                execute format('alter function create_space_index(uuid, integer) set search_path = pg_catalog, %I, %I, pg_temp',
                    current_schema(), (select extnamespace::regnamespace::name from pg_extension where extname = 'vector'));
            end $$;
        revoke execute on function create_space_index(uuid, integer) from public;
    ",
    down: r"
        drop function create_space_index(uuid, integer);
        alter table workspace drop constraint workspace_default_space_id_fkey;
        drop table embedding, embedding_space, chunk;
    ",
};
