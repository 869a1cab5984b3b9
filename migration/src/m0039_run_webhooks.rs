//! Receivers of the ends of runs.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0039_run_webhooks",
    up: r"
        alter table run
            -- The address that gets a message when the run has ended.
            add column webhook_url text,
            -- When the receiver accepted it; null again while a run that was opened again goes on.
            add column webhook_delivered_at timestamptz,
            -- Why it will not be delivered.
            add column webhook_failure text;
    ",
    down: r"
        delete from job where kind = 'run.deliver';
        alter table run drop column webhook_url, drop column webhook_delivered_at, drop column webhook_failure;
    ",
};
