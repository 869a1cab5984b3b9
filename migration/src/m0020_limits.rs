//! What callers have left of the requests they may make.

crate::migration! {
    "m0020_limits",
    up: r"
        -- Unlogged: written often, and worth nothing after a crash.
        create unlogged table request_limit (
            -- Whose: the kind of limit, and an id or a hash. No address or name stands here.
            key bytea primary key,
            -- As of `at`; it grows with time, up to the limit.
            tokens double precision not null,
            -- Given to the process that asked last.
            granted integer not null,
            at timestamptz not null
        );
        create index request_limit_by_age on request_limit (at);
    ",
    down: "drop table request_limit;",
}
