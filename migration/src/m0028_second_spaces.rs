//! A second embedding space of a collection, while it moves from one model to another.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0028_second_spaces",
    up: r"
        -- The contextual prefix that was embedded with the text: vectors in another space have it, too.
        alter table chunk add column prefix text;

        create table second_space (
            workspace_id uuid not null,
            collection_id uuid not null,
            space_id uuid not null references embedding_space,
            state text not null default 'running' check (state in ('running', 'paused', 'failed', 'ready', 'deleting')),
            -- Raised whenever the work begins anew: jobs of earlier epochs do nothing.
            epoch integer not null default 1,
            -- Whether the spaces are exchanged as soon as the second one is complete.
            exchange_requested boolean not null default false,
            -- The last chunk that was read.
            after_target_id uuid not null default '00000000-0000-0000-0000-000000000000',
            after_ordinal integer not null default -1,
            -- Chunks to embed, and how far that is, since the work began.
            chunks bigint not null default 0,
            done bigint not null default 0,
            rejected bigint not null default 0,
            tokens bigint not null default 0,
            tokens_saved bigint not null default 0,
            failure_code text,
            failure_detail text,
            began_at timestamptz not null default now(),
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            primary key (workspace_id, collection_id),
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade
        );
        create index second_space_by_space on second_space (space_id);

        -- With the id, so that the chunks of a collection are read page by page.
        drop index target_by_collection;
        create index target_by_collection on target (workspace_id, collection_id, id) where live;

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
    ",
    down: r"
        create or replace function delete_connection_space(space uuid) returns boolean
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
        delete from embedding e using second_space s, target t
            where e.workspace_id = s.workspace_id and e.space_id = s.space_id and t.workspace_id = e.workspace_id
                and t.id = e.target_id and t.collection_id = s.collection_id;
        drop table second_space;
        drop index target_by_collection;
        create index target_by_collection on target (workspace_id, collection_id) where live;
        alter table chunk drop column prefix;
    ",
};
