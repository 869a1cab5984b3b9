//! Addresses in the activity log that can be erased without changing it.

crate::migration! {
    "m0033_addresses",
    up: r"
        -- Goes into the key of this person's addresses, and is nowhere else: without the row they cannot be read.
        alter table account add column address_key uuid not null default gen_random_uuid();

        -- In place of `address` where there is somebody whose it is: nonce, sixteen bytes, tag. What stands in `address`
        -- from now on is a network only; the seals of older entries are over whole ones, which stay.
        alter table activity add column address_sealed bytea check (octet_length(address_sealed) = 56),
            add constraint activity_address_once check (address is null or address_sealed is null);
    ",
    down: "alter table activity drop column address_sealed; alter table account drop column address_key;",
}
