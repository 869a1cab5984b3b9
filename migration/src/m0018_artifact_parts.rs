//! Places of artifact parts that leave room for units that give more elements than they take.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0018_artifact_parts",
    up: r"
        alter table artifact_part alter column first type bigint;
    ",
    down: r"
        alter table artifact_part alter column first type integer;
    ",
};
