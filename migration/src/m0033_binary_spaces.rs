//! Spaces whose index has one bit per dimension, vectors of up to 4,096 dimensions, and spaces that a request has created.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0033_binary_spaces",
    up: r"
        alter table embedding_space
            -- Half: the index has the vectors; an index of halfvec has 4,000 dimensions at most. Binary: it has the signs of
            -- their numbers.
            add column quantisation text not null default 'half' check (quantisation in ('half', 'binary')),
            -- Whether a request has created the space, which is deleted when it is unused.
            add column on_request boolean not null default false,
            drop constraint embedding_space_dimensions_check,
            add constraint embedding_space_dimensions_check check (dimensions between 1 and 4096),
            add constraint embedding_space_half_check check (dimensions <= 4000 or quantisation = 'binary');
        update embedding_space set on_request = true where connection_id is not null;
        do $$
            begin
                execute (select format('alter table embedding_space drop constraint %I', conname) from pg_constraint
                    where conrelid = 'embedding_space'::regclass and contype = 'u');
            end $$;
        alter table embedding_space
            add unique nulls not distinct
                (connection_id, provider, model, dimensions, query_prefix, passage_prefix, quantisation);

        -- A row with more than 4,020 dimensions does not fit into a page. External and the largest target: such vectors are
        -- moved out of their rows, and all others stay in them, uncompressed as before.
        alter table embedding alter column vector set storage external;
        alter table embedding set (toast_tuple_target = 8160);

        create or replace function create_space_index(space uuid, dimensions integer) returns void
            language plpgsql security definer as $$
            declare
                kind text;
            begin
                select known.quantisation into kind from embedding_space known
                    where known.id = space and known.dimensions = create_space_index.dimensions;
                if not found then
                    raise exception 'there is no such embedding space';
                end if;
                execute format(
                    'create index if not exists %I on embedding using hnsw (%s)
                         with (m = 16, ef_construction = 64) where space_id = %L',
                    'embedding_hnsw_' || replace(space::text, '-', ''),
                    case kind
                        when 'binary' then format('(binary_quantize(vector)::bit(%s)) bit_hamming_ops', dimensions)
                        else format('(vector::halfvec(%s)) halfvec_cosine_ops', dimensions)
                    end, space);
            end $$;
        do $$
            begin
                execute format('alter function create_space_index(uuid, integer) set search_path = pg_catalog, %I, %I, pg_temp',
                    current_schema(), (select extnamespace::regnamespace::name from pg_extension where extname = 'vector'));
            end $$;

        create or replace function delete_connection_space(space uuid) returns boolean
            language plpgsql security definer as $$
            begin
                perform from embedding_space known where known.id = space and known.on_request for update;
                if not found or exists (select from collection where space_id = space)
                        or exists (select from second_space where space_id = space)
                        or exists (select from embedding where space_id = space) then
                    return false;
                end if;
                execute format('drop index if exists %I', 'embedding_hnsw_' || replace(space::text, '-', ''));
                delete from embedding_space where id = space;
                return true;
            end $$;
        do $$
            begin
                execute format('alter function delete_connection_space(uuid) set search_path = pg_catalog, %I, pg_temp',
                    current_schema());
            end $$;
    ",
    down: r"
        -- The spaces that the schema before cannot have, with their vectors.
        delete from second_space where space_id in (select id from embedding_space where quantisation = 'binary');
        delete from embedding where space_id in (select id from embedding_space where quantisation = 'binary');
        update collection set space_id = null
            where space_id in (select id from embedding_space where quantisation = 'binary');
        do $$
            declare
                gone uuid;
            begin
                for gone in select id from embedding_space where quantisation = 'binary' loop
                    execute format('drop index if exists %I', 'embedding_hnsw_' || replace(gone::text, '-', ''));
                end loop;
            end $$;
        delete from embedding_space where quantisation = 'binary';

        create or replace function delete_connection_space(space uuid) returns boolean
            language plpgsql security definer as $$
            begin
                perform from embedding_space known
                    where known.id = space and known.connection_id is not null for update;
                if not found or exists (select from collection where space_id = space)
                        or exists (select from second_space where space_id = space)
                        or exists (select from embedding where space_id = space) then
                    return false;
                end if;
                execute format('drop index if exists %I', 'embedding_hnsw_' || replace(space::text, '-', ''));
                delete from embedding_space where id = space;
                return true;
            end $$;
        do $$
            begin
                execute format('alter function delete_connection_space(uuid) set search_path = pg_catalog, %I, pg_temp',
                    current_schema());
            end $$;

        create or replace function create_space_index(space uuid, dimensions integer) returns void
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
        do $$
            begin
                execute format('alter function create_space_index(uuid, integer) set search_path = pg_catalog, %I, %I, pg_temp',
                    current_schema(), (select extnamespace::regnamespace::name from pg_extension where extname = 'vector'));
            end $$;

        alter table embedding reset (toast_tuple_target);
        alter table embedding alter column vector set storage plain;
        do $$
            begin
                execute (select format('alter table embedding_space drop constraint %I', conname) from pg_constraint
                    where conrelid = 'embedding_space'::regclass and contype = 'u');
            end $$;
        alter table embedding_space
            add unique nulls not distinct (connection_id, provider, model, dimensions, query_prefix, passage_prefix),
            drop constraint embedding_space_half_check,
            drop constraint embedding_space_dimensions_check,
            add constraint embedding_space_dimensions_check check (dimensions between 1 and 4000),
            drop column on_request,
            drop column quantisation;
    ",
};
