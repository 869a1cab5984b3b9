//! The activity log: an append-only audit log.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0011_activity",
    up: r"
        -- The last entry of each chain and its MAC. Each workspace has a chain, named by its id; the chain of the nil id
        -- is the log of accounts. Appending locks the row until commit.
        create table activity_chain (
            chain uuid primary key,
            seq bigint not null check (seq >= 0),
            mac bytea not null check (octet_length(mac) = 32)
        );

        -- Refers to no other table: entries outlive their actors and objects. Ids only, no names.
        create table activity (
            chain uuid not null,
            seq bigint not null check (seq >= 1),
            id uuid not null,
            created_at timestamptz not null,
            actor text not null check (actor in ('account', 'token', 'system')),
            account_id uuid,
            token_id uuid,
            action text not null,
            object_kind text not null,
            object_id uuid not null,
            request_id text,
            -- The network of a caller without an account.
            address text,
            -- The address of a caller with an account: nonce, 16 encrypted bytes, tag. Deleting the account makes it
            -- unreadable without changing the log.
            address_sealed bytea check (octet_length(address_sealed) = 56),
            -- Text, not jsonb: the MAC covers these bytes, which jsonb would not preserve.
            details text not null check (details is json),
            -- Keyed hash of the entry and of the previous entry's MAC.
            mac bytea not null check (octet_length(mac) = 32),
            primary key (chain, seq),
            check ((actor = 'system') = (account_id is null)),
            check ((actor = 'token') = (token_id is not null)),
            constraint activity_address_once check (address is null or address_sealed is null)
        );
        create index activity_by_account on activity (chain, account_id, seq) where account_id is not null;
        create index activity_by_action on activity (chain, action, seq);
        create index activity_by_time on activity (chain, created_at, seq);
        -- The log of accounts: entries about an account by others, such as a rejected login, and entries by id, from which
        -- the next page of that log continues.
        create index activity_about_account on activity (object_id, seq)
            where chain = '00000000-0000-0000-0000-000000000000';
        create index activity_of_accounts on activity (id) where chain = '00000000-0000-0000-0000-000000000000';

        create function reject_activity_change() returns trigger language plpgsql as $$
            begin
                raise exception 'the activity log is append-only' using errcode = 'insufficient_privilege';
            end $$;
        create trigger activity_append_only before update or delete on activity
            for each row execute function reject_activity_change();
        create trigger activity_not_emptied before truncate on activity
            for each statement execute function reject_activity_change();

        create trigger activity_chain_kept before delete on activity_chain
            for each row execute function reject_activity_change();
        create trigger activity_chain_not_emptied before truncate on activity_chain
            for each statement execute function reject_activity_change();
        -- A chain only grows: another MAC at the same place would make an intact chain look broken.
        create trigger activity_chain_onward before update on activity_chain
            for each row when (new.chain <> old.chain or new.seq <= old.seq) execute function reject_activity_change();

        -- Always: replication sessions skip ordinary triggers.
        alter table activity enable always trigger activity_append_only, enable always trigger activity_not_emptied;
        alter table activity_chain enable always trigger activity_chain_kept,
            enable always trigger activity_chain_not_emptied, enable always trigger activity_chain_onward;

        -- The owner's rights, too: the owner could grant them to itself again, but not by accident.
        revoke update, delete, truncate on activity from public, current_user;
        revoke delete, truncate on activity_chain from public, current_user;
    ",
    down: "drop table activity, activity_chain; drop function reject_activity_change();",
};
