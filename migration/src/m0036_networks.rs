//! From which networks people are signed in.

crate::migration! {
    "m0036_networks",
    up: r"
        -- Asked only where an account is being guessed at. Of an IPv6 address the /64: one caller has all of it.
        create index session_by_network on session
            (network(set_masklen(address::inet, case family(address::inet) when 4 then 32 else 64 end)));
    ",
    down: "drop index session_by_network;",
}
