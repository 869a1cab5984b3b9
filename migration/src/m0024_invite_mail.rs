//! Invites that are sent by mail.

crate::migration! {
    "m0024_invite_mail",
    up: r"
        alter table mail
            drop constraint mail_kind_check,
            add constraint mail_kind_check
                check (kind in ('sign_up', 'password_reset', 'email_verification', 'email_change', 'invite')),
            -- The invite that an `invite` brings; null again when that is used or taken back: then nothing is sent.
            add column workspace_id uuid,
            add column invite_id uuid,
            -- When a worker last handed it to the mail server.
            add column sent_at timestamptz,
            add foreign key (workspace_id, invite_id) references invite on delete set null,
            add check ((workspace_id is null) = (invite_id is null)),
            add check (kind = 'invite' or invite_id is null);
        create index mail_by_invite on mail (workspace_id, invite_id) where invite_id is not null;
        create index mail_by_email on mail (email);
    ",
    down: r"
        delete from mail where kind = 'invite';
        drop index mail_by_email;
        alter table mail drop column sent_at, drop column invite_id, drop column workspace_id,
            drop constraint mail_kind_check,
            add constraint mail_kind_check
                check (kind in ('sign_up', 'password_reset', 'email_verification', 'email_change'));
    ",
}
