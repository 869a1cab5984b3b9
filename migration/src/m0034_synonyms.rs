//! Synonyms of a workspace, which its searches find as well.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0034_synonyms",
    up: r#"
        -- Exists from the first change on, and stays when the sets are deleted: a revision is never used twice.
        create table synonyms (
            workspace_id uuid primary key references workspace on delete cascade,
            revision integer not null,
            updated_at timestamptz not null default now()
        );

        create table synonym_set (
            workspace_id uuid not null references synonyms (workspace_id) on delete cascade,
            place integer not null,
            sources text[] not null,
            -- Null: each of the sources stands for all others.
            targets text[],
            primary key (workspace_id, place)
        );

        -- The terms by which searches find sets: those of the first word of each source, with its stems in all languages.
        create table synonym_term (
            workspace_id uuid not null,
            term text collate "C" not null,
            place integer not null,
            primary key (workspace_id, term, place),
            foreign key (workspace_id, place) references synonym_set (workspace_id, place) on delete cascade
        );
    "#,
    down: r"
        drop table synonym_term, synonym_set, synonyms;
    ",
};
