//! What programs need that run as a role which owns nothing.

crate::migration! {
    "m0034_rights",
    up: r"
        -- A chain only goes on: another seal in the same place would make what is in order look broken.
        drop trigger activity_chain_onward on activity_chain;
        create trigger activity_chain_onward before update on activity_chain
            for each row when (new.chain <> old.chain or new.seq <= old.seq) execute function refuse_activity_change();
        alter table activity_chain enable always trigger activity_chain_onward;

        -- An index is its table's owner's to make: this function lends the owner's rights, for a space that exists.
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
        -- Nobody who calls it decides what the names in it mean.
        do $$
            begin
                execute format('alter function create_space_index(uuid, integer) set search_path = pg_catalog, %I, %I, pg_temp',
                    current_schema(), (select extnamespace::regnamespace::name from pg_extension where extname = 'vector'));
            end $$;
        revoke execute on function create_space_index(uuid, integer) from public;
    ",
    down: "
        grant execute on function create_space_index(uuid, integer) to public;
        alter function create_space_index(uuid, integer) security invoker reset search_path;
        drop trigger activity_chain_onward on activity_chain;
        create trigger activity_chain_onward before update on activity_chain
            for each row when (new.chain <> old.chain or new.seq < old.seq) execute function refuse_activity_change();
    ",
}
