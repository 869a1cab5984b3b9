//! Tokens with which programs act for an account.

crate::migration! {
    "m0013_api_tokens",
    up: r"
        create table api_token (
            id uuid primary key,
            account_id uuid not null references account on delete cascade,
            name text not null check (char_length(name) between 1 and 100),
            -- SHA-256 of the token.
            hash bytea not null unique check (octet_length(hash) = 32),
            -- What it is recognised by in a list: its last characters.
            hint text not null,
            -- Never more than what the account's role allows at the time of the request.
            permissions text[] not null check (cardinality(permissions) >= 1),
            -- Null: all of the account's, also those it joins later.
            workspaces uuid[] check (cardinality(workspaces) >= 1),
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            -- Collected in memory and written in batches.
            last_used_at timestamptz
        );
        create index api_token_by_account on api_token (account_id, id);
        create index api_token_by_expiry on api_token (expires_at);
    ",
    down: "drop table api_token;",
}
