//! Samples of queries, to compare the spaces of a collection.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0031_query_samples",
    up: r"
        -- The last queries of searches in a collection with a second space. They are deleted with that space.
        create table query_sample (
            workspace_id uuid not null,
            collection_id uuid not null,
            -- Short enough for an entry of the index.
            query text not null check (char_length(query) <= 500),
            searched_at timestamptz not null default now(),
            primary key (workspace_id, collection_id, query),
            foreign key (workspace_id, collection_id)
                references second_space (workspace_id, collection_id) on delete cascade
        );
    ",
    down: r"
        drop table query_sample;
    ",
};
