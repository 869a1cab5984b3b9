//! What a listing keeps of an object for the next one.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0027_kept_of_objects",
    up: r"
        alter table source_object
            -- In the form of the provider, such as the validators and links of a page; null: nothing.
            add column kept jsonb;
    ",
    down: r"
        alter table source_object drop column kept;
    ",
};
