//! What becomes of an account: changes, its picture, its end.

crate::migration! {
    "m0012_account_life",
    up: r"
        alter table account
            -- Raised by every change that its owner makes; the account's ETag.
            add column revision integer not null default 1,
            -- When it will be erased; signing in before that takes the deletion back.
            add column erase_at timestamptz,
            add column email_verified_at timestamptz;
        create index account_to_erase on account (erase_at) where erase_at is not null;

        -- Addresses are compared in NFKC from now on; one that another account has already stays as it is.
        update account set email = normalize(lower(normalize(email, NFKC)), NFKC)
        where email <> normalize(lower(normalize(email, NFKC)), NFKC)
          and not exists (select from account other
              where normalize(lower(normalize(other.email, NFKC)), NFKC)
                  = normalize(lower(normalize(account.email, NFKC)), NFKC) and other.id <> account.id);

        create table avatar (
            account_id uuid primary key references account on delete cascade,
            media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/webp')),
            bytes bytea not null check (octet_length(bytes) between 1 and 1048576),
            sha256 bytea not null check (octet_length(sha256) = 32)
        );
    ",
    down: "drop table avatar; alter table account drop column revision, drop column erase_at, drop column email_verified_at;",
}
