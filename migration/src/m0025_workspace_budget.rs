//! The budget of a workspace for calls of models.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0025_workspace_budget",
    up: r"
        -- The largest cost of a calendar month, in millionths.
        alter table workspace add column monthly_budget bigint check (monthly_budget >= 0);
    ",
    down: r"
        alter table workspace drop column monthly_budget;
    ",
};
