//! What else proves who somebody is: codes of a device, and mail that reaches an address.

crate::migration! {
    "m0014_factors_and_mail",
    up: r"
        create table totp (
            account_id uuid primary key references account on delete cascade,
            -- The generation of the master key under which the secret is sealed.
            key_id integer not null,
            secret bytea not null,
            -- Null: enrolled and not confirmed, so it is not asked for yet.
            confirmed_at timestamptz,
            -- The step of the last code that was accepted: none counts twice.
            last_step bigint not null default 0,
            failures integer not null default 0,
            failed_at timestamptz,
            created_at timestamptz not null default now()
        );

        -- A code that is used is gone.
        create table recovery_code (
            account_id uuid not null references totp on delete cascade,
            hash bytea not null check (octet_length(hash) = 32),
            primary key (account_id, hash)
        );

        -- The deployment's own tenant: jobs that belong to nobody's workspace. Nobody is a member of it.
        insert into workspace (id, name) values ('00000000-0000-0000-0000-000000000000', 'system');
        alter table member add constraint member_not_of_system
            check (workspace_id <> '00000000-0000-0000-0000-000000000000');

        -- Mail to be sent, and what the link in it allows. A row is written whether or not anybody has the address.
        create table mail (
            id uuid primary key,
            kind text not null check (kind in ('sign_up', 'password_reset', 'email_verification', 'email_change')),
            email text not null check (char_length(email) <= 254),
            -- Whoever asked, where that is somebody who is signed in.
            account_id uuid references account on delete cascade,
            -- Of a sign-up: the account to be.
            display_name text,
            password_hash text,
            -- SHA-256 of the token in the link; made by the worker that sends the mail.
            hash bytea unique check (octet_length(hash) = 32),
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            check ((kind = 'sign_up') = (password_hash is not null))
        );
        create index mail_by_account on mail (account_id);
        create index mail_by_expiry on mail (expires_at);
    ",
    down: "drop table mail; alter table member drop constraint member_not_of_system;
        delete from workspace where id = '00000000-0000-0000-0000-000000000000'; drop table recovery_code, totp;",
}
