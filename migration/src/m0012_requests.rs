//! State of requests that all replicas of the API share: idempotency keys and rate limits.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0012_requests",
    up: r"
        -- The response to a request with an `Idempotency-Key`. Written in the transaction of the effect: a row exists
        -- exactly when the effect does.
        create table idempotency (
            -- Caller and operation: keys of different callers cannot collide.
            scope text not null,
            key text not null check (char_length(key) between 1 and 255),
            fingerprint bytea not null,
            status smallint not null,
            body jsonb not null,
            created_at timestamptz not null default now(),
            primary key (scope, key)
        );
        create index idempotency_by_age on idempotency (created_at);

        -- The keys of requests whose bodies are arriving. Unlogged: a crash frees all keys, as it ends all requests.
        create unlogged table idempotency_lease (
            -- As in `idempotency`.
            scope text not null,
            key text not null check (char_length(key) between 1 and 255),
            -- The one request that can renew it.
            holder uuid not null,
            -- Renewed while the body arrives; the key is free from then on.
            until timestamptz not null,
            primary key (scope, key)
        );
        create index idempotency_lease_by_expiry on idempotency_lease (until);

        -- Rate-limit buckets. Unlogged: written often, and worthless after a crash.
        create unlogged table rate_limit_bucket (
            -- The kind of limit, and an id or a hash: no address and no name.
            key bytea primary key,
            -- As of `at`; refilled over time, up to the limit.
            tokens double precision not null,
            -- Granted to the process that requested last.
            granted integer not null,
            at timestamptz not null
        );
        create index rate_limit_bucket_by_age on rate_limit_bucket (at);
    ",
    down: "drop table rate_limit_bucket, idempotency_lease, idempotency;",
};
