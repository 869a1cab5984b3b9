//! Where people are signed in.

crate::migration! {
    "m0011_sessions",
    up: r"
        -- Asked for at every request: a row that is gone ends what was signed in.
        create table session (
            id uuid primary key,
            account_id uuid not null references account on delete cascade,
            user_agent text check (char_length(user_agent) <= 255),
            address text,
            created_at timestamptz not null default now(),
            -- Of the last refresh, not of the last request: reading costs no write.
            last_used_at timestamptz not null default now(),
            expires_at timestamptz not null
        );
        create index session_by_account on session (account_id, id);
        create index session_by_expiry on session (expires_at);

        -- Every refresh token that a session has had: one that comes back after its successor was used was stolen.
        create table refresh_token (
            -- SHA-256 of the token.
            hash bytea primary key check (octet_length(hash) = 32),
            session_id uuid not null references session on delete cascade,
            used_at timestamptz
        );
        create index refresh_token_by_session on refresh_token (session_id);
    ",
    down: "drop table refresh_token, session;",
}
