//! Invites: who may become a member.

crate::migration! {
    "m0017_invites",
    up: r"
        -- A row lives until the invite is accepted, declined, cancelled or long expired; the activity log remembers it.
        create table invite (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            role text not null check (role in ('guest', 'member', 'admin', 'owner')),
            -- Normalised; null: whoever has the code.
            email text check (char_length(email) <= 254),
            -- SHA-256 of the code.
            code_hash bytea not null unique check (octet_length(code_hash) = 32),
            invited_by uuid references account on delete set null,
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            primary key (workspace_id, id)
        );
        create unique index invite_by_email on invite (workspace_id, email) where email is not null;
        create index invite_by_inviter on invite (invited_by) where invited_by is not null;
        create index invite_by_expiry on invite (expires_at);
    ",
    down: "drop table invite;",
}
