//! Workspaces (the tenants), their members and invites.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0003_workspaces",
    up: r"
        create table workspace (
            id uuid primary key,
            -- Chosen by the application; the default serves the system workspace.
            slug text not null default 'w-' || replace(gen_random_uuid()::text, '-', '')
                check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
            name text not null check (char_length(name) between 1 and 100),
            -- The embedding space in which the workspace is indexed and searched. Null: the first vectors decide.
            default_space_id uuid,
            -- Days after their upload at which files are deleted. Null: never.
            retention_days integer check (retention_days between 1 and 36500),
            -- The workspace's own limits below its quotas. Null: the quota applies.
            limit_files bigint check (limit_files >= 0),
            limit_bytes bigint check (limit_bytes >= 0),
            limit_chunks bigint check (limit_chunks >= 0),
            limit_runs bigint check (limit_runs >= 0),
            -- Raised by every change; the workspace's ETag.
            revision integer not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            -- From then on the workspace has no members; the worker erases its content.
            deleted_at timestamptz
        );
        -- Deleting a workspace frees its slug at once.
        create unique index workspace_slug on workspace (slug) where deleted_at is null;
        create index workspace_deleted on workspace (deleted_at) where deleted_at is not null;
        create index workspace_retention on workspace (id) where retention_days is not null and deleted_at is null;

        create table member (
            workspace_id uuid not null references workspace on delete cascade,
            account_id uuid not null references account on delete cascade,
            role text not null check (role in ('guest', 'member', 'admin', 'owner')),
            created_at timestamptz not null default now(),
            primary key (workspace_id, account_id),
            -- The system workspace has no members.
            constraint member_not_of_system check (workspace_id <> '00000000-0000-0000-0000-000000000000')
        );
        create index member_by_account on member (account_id, workspace_id);

        -- Deleted when the invite is accepted, declined or cancelled, or some time after it expired.
        create table invite (
            workspace_id uuid not null references workspace on delete cascade,
            id uuid not null,
            role text not null check (role in ('guest', 'member', 'admin', 'owner')),
            -- Normalised. Null: the code alone is enough.
            email text check (char_length(email) <= 254),
            -- SHA-256 of the code.
            code_hash bytea not null unique check (octet_length(code_hash) = 32),
            invited_by uuid references account on delete set null,
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            primary key (workspace_id, id)
        );
        create unique index invite_by_email on invite (workspace_id, email) where email is not null;
        create index invite_by_inviter on invite (invited_by) where invited_by is not null;
        create index invite_by_expiry on invite (expires_at);
    ",
    down: "drop table invite, member, workspace;",
};
