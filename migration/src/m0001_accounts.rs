//! Who can sign in.

crate::migration! {
    "m0001_accounts",
    up: r"
        create extension if not exists vector;

        create table account (
            id uuid primary key,
            -- Normalised (trimmed, lower case) by the application, so that uniqueness means what people expect.
            email text not null unique check (char_length(email) <= 254),
            display_name text not null check (char_length(display_name) between 2 and 100),
            password_hash text not null,
            state text not null default 'active' check (state in ('active', 'suspended')),
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );
    ",
    down: "drop table account;",
}
