//! Which keys belong to this database.

crate::migration! {
    "m0010_installation",
    up: r"
        -- One row, written at the first start: other keys are told from these, and nothing can be made of it.
        create table installation (
            singleton boolean primary key default true check (singleton),
            -- Derived from the master key; not the key of anything.
            master_key_check bytea not null check (length(master_key_check) = 32),
            -- The thumbprint of the public key; null until an API has started.
            signing_key_id text,
            created_at timestamptz not null default now()
        );
    ",
    down: "drop table installation;",
}
