//! Who may sign up where not everybody may.

crate::migration! {
    "m0035_admissions",
    up: r"
        -- An operator's word that there may be an account of this address. Gone when there is one.
        create table admission (
            id uuid primary key,
            -- Normalised, as the account's will be.
            email text not null unique check (char_length(email) <= 254),
            -- SHA-256 of the code.
            code_hash bytea not null unique check (octet_length(code_hash) = 32),
            created_at timestamptz not null default now(),
            expires_at timestamptz not null
        );
        create index admission_by_expiry on admission (expires_at);
    ",
    down: "drop table admission;",
}
