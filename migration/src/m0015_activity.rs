//! Who did what: the activity log.

crate::migration! {
    "m0015_activity",
    up: r"
        -- The last place given out in a chain, and the seal of the entry there. One chain for each workspace, named by
        -- its id; the chain of the nil id holds what concerns accounts. Taking a place locks the row until commit.
        create table activity_chain (
            chain uuid primary key,
            seq bigint not null check (seq >= 0),
            seal bytea not null check (octet_length(seal) = 32)
        );

        -- References nothing: what happened outlives whom and what it happened to. Ids only, no names.
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
            address text,
            -- As text: the seal is over these bytes, and jsonb would not keep them.
            details text not null check (details is json),
            -- Keyed hash of the entry and of the seal before it.
            seal bytea not null check (octet_length(seal) = 32),
            primary key (chain, seq),
            check ((actor = 'system') = (account_id is null)),
            check ((actor = 'token') = (token_id is not null))
        );
        create index activity_by_account on activity (chain, account_id, seq) where account_id is not null;
        create index activity_by_action on activity (chain, action, seq);
        create index activity_by_time on activity (chain, created_at, seq);

        create function refuse_activity_change() returns trigger language plpgsql as $$
            begin
                raise exception 'the activity log is append-only' using errcode = 'insufficient_privilege';
            end $$;
        create trigger activity_append_only before update or delete on activity
            for each row execute function refuse_activity_change();
        create trigger activity_not_emptied before truncate on activity
            for each statement execute function refuse_activity_change();

        create trigger activity_chain_kept before delete on activity_chain
            for each row execute function refuse_activity_change();
        create trigger activity_chain_not_emptied before truncate on activity_chain
            for each statement execute function refuse_activity_change();
        create trigger activity_chain_onward before update on activity_chain
            for each row when (new.chain <> old.chain or new.seq < old.seq) execute function refuse_activity_change();

        -- Always: also for sessions that replay a replica's changes, which skip ordinary triggers.
        alter table activity enable always trigger activity_append_only, enable always trigger activity_not_emptied;
        alter table activity_chain enable always trigger activity_chain_kept,
            enable always trigger activity_chain_not_emptied, enable always trigger activity_chain_onward;

        -- The owner's own rights, too: it could give them back to itself, but not by an ordinary statement.
        revoke update, delete, truncate on activity from public, current_user;
        revoke delete, truncate on activity_chain from public, current_user;
    ",
    down: "drop table activity, activity_chain; drop function refuse_activity_change();",
}
