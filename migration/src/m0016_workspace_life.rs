//! What becomes of a workspace: its slug, its settings, its end.

crate::migration! {
    "m0016_workspace_life",
    up: r"
        alter table workspace
            -- The application gives one; the default serves rows that are older than slugs.
            add column slug text not null default 'w-' || replace(gen_random_uuid()::text, '-', '')
                check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
            -- Raised by every change; the workspace's ETag.
            add column revision integer not null default 1,
            -- Files are deleted this many days after they were uploaded; never where it is null.
            add column retention_days integer check (retention_days between 1 and 36500),
            -- Lower limits than the quotas, by the workspace's own choice; null: as the quota says.
            add column limit_files bigint check (limit_files >= 0),
            add column limit_bytes bigint check (limit_bytes >= 0),
            add column limit_chunks bigint check (limit_chunks >= 0),
            add column limit_runs bigint check (limit_runs >= 0),
            -- Nobody is a member from then on; what is left waits to be erased.
            add column deleted_at timestamptz;
        -- A slug is free again as soon as its workspace is deleted.
        create unique index workspace_slug on workspace (slug) where deleted_at is null;
        create index workspace_deleted on workspace (deleted_at) where deleted_at is not null;
        create index workspace_retention on workspace (id) where retention_days is not null and deleted_at is null;
    ",
    down: "
        alter table workspace drop column slug, drop column revision, drop column retention_days, drop column limit_files,
            drop column limit_bytes, drop column limit_chunks, drop column limit_runs, drop column deleted_at;
    ",
}
