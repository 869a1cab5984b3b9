//! Tenants and who belongs to them.

crate::migration! {
    "m0002_workspaces",
    up: r"
        create table workspace (
            id uuid primary key,
            name text not null check (char_length(name) between 1 and 100),
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );

        create table member (
            workspace_id uuid not null references workspace on delete cascade,
            account_id uuid not null references account on delete cascade,
            role text not null check (role in ('guest', 'member', 'admin', 'owner')),
            created_at timestamptz not null default now(),
            primary key (workspace_id, account_id)
        );
        create index member_by_account on member (account_id, workspace_id);
    ",
    down: "drop table member, workspace;",
}
