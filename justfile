# The recipes of this repository. `just` alone lists them.

services := "deploy/quickstart/services"
stack := "deploy/quickstart/stack"
# The profile `local` of Cargo.toml: quick to build. Images have the profile `release`.
programs := env("CARGO_TARGET_DIR", "target") / "local"

[private]
default:
    @{{ just_executable() }} --list --unsorted

# Start everything, index the sample documents and ask three questions
[group('start here')]
[no-exit-message]
demo: build generate-env
    @deploy/quickstart/demo.py {{ quote(just_executable()) }}

# Keep a local object store in step: connect, sync, search, change, sync again
[group('start here')]
[no-exit-message]
demo-sync: build generate-env
    @deploy/quickstart/demo_sync.py

# Run all tests against real servers on free ports
[group('start here')]
[positional-arguments]
test *arguments: model
    @{{ services }} install
    @{{ services }} mariadb >/dev/null
    @{{ services }} dovecot >/dev/null
    @{{ services }} object-stores >/dev/null
    @{{ services }} milvus >/dev/null
    @# More tests than cores: many of them wait.
    NEXTEST_TEST_THREADS="${NEXTEST_TEST_THREADS:-$(($(nproc) * 3 / 2))}" NVISY_TEST_LOG="${NVISY_TEST_LOG:-info}" {{ services }} run --throwaway --in-memory -- "$({{ services }} tool cargo-nextest)" nextest run --workspace --locked "$@"
    @{{ just_executable() }} no-secrets-in-logs "$#"

# Fail if a log of the tests that ran last has a secret of a test connection: the marker that they contain, or one that cannot contain it
[private]
no-secrets-in-logs test-arguments="0":
    #!/usr/bin/env bash
    set -euo pipefail
    output={{ env("CARGO_TARGET_DIR", "target") }}/nextest/default/junit.xml
    test -e "$output" || exit 0
    # The key of Azurite's account, and the signature under it.
    if grep -n --text --fixed-strings -e hunter2 -e Eby8vdM02xNOcqFl -e 96c2EygB3PgwPw "$output"; then
        echo "a log has a secret of a test connection: see the lines above, and the test cases before them in $output" >&2
        exit 1
    fi
    if test {{ test-arguments }} = 0 && ! grep --quiet --text --fixed-strings "the worker is ready" "$output"; then
        echo "$output has no logs, so nothing was searched for secrets" >&2
        exit 1
    fi

# Lint the OpenAPI document, use clients generated from it, and compare the API with it
[group('work')]
test-openapi: model
    @{{ services }} install
    NVISY_TEST_OPENAPI_TOOLS="$({{ services }} openapi-tools)" {{ services }} run --throwaway --in-memory -- "$({{ services }} tool cargo-nextest)" nextest run --workspace --locked --run-ignored only openapi_tools::

# Keep PostgreSQL and NATS running between test runs: start, stop or status
[group('work')]
[no-exit-message]
test-services action="start":
    #!/usr/bin/env bash
    set -euo pipefail
    directory=.local/test-services
    case {{ quote(action) }} in
        start)
            {{ services }} up --throwaway --postgres-port 0 --nats-port 0 --dir "$directory" >/dev/null
            {{ services }} status --dir "$directory" ;;
        stop) {{ services }} down --destroy --dir "$directory" ;;
        status) {{ services }} status --dir "$directory" ;;
        *) echo "test-services: start, stop or status" >&2; exit 2 ;;
    esac

# Run services, API and workers in the background and wait until they are healthy
[group('run')]
[no-exit-message]
up workers="1": build generate-env
    @{{ stack }} up --workers {{ workers }}

# Stop everything; all data is kept
[group('run')]
down:
    @{{ stack }} down

# Show processes, addresses and health
[group('run')]
[no-exit-message]
status:
    @{{ stack }} status

# Follow all logs
[group('run')]
[no-exit-message]
logs:
    @{{ stack }} logs

# Rebuild and restart on every change of a source file
[group('run')]
[no-exit-message]
dev: generate-env
    @deploy/quickstart/dev.py

# Open the running database
[group('run')]
[no-exit-message]
[positional-arguments]
psql *arguments:
    @{{ services }} psql -- "$@"

# Format the code
[group('work')]
fmt:
    cargo fmt --all

# Lint with warnings as errors
[group('work')]
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Check the spelling of code and documents
[group('work')]
spelling:
    "$({{ services }} tool typos)"

# Check dependencies: licences, sources, doubles, walls between crates, unused ones
[group('work')]
dependencies:
    @# Also those of other systems, which no build here downloads.
    cargo fetch --quiet --locked
    "$({{ services }} tool cargo-deny)" --offline --locked check bans licenses sources
    "$({{ services }} tool cargo-shear)" --locked

# Build the documentation with warnings as errors
[group('work')]
doc:
    @# `--examples` selects none here, but makes Cargo count the features of dev-dependencies, as lint does: their crates are shared.
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace --lib --examples --locked

# Run everything that a change must pass: format, spelling, dependencies, lint, tests, docs
[group('work')]
ci:
    #!/usr/bin/env bash
    set -euo pipefail
    # A clean clone compiles each crate once.
    export CARGO_INCREMENTAL=0
    stage() {
        local name=$1 started=$SECONDS
        shift
        printf '\n=== %s\n' "$name"
        "$@"
        printf '=== %s passed in %d s\n' "$name" $((SECONDS - started))
    }
    stage format cargo fmt --all --check
    stage spelling {{ just_executable() }} spelling
    stage dependencies {{ just_executable() }} dependencies
    stage lint {{ just_executable() }} lint
    stage test {{ just_executable() }} test
    stage openapi {{ just_executable() }} test-openapi
    stage docs {{ just_executable() }} doc

