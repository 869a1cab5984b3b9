//! Services of tenants: the signing of requests, deliveries, and fingerprints of texts.

use crate::Script;

pub(crate) const SCRIPT: Script = Script {
    name: "m0019_services",
    up: r"
        alter table workspace
            -- The version of the secret by which requests to services are signed; 0: there is none.
            add column signing_version integer not null default 0 check (signing_version >= 0),
            add column signing_changed_at timestamptz;

        -- A redacted text is not as long as the source that it comes from.
        alter table chunk drop constraint chunk_check, add constraint chunk_range check (end_byte >= start_byte);

        -- The texts that files had first, among those of a run or of a collection.
        create table fingerprint (
            workspace_id uuid not null,
            id uuid not null,
            -- The run or the collection.
            scope_id uuid not null,
            run_id uuid,
            collection_id uuid,
            pipeline_id uuid not null,
            node text not null,
            file_id uuid not null,
            -- Half of the SHA-256 of the text, regardless of white space.
            hash uuid not null,
            -- Similar texts have an equal band (MinHash).
            bands bigint[] not null,
            signature bytea,
            primary key (workspace_id, id),
            check (num_nonnulls(run_id, collection_id) = 1 and scope_id = coalesce(run_id, collection_id)),
            foreign key (workspace_id, run_id) references run (workspace_id, id) on delete cascade,
            foreign key (workspace_id, collection_id) references collection (workspace_id, id) on delete cascade,
            foreign key (workspace_id, file_id) references file (workspace_id, id) on delete cascade
        );
        create index fingerprint_by_hash on fingerprint (workspace_id, scope_id, hash);
        create index fingerprint_by_file on fingerprint (workspace_id, file_id);
        create index fingerprint_by_run on fingerprint (workspace_id, run_id) where run_id is not null;
        create index fingerprint_by_collection on fingerprint (workspace_id, collection_id) where collection_id is not null;
        create index fingerprint_by_band on fingerprint using gin (bands);

        -- Deliveries whose receiver is told when they are obsolete. They outlive file and pipeline until it is.
        create table webhook_target (
            workspace_id uuid not null references workspace on delete cascade,
            pipeline_id uuid not null,
            node text not null,
            file_id uuid not null,
            -- The run that delivered last.
            run_id uuid not null,
            url text not null,
            -- Whether a job tells the receiver.
            obsolete boolean not null default false,
            primary key (workspace_id, pipeline_id, node, file_id)
        );
    ",
    down: r"
        drop table webhook_target;
        drop table fingerprint;
        delete from chunk where end_byte - start_byte <> octet_length(text);
        alter table chunk
            drop constraint chunk_range,
            add constraint chunk_check check (end_byte - start_byte = octet_length(text));
        alter table workspace drop column signing_changed_at, drop column signing_version;
    ",
};
