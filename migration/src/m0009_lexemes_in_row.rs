//! Where a chunk's lexemes lie.

crate::migration! {
    "m0009_lexemes_in_row",
    up: r"
        -- Ranking reads the lexemes of thousands of rows: keep them in the row, uncompressed, where a page has room.
        alter table chunk alter column lexemes set storage external, set (toast_tuple_target = 8160);
    ",
    down: "alter table chunk alter column lexemes set storage extended, reset (toast_tuple_target);",
}
