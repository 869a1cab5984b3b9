//! Mail to send.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0004_mail",
    up: r"
        -- A message and the token of its link. Written whether or not an account has the address.
        create table mail (
            id uuid primary key,
            kind text not null check (kind in ('sign_up', 'password_reset', 'email_verification', 'email_change', 'invite',
                'email_changed', 'codes_refused')),
            email text not null check (char_length(email) <= 254),
            -- The signed-in account that requested the message, if any.
            account_id uuid references account on delete cascade,
            -- The account that confirming a sign-up will create.
            display_name text,
            password_hash text,
            -- The invite of an `invite` message; null again once that is used or cancelled, and then nothing is sent.
            workspace_id uuid,
            invite_id uuid,
            -- SHA-256 of the token in the link; the worker that sends the message generates it.
            hash bytea unique check (octet_length(hash) = 32),
            created_at timestamptz not null default now(),
            -- When a worker last passed it to the mail server.
            sent_at timestamptz,
            expires_at timestamptz not null,
            foreign key (workspace_id, invite_id) references invite on delete set null,
            check ((kind = 'sign_up') = (password_hash is not null)),
            check ((workspace_id is null) = (invite_id is null)),
            check (kind = 'invite' or invite_id is null)
        );
        create index mail_by_account on mail (account_id);
        create index mail_by_invite on mail (workspace_id, invite_id) where invite_id is not null;
        create index mail_by_email on mail (email);
        create index mail_by_expiry on mail (expires_at);
    ",
    down: "drop table mail;",
};
