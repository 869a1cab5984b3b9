//! The index of words: postings of terms, in place of lexemes in the rows of chunks.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0023_postings",
    up: r#"
        -- A unit: chunks of a target that are written together, or, with a higher number, units whose postings were merged.
        -- The list tells the worker what to merge; search does not read it.
        create table posting_unit (
            workspace_id uuid not null,
            collection_id uuid not null,
            unit bigint not null generated always as identity,
            terms integer not null default 0,
            primary key (workspace_id, collection_id, unit)
        );

        -- The documents of a term, packed: number of the document, frequency of the term, length of the document. Without
        -- foreign keys, which would cost a look-up for each term: the trigger of `collection` deletes them.
        create table posting (
            workspace_id uuid not null,
            collection_id uuid not null,
            term text collate "C" not null,
            unit bigint not null,
            documents integer not null check (documents > 0),
            postings bytea storage external not null,
            primary key (workspace_id, collection_id, term, unit)
        ) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

        -- Units of deleted targets, whose postings search leaves out until the worker has removed them.
        create table posting_tombstone (
            workspace_id uuid not null,
            collection_id uuid not null,
            id bigint not null generated always as identity,
            units bigint[] not null,
            chunks bigint not null,
            primary key (workspace_id, collection_id, id)
        );

        alter table target
            -- Its units, and the number of words of its chunks.
            add column units bigint[] not null default '{}',
            add column words bigint not null default 0,
            -- Whether its chunks have postings. The worker adds those of targets that are older than this table.
            add column has_postings boolean not null default true;
        update target set has_postings = false where exists (
            select from chunk where chunk.workspace_id = target.workspace_id and chunk.target_id = target.id);
        create index target_without_postings on target (workspace_id, collection_id) where not has_postings;

        drop index chunk_lexemes;
        alter table chunk
            drop column lexemes,
            drop column language,
            -- Its number in postings: 4,096 times the unit, plus its place there.
            add column document bigint;
        create unique index chunk_by_document on chunk (workspace_id, document) where document is not null;

        alter table collection_usage add column words bigint not null default 0;

        -- As before, with the number of words.
        create or replace function count_changed_targets() returns trigger language plpgsql as $$
            declare
                change record;
            begin
                for change in
                    with changed as (
                        select workspace_id, collection_id, file_id, 1 as targets, chunk_count, vector_count, words
                        from added where live
                        union all
                        select workspace_id, collection_id, file_id, -1, -chunk_count, -vector_count, -words
                        from removed where live),
                    by_file as (
                        select workspace_id, collection_id, file_id, sum(targets) as targets, sum(chunk_count) as chunks,
                            sum(vector_count) as vectors, sum(words) as words
                        from changed group by 1, 2, 3)
                    select workspace_id, collection_id, sum((now > 0)::integer - (now - targets > 0)::integer) as files,
                        sum(chunks) as chunks, sum(vectors) as vectors, sum(words) as words
                    from by_file cross join lateral (
                        select count(*) as now from target t
                        where t.workspace_id = by_file.workspace_id and t.file_id = by_file.file_id
                            and t.collection_id = by_file.collection_id and t.live) found
                    group by 1, 2 order by 1, 2
                loop
                    perform from workspace_usage where workspace_id = change.workspace_id for no key update;
                    update collection_usage u set files = u.files + change.files, chunks = u.chunks + change.chunks,
                        vectors = u.vectors + change.vectors, words = u.words + change.words
                    where u.workspace_id = change.workspace_id and u.collection_id = change.collection_id;
                end loop;
                return null;
            end $$;

        -- As before, with the number of words; the units of removed targets become tombstones, unless their collection is
        -- deleted, too.
        create or replace function count_removed_targets() returns trigger language plpgsql as $$
            declare
                change record;
            begin
                for change in
                    with by_file as (
                        select workspace_id, collection_id, file_id, sum(chunk_count) as chunks, sum(vector_count) as vectors,
                            sum(words) as words
                        from removed where live group by 1, 2, 3)
                    select workspace_id, collection_id, sum(1 - (now > 0)::integer) as files, sum(chunks) as chunks,
                        sum(vectors) as vectors, sum(words) as words
                    from by_file cross join lateral (
                        select count(*) as now from target t
                        where t.workspace_id = by_file.workspace_id and t.file_id = by_file.file_id
                            and t.collection_id = by_file.collection_id and t.live) found
                    group by 1, 2 order by 1, 2
                loop
                    perform from workspace_usage where workspace_id = change.workspace_id for no key update;
                    update collection_usage u set files = u.files - change.files, chunks = u.chunks - change.chunks,
                        vectors = u.vectors - change.vectors, words = u.words - change.words
                    where u.workspace_id = change.workspace_id and u.collection_id = change.collection_id;
                end loop;
                insert into posting_tombstone (workspace_id, collection_id, units, chunks)
                    select r.workspace_id, r.collection_id, array_agg(r.unit order by r.unit), sum(r.share)
                    from (
                        select workspace_id, collection_id, unnest(units) as unit,
                            ceil(chunk_count / cardinality(units)::numeric) as share
                        from removed where cardinality(units) > 0) r
                    where exists (
                        select from collection c where c.workspace_id = r.workspace_id and c.id = r.collection_id
                            and c.deleted_at is null)
                    group by 1, 2;
                return null;
            end $$;

        create function delete_postings() returns trigger language plpgsql as $$
            begin
                delete from posting where workspace_id = old.workspace_id and collection_id = old.id;
                delete from posting_unit where workspace_id = old.workspace_id and collection_id = old.id;
                delete from posting_tombstone where workspace_id = old.workspace_id and collection_id = old.id;
                return null;
            end $$;
        create trigger collection_postings after delete on collection for each row execute function delete_postings();
    "#,
    down: r"
        drop trigger collection_postings on collection;
        drop function delete_postings();
        drop table posting, posting_unit, posting_tombstone;
        create or replace function count_changed_targets() returns trigger language plpgsql as $$
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
        create or replace function count_removed_targets() returns trigger language plpgsql as $$
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
        alter table collection_usage drop column words;
        alter table target drop column units, drop column words, drop column has_postings;
        drop index chunk_by_document;
        alter table chunk
            drop column document,
            add column language regconfig not null default 'english';
        alter table chunk
            add column lexemes tsvector storage external not null generated always as (to_tsvector(language, text)) stored;
        create index chunk_lexemes on chunk using gin (workspace_id, lexemes);
    ",
};
