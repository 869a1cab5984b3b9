//! Chunks, embedding spaces and embeddings: what search reads.

crate::migration! {
    "m0005_chunks",
    up: r"
        create extension if not exists btree_gin;

        create table chunk (
            workspace_id uuid not null,
            id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            ordinal integer not null check (ordinal >= 0),
            text text not null,
            -- Byte range of the version's text: source[start_byte..end_byte] = text.
            start_byte bigint not null check (start_byte >= 0),
            end_byte bigint not null,
            page integer check (page >= 1),
            heading_path text[] not null default '{}',
            tokens integer not null check (tokens > 0),
            language regconfig not null default 'english',
            lexemes tsvector not null generated always as (to_tsvector(language, text)) stored,
            primary key (workspace_id, id),
            unique (workspace_id, version_id, ordinal),
            foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade,
            check (end_byte - start_byte = octet_length(text))
        );
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

        -- File and version stand here too: the dense leg filters without touching the wide chunk rows. The version
        -- precedes the chunk in the key: the vectors of a few files are found without reading the tenant's others.
        create table embedding (
            workspace_id uuid not null,
            space_id uuid not null references embedding_space,
            chunk_id uuid not null,
            file_id uuid not null,
            version_id uuid not null,
            vector halfvec not null,
            primary key (workspace_id, space_id, version_id, chunk_id),
            foreign key (workspace_id, chunk_id) references chunk (workspace_id, id) on delete cascade
        );
        create index embedding_by_chunk on embedding (workspace_id, chunk_id);
        -- halfvec compresses badly and is read whole: keep it in the row.
        alter table embedding alter column vector set storage plain;

        -- One HNSW index per space: partial, because vectors of two spaces never mix, and cast,
        -- because an index needs to know its dimensions. Called in the transaction that creates the space.
        create function create_space_index(space uuid, dimensions integer) returns void
            language plpgsql as $$
            begin
                execute format(
                    'create index if not exists %I on embedding
                         using hnsw ((vector::halfvec(%s)) halfvec_cosine_ops)
                         with (m = 16, ef_construction = 64) where space_id = %L',
                    'embedding_hnsw_' || replace(space::text, '-', ''), dimensions, space);
            end $$;
    ",
    down: r"
        drop function create_space_index(uuid, integer);
        drop table embedding, embedding_space, chunk;
    ",
}
