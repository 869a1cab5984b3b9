//! Mail that tells what has happened to an account, and holds no link.

crate::migration! {
    "m0030_notices",
    up: r"
        alter table mail
            drop constraint mail_kind_check,
            add constraint mail_kind_check check (kind in ('sign_up', 'password_reset', 'email_verification',
                'email_change', 'invite', 'email_changed', 'codes_refused'));
    ",
    down: r"
        delete from mail where kind in ('email_changed', 'codes_refused');
        alter table mail
            drop constraint mail_kind_check,
            add constraint mail_kind_check check (kind in ('sign_up', 'password_reset', 'email_verification',
                'email_change', 'invite'));
    ",
}
