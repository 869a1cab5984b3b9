//! Extensions, and the keys that this database belongs to.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0001_installation",
    up: r"
        create extension if not exists vector;
        create extension if not exists btree_gin;

        -- One row, written at the first start. Programs compare their keys with it; no key can be derived from it.
        create table installation (
            singleton boolean primary key default true check (singleton),
            -- Derived from the master key for this comparison alone.
            master_key_check bytea not null check (length(master_key_check) = 32),
            -- The thumbprint of the public signing key; null until an API has started.
            signing_key_id text,
            created_at timestamptz not null default now()
        );
    ",
    // The extensions stay: other schemas of the database may use them.
    down: "drop table installation;",
};
