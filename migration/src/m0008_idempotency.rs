//! Answers already given to requests that carried an `Idempotency-Key`.

crate::migration! {
    "m0008_idempotency",
    up: r"
        -- Written in the transaction of the effect: a row exists exactly when the effect does.
        create table idempotency (
            -- Who asked and for which operation; keys of different callers never meet.
            scope text not null,
            key text not null check (char_length(key) between 1 and 255),
            fingerprint bytea not null,
            status smallint not null,
            body jsonb not null,
            created_at timestamptz not null default now(),
            primary key (scope, key)
        );
        create index idempotency_by_age on idempotency (created_at);
    ",
    down: "drop table idempotency;",
}
