//! Idempotency keys of requests whose bodies are still arriving.

crate::migration! {
    "m0021_claims",
    up: r"
        -- Unlogged: a crash frees all keys, as it ends all requests.
        create unlogged table idempotency_claim (
            -- As in `idempotency`.
            scope text not null,
            key text not null check (char_length(key) between 1 and 255),
            -- The one request that may renew it.
            holder uuid not null,
            -- Renewed while the body arrives; from then on the key is free.
            until timestamptz not null,
            primary key (scope, key)
        );
        create index idempotency_claim_by_age on idempotency_claim (until);
    ",
    down: "drop table idempotency_claim;",
}
