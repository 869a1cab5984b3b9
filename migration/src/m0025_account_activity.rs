//! An account's own part of the activity log.

crate::migration! {
    "m0025_account_activity",
    up: r"
        -- Of the log of accounts alone: what was done to an account by others, such as a refused login, and the place of
        -- an entry by its id, which is what a page of that log goes on from.
        create index activity_about_account on activity (object_id, seq)
            where chain = '00000000-0000-0000-0000-000000000000';
        create index activity_of_accounts on activity (id) where chain = '00000000-0000-0000-0000-000000000000';
    ",
    down: "drop index activity_about_account; drop index activity_of_accounts;",
}
