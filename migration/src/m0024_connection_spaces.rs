//! Embedding spaces of connections.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0024_connection_spaces",
    up: r"
        alter table embedding_space
            -- The connection whose server computes the vectors, and its workspace; null: a model of the installation. No foreign
            -- key: vectors remain vectors of the space when the connection is deleted.
            add column workspace_id uuid,
            add column connection_id uuid,
            add check ((workspace_id is null) = (connection_id is null));
        do $$
            begin
                execute (select format('alter table embedding_space drop constraint %I', conname) from pg_constraint
                    where conrelid = 'embedding_space'::regclass and contype = 'u');
            end $$;
        alter table embedding_space
            add unique nulls not distinct (connection_id, provider, model, dimensions, query_prefix, passage_prefix);

        -- Deletes a space of a connection that no collection and no vector is in, with its index. Only a table's owner can drop
        -- its indexes: the function runs with the owner's rights.
        create function delete_connection_space(space uuid) returns boolean
            language plpgsql security definer as $$
            begin
                perform from embedding_space known
                    where known.id = space and known.connection_id is not null for update;
                if not found or exists (select from collection where space_id = space)
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
        revoke execute on function delete_connection_space(uuid) from public;
    ",
    down: r"
        drop function delete_connection_space(uuid);
        delete from embedding where space_id in (select id from embedding_space where connection_id is not null);
        update collection set space_id = null
            where space_id in (select id from embedding_space where connection_id is not null);
        delete from embedding_space where connection_id is not null;
        do $$
            begin
                execute (select format('alter table embedding_space drop constraint %I', conname) from pg_constraint
                    where conrelid = 'embedding_space'::regclass and contype = 'u');
            end $$;
        alter table embedding_space
            drop column connection_id, drop column workspace_id,
            add unique (provider, model, dimensions, query_prefix, passage_prefix);
    ",
};
