//! Old events are forgotten, and how far is remembered.

crate::migration! {
    "m0027_event_retention",
    up: r"
        -- The last event that is not kept any more: who asks for what came before it must be told so.
        alter table event_counter add column forgotten bigint not null default 0;
    ",
    down: "alter table event_counter drop column forgotten;",
}