# Build the programs for this machine
[group('prepare')]
build:
    @test -x {{ programs }}/nvisy-api || echo "Building Nvisy; the first time this takes some minutes." >&2
    cargo build --profile local --workspace --bins --locked

# Allow an address to sign up: prints its invite code
[group('run')]
[no-exit-message]
allow-sign-up email: build
    @{{ stack }} run -- {{ programs }}/nvisy-api allow-sign-up {{ quote(email) }}

# Download the local embedding model
[group('prepare')]
model:
    @{{ services }} model

# Create .env from the example if it is missing
[group('prepare')]
generate-env:
    @test -e .env || (umask 077 && cp .env.example .env && echo "created .env")

# Regenerate .env.example after a change of the settings
[group('prepare')]
generate-example:
    cargo run --quiet --locked -p nvisy-api -- env-example > .env.example.new
    mv .env.example.new .env.example

# Create missing signing and encryption keys; --force replaces all of them
[group('prepare')]
[positional-arguments]
generate-keys *arguments: build
    {{ programs }}/nvisy-api keys "$@"

# Apply the migrations, and compare the tables with the entities
[group('prepare')]
generate-migrations: build generate-env
    @{{ stack }} run -- {{ programs }}/nvisy-migrate up
    @{{ stack }} run -- {{ programs }}/nvisy-api schema

# Create everything that a fresh clone lacks: .env, keys, tables
[group('prepare')]
generate-all: generate-env generate-keys generate-migrations

# Revert all migrations: deletes all data, asks first
[group('prepare')]
[no-exit-message]
clear-migrations: build
    @{{ stack }} run -- {{ programs }}/nvisy-migrate down

# Compare the embedder with the arithmetic limit of this machine
[group('measure')]
bench-embedder: model
    NVISY_EMBEDDING_DIRECTORY="$({{ services }} model)" cargo bench --locked -p nvisy-embed --bench embedder

# Show what it costs to find the best documents by words in 10,000 to 1,000,000 of them
[group('measure')]
bench-lexical:
    cargo bench --locked -p nvisy-lexical --bench best

# Compare indexing end to end with the bare embedder
[group('measure')]
bench-ingest: (bench "ingest")

# Show the CPU time of a worker for each item and node of a run
[group('measure')]
bench-pipelines items="100000": (bench "pipelines" items)

# Show how long a short file waits behind a long one, and the throughput meanwhile
[group('measure')]
bench-fairness: (bench "fairness")

# Compare each node that runs on this machine with the bare library that it is built on, and each call of a model with a bare one
bench-nodes: model
    @{{ services }} install
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-worker --bench nodes

# Compare search with bare SQL statements and with exact search, and show how its CPU time grows: up to 1,000,000 chunks
[group('measure')]
bench-search chunks="100000": (bench "search" chunks)

# Compare the indexes of embedding spaces with one of whole numbers: build time, size, recall and time of a walk
[group('measure')]
bench-space-index vectors="100000" dimensions="384": model
    @{{ services }} install
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- space_index {{ vectors }} {{ dimensions }}

# Search while a collection moves to another model: failures, and times compared with quiet ones
[group('measure')]
bench-space-move chunks="100000": (bench "space_move" chunks)

# Show how good the hits of each mode are, on the judged collection here and on one in a folder in the format of BEIR
[group('measure')]
bench-quality folder="": model
    @{{ services }} install
    cargo build --release --workspace --bins --locked
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- quality {{ quote(folder) }}

# Compare requests with a bare handler and the bare statement, with and without limits
[group('measure')]
bench-http: (bench "http")

# Compare an upload with the bare object store, and show its memory
[group('measure')]
bench-upload: (bench "upload")

# Compare syncs of small objects, of a large one and of rows with the bare clients, and show the memory of the worker
[group('measure')]
bench-sync objects="5000" listed="100000" megabytes="5000" rows="100000": model
    @{{ services }} install
    @{{ services }} object-stores >/dev/null
    cargo build --release --workspace --bins --locked
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- sync_objects {{ objects }}
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- sync_listing {{ listed }}
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- sync_large_object {{ megabytes }}
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- sync_rows {{ rows }}

# Download sample documents of all formats for `bench-extract`; prints their folder
[group('measure')]
extract-corpus:
    @worker/extract/benches/corpus.py .local/extract-corpus

# Compare extraction of the files of a folder with reference tools: quality, speed, memory
[group('measure')]
bench-extract folder: model
    NVISY_OCR_DIRECTORY="$(realpath .local/models/PP-OCRv6-small)" cargo bench --locked -p nvisy-extract --bench extract -- "$(realpath {{ quote(folder) }})"

# Compare extraction of the files of a folder with readers of PyPI and Debian: quality, CPU time, memory
[group('measure')]
bench-extract-peers folder *options: model
    @worker/extract/benches/peers.py {{ quote(folder) }} {{ options }}

[private]
bench name argument="": model
    @{{ services }} install
    cargo build --release --workspace --bins --locked
    {{ services }} run --throwaway -- cargo bench --locked -p nvisy-api --bench api -- {{ name }} {{ argument }}
