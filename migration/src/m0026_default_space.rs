//! The embedding space of a workspace.

crate::migration! {
    "m0026_default_space",
    up: r"
        -- Where the workspace's vectors are written and searched. Null: it has none yet; the first that are written decide.
        alter table workspace add column default_space_id uuid references embedding_space;
        -- Of those that are there: the space that knows the newest version, along the key of `embedding`.
        update workspace set default_space_id = (
            select space.id from embedding_space space
            cross join lateral (
                select version_id from embedding
                where embedding.workspace_id = workspace.id and embedding.space_id = space.id
                order by version_id desc limit 1) newest
            order by newest.version_id desc limit 1);
    ",
    down: "alter table workspace drop column default_space_id;",
}
