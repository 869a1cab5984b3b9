//! Accounts and their credentials: sessions, API tokens, second factors, permissions to sign up.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0002_accounts",
    up: r"
        create table account (
            id uuid primary key,
            -- Normalised by the application, so that one mailbox has one account.
            email text not null unique check (char_length(email) <= 254),
            email_verified_at timestamptz,
            display_name text not null check (char_length(display_name) between 2 and 100),
            password_hash text not null,
            state text not null default 'active' check (state in ('active', 'suspended')),
            -- Part of the key that encrypts this account's addresses in the activity log, and stored nowhere else:
            -- deleting the row makes them unreadable.
            address_salt uuid not null default gen_random_uuid(),
            -- Raised by every change that the account's owner makes; the account's ETag.
            revision integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            -- When the account will be erased; signing in before then cancels the deletion.
            erase_at timestamptz
        );
        create index account_to_erase on account (erase_at) where erase_at is not null;

        create table avatar (
            account_id uuid primary key references account on delete cascade,
            media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/webp')),
            bytes bytea not null check (octet_length(bytes) between 1 and 1048576),
            sha256 bytea not null check (octet_length(sha256) = 32)
        );

        -- Read at every request: deleting the row ends the session.
        create table session (
            id uuid primary key,
            account_id uuid not null references account on delete cascade,
            user_agent text check (char_length(user_agent) <= 255),
            address text,
            created_at timestamptz not null default now(),
            -- Of the last refresh, not of the last request: a read costs no write.
            last_used_at timestamptz not null default now(),
            expires_at timestamptz not null
        );
        create index session_by_account on session (account_id, id);
        create index session_by_expiry on session (expires_at);
        -- Read only while an account's password is being guessed. An IPv6 caller has a whole /64.
        create index session_by_network on session
            (network(set_masklen(address::inet, case family(address::inet) when 4 then 32 else 64 end)));

        -- Every refresh token of a session: one that returns after its successor was used has been stolen.
        create table refresh_token (
            -- SHA-256 of the token.
            hash bytea primary key check (octet_length(hash) = 32),
            session_id uuid not null references session on delete cascade,
            used_at timestamptz
        );
        create index refresh_token_by_session on refresh_token (session_id);

        create table api_token (
            id uuid primary key,
            account_id uuid not null references account on delete cascade,
            name text not null check (char_length(name) between 1 and 100),
            -- SHA-256 of the token.
            hash bytea not null unique check (octet_length(hash) = 32),
            -- The token's last characters, shown in lists.
            hint text not null,
            -- Limited further by the account's role at the time of each request.
            permissions text[] not null check (cardinality(permissions) >= 1),
            -- Null: all workspaces of the account, including later ones.
            workspaces uuid[] check (cardinality(workspaces) >= 1),
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            -- Collected in memory and written in batches.
            last_used_at timestamptz
        );
        create index api_token_by_account on api_token (account_id, id);
        create index api_token_by_expiry on api_token (expires_at);

        create table totp (
            account_id uuid primary key references account on delete cascade,
            -- The generation of the master key that sealed the secret.
            key_id integer not null,
            secret bytea not null,
            -- Null: enrolled but not confirmed, so login does not require it yet.
            confirmed_at timestamptz,
            -- The time step of the last accepted code: no code is accepted twice.
            last_step bigint not null default 0,
            failures integer not null default 0,
            failed_at timestamptz,
            created_at timestamptz not null default now()
        );

        -- Using a code deletes its row.
        create table recovery_code (
            account_id uuid not null references totp on delete cascade,
            hash bytea not null check (octet_length(hash) = 32),
            primary key (account_id, hash)
        );

        -- An operator's permission to sign up with an address. Deleted when the account is created.
        create table sign_up_permit (
            id uuid primary key,
            -- Normalised like the account's.
            email text not null unique check (char_length(email) <= 254),
            -- SHA-256 of the code.
            code_hash bytea not null unique check (octet_length(code_hash) = 32),
            created_at timestamptz not null default now(),
            expires_at timestamptz not null
        );
        create index sign_up_permit_by_expiry on sign_up_permit (expires_at);
    ",
    down: "drop table sign_up_permit, recovery_code, totp, api_token, refresh_token, session, avatar, account;",
};
