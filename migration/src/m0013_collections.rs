//! Collections, and the targets that own the chunks and vectors in them.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0013_collections",
    up: r"
        -- A named index of a workspace.
        create table collection (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            name text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
            description text not null default '' check (char_length(description) <= 1000),
            -- The embedding space of its vectors. Null: the first vectors decide.
            space_id uuid references embedding_space,
            -- Raised by every change; the collection's ETag.
            revision integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            -- From then on search does not read it; the worker erases its targets, and last the row.
            deleted_at timestamptz,
            primary key (workspace_id, id)
        );
        -- Deleting a collection frees its name at once.
        create unique index collection_name on collection (workspace_id, name) where deleted_at is null;
        create index collection_deleted on collection (deleted_at) where deleted_at is not null;
        create index collection_by_space on collection (space_id);

        -- Maintained by triggers, as `workspace_usage`; of live targets.
        create table collection_usage (
            workspace_id uuid not null,
            collection_id uuid not null,
            files bigint not null default 0,
            chunks bigint not null default 0,
            vectors bigint not null default 0,
            primary key (workspace_id, collection_id),
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade
        ) with (fillfactor = 50);

        -- The workspace's own limit, the number, and the operator's quota of collections.
        alter table workspace add column limit_collections bigint check (limit_collections >= 0);
        alter table workspace_usage add column collections bigint not null default 0;
        alter table workspace_quota add column collections bigint check (collections >= 0);

        create function count_collections() returns trigger language plpgsql as $$
            declare
                change integer := 0;
                workspace uuid;
            begin
                if tg_op = 'INSERT' then
                    insert into collection_usage (workspace_id, collection_id) values (new.workspace_id, new.id);
                    workspace := new.workspace_id;
                    change := 1;
                elsif tg_op = 'UPDATE' then
                    workspace := new.workspace_id;
                    change := (new.deleted_at is null)::integer - (old.deleted_at is null)::integer;
                else
                    workspace := old.workspace_id;
                    change := -(old.deleted_at is null)::integer;
                end if;
                if change <> 0 then
                    update workspace_usage set collections = collections + change where workspace_id = workspace;
                end if;
                return null;
            end $$;
        create trigger collection_changed after insert or delete or update of deleted_at on collection
            for each row execute function count_collections();

        -- Every workspace has the collection `default`; the workspace's space becomes the collection's.
        insert into collection (workspace_id, id, name, space_id)
            select id, uuidv7(), 'default', default_space_id from workspace
            where id <> '00000000-0000-0000-0000-000000000000';
        alter table workspace drop column default_space_id;

        -- The rows that a sink has written for an item. They become visible, and are deleted, together.
        create table target (
            workspace_id uuid not null,
            id uuid not null,
            collection_id uuid not null,
            -- Null: no stored pipeline wrote it, or the pipeline was deleted.
            pipeline_id uuid,
            -- The id of the sink in the definition.
            node text not null,
            -- Null: the item was deleted with its pipeline. The worker deletes the target if it is not live.
            item_id uuid,
            file_id uuid not null,
            version_id uuid not null,
            -- Whether search reads it.
            live boolean not null default false,
            chunk_count integer not null default 0,
            -- Counted when it becomes live.
            vector_count integer not null default 0,
            created_at timestamptz not null default now(),
            primary key (workspace_id, id),
            unique (workspace_id, item_id, node),
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade,
            foreign key (workspace_id, pipeline_id) references pipeline (workspace_id, id) on delete set null (pipeline_id),
            foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade
        ) with (fillfactor = 80);
        create index target_by_collection on target (workspace_id, collection_id) where live;
        create index target_not_live_by_collection on target (workspace_id, collection_id) where not live;
        create index target_by_version on target (workspace_id, file_id, version_id);
        create index target_by_pipeline on target (workspace_id, pipeline_id);
        create index target_abandoned on target (id) where not live and item_id is null;

        insert into target (workspace_id, id, collection_id, pipeline_id, node, item_id, file_id, version_id, live,
                chunk_count, vector_count)
            select written.workspace_id, uuidv7(), collection.id, item.pipeline_id, coalesce(item.node, 'index'), item.id,
                written.file_id, written.version_id, file.live_version_id is not distinct from written.version_id,
                written.chunks, coalesce(vectors.n, 0)
            from (select workspace_id, file_id, version_id, count(*) as chunks from chunk group by 1, 2, 3) written
            join file on file.workspace_id = written.workspace_id and file.id = written.file_id
            join collection on collection.workspace_id = written.workspace_id
            left join lateral (
                select i.id, r.pipeline_id, (
                    select node ->> 'id' from jsonb_array_elements(v.definition -> 'nodes') node
                    where node ->> 'type' = 'sink.collection' limit 1) as node
                from run_item i
                join run r on r.workspace_id = i.workspace_id and r.id = i.run_id
                join pipeline_version v on v.workspace_id = r.workspace_id and v.pipeline_id = r.pipeline_id
                    and v.number = r.pipeline_version
                where i.workspace_id = written.workspace_id and i.version_id = written.version_id
                order by i.id desc limit 1) item on true
            left join lateral (
                select count(*) as n from embedding
                where workspace_id = written.workspace_id and version_id = written.version_id
                    and space_id = collection.space_id) vectors on true;

        alter table chunk add column target_id uuid;
        update chunk set target_id = target.id from target
            where target.workspace_id = chunk.workspace_id and target.version_id = chunk.version_id;
        alter table chunk
            drop constraint chunk_workspace_id_version_id_ordinal_key,
            drop constraint chunk_workspace_id_file_id_version_id_fkey,
            alter column target_id set not null,
            add unique (workspace_id, target_id, ordinal),
            add foreign key (workspace_id, target_id) references target (workspace_id, id) on delete cascade;

        -- The target takes the place of file and version: search reads the vectors of live targets.
        alter table embedding
            add column target_id uuid,
            -- The first 16 bytes of the SHA-256 of the embedded text, prefix included: the same input has the same vector.
            add column input_hash uuid;
        update embedding set target_id = chunk.target_id,
                input_hash = encode(substring(sha256(convert_to(space.passage_prefix || chunk.text, 'UTF8')) for 16), 'hex')::uuid
            from chunk, embedding_space space
            where chunk.workspace_id = embedding.workspace_id and chunk.id = embedding.chunk_id
                and space.id = embedding.space_id;
        alter table embedding
            drop constraint embedding_pkey,
            drop column file_id,
            drop column version_id,
            alter column target_id set not null,
            alter column input_hash set not null,
            add primary key (workspace_id, space_id, target_id, chunk_id);
        create index embedding_by_input on embedding (workspace_id, space_id, input_hash);

        update collection_usage set files = found.files, chunks = found.chunks, vectors = found.vectors
            from (select workspace_id, collection_id, count(distinct file_id) as files, sum(chunk_count) as chunks,
                      sum(vector_count) as vectors
                  from target where live group by 1, 2) found
            where found.workspace_id = collection_usage.workspace_id
                and found.collection_id = collection_usage.collection_id;

        -- Adds the live targets of `added` to the usage of their collections, and subtracts those of `removed`. Locks the
        -- workspace's usage first: two transactions that change several collections cannot deadlock.
        create function count_changed_targets() returns trigger language plpgsql as $$
            declare
                change record;
            begin
                for change in
                    with changed as (
                        select workspace_id, collection_id, file_id, 1 as targets, chunk_count, vector_count
                        from added where live
                        union all
                        select workspace_id, collection_id, file_id, -1, -chunk_count, -vector_count
                        from removed where live),
                    by_file as (
                        select workspace_id, collection_id, file_id, sum(targets) as targets, sum(chunk_count) as chunks,
                            sum(vector_count) as vectors
                        from changed group by 1, 2, 3)
                    select workspace_id, collection_id, sum((now > 0)::integer - (now - targets > 0)::integer) as files,
                        sum(chunks) as chunks, sum(vectors) as vectors
                    from by_file cross join lateral (
                        select count(*) as now from target t
                        where t.workspace_id = by_file.workspace_id and t.file_id = by_file.file_id
                            and t.collection_id = by_file.collection_id and t.live) found
                    group by 1, 2 order by 1, 2
                loop
                    perform from workspace_usage where workspace_id = change.workspace_id for no key update;
                    update collection_usage u set files = u.files + change.files, chunks = u.chunks + change.chunks,
                        vectors = u.vectors + change.vectors
                    where u.workspace_id = change.workspace_id and u.collection_id = change.collection_id;
                end loop;
                return null;
            end $$;
        create trigger target_changed after update on target referencing old table as removed new table as added
            for each statement execute function count_changed_targets();

        -- The same for deleted targets.
        create function count_removed_targets() returns trigger language plpgsql as $$
            declare
                change record;
            begin
                for change in
                    with by_file as (
                        select workspace_id, collection_id, file_id, sum(chunk_count) as chunks, sum(vector_count) as vectors
                        from removed where live group by 1, 2, 3)
                    select workspace_id, collection_id, sum(1 - (now > 0)::integer) as files, sum(chunks) as chunks,
                        sum(vectors) as vectors
                    from by_file cross join lateral (
                        select count(*) as now from target t
                        where t.workspace_id = by_file.workspace_id and t.file_id = by_file.file_id
                            and t.collection_id = by_file.collection_id and t.live) found
                    group by 1, 2 order by 1, 2
                loop
                    perform from workspace_usage where workspace_id = change.workspace_id for no key update;
                    update collection_usage u set files = u.files - change.files, chunks = u.chunks - change.chunks,
                        vectors = u.vectors - change.vectors
                    where u.workspace_id = change.workspace_id and u.collection_id = change.collection_id;
                end loop;
                return null;
            end $$;
        create trigger target_removed after delete on target referencing old table as removed
            for each statement execute function count_removed_targets();
    ",
    down: r"
        drop trigger target_changed on target; drop trigger target_removed on target;
        drop trigger collection_changed on collection;
        drop function count_changed_targets(), count_removed_targets(), count_collections();
        truncate embedding, chunk;
        alter table embedding
            drop constraint embedding_pkey, drop column target_id, drop column input_hash,
            add column file_id uuid not null, add column version_id uuid not null,
            add primary key (workspace_id, space_id, version_id, chunk_id);
        alter table chunk
            drop column target_id,
            add unique (workspace_id, version_id, ordinal),
            add foreign key (workspace_id, file_id, version_id)
                references file_version (workspace_id, file_id, id) on delete cascade;
        alter table workspace add column default_space_id uuid references embedding_space;
        alter table workspace drop column limit_collections;
        alter table workspace_usage drop column collections;
        alter table workspace_quota drop column collections;
        drop table target, collection_usage, collection;
    ",
};
