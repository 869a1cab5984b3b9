//! What `docker-compose.yml` reads from the same `.env`. Nvisy itself reads none of it.

/// Name, what holds when it is not set, one sentence.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("POSTGRES_PASSWORD", "", "Must be set: the database's password, of letters and digits, since it stands in a URL."),
    (
        "POSTGRES_APP_PASSWORD",
        "",
        "Must be set: another one, of letters and digits too, for the role `nvisy_app` that API and workers use.",
    ),
    ("NATS_PASSWORD", "", "Must be set: the password of NATS, of letters and digits too."),
    ("KEYS_DIRECTORY", "./keys", "Folder of the three key files, which `docker compose run --rm keys` makes."),
    ("WORKERS", "1", "How many workers run."),
    ("API_ADDRESS", "0.0.0.0", "Where the API can be reached from; 127.0.0.1 behind a reverse proxy on this machine."),
    ("API_PORT", "8080", "The API's port on this machine."),
    ("POSTGRES_PORT", "5432", "PostgreSQL's port, on 127.0.0.1 only."),
    ("NATS_MONITOR_PORT", "8222", "Port of NATS' monitoring, on 127.0.0.1 only."),
    ("API_MEMORY", "1g", "Most memory of the API."),
    ("WORKER_MEMORY", "3g", "Most memory of a worker."),
    ("POSTGRES_MEMORY", "2g", "Most memory of PostgreSQL."),
    ("NATS_MEMORY", "2g", "Most memory of NATS."),
    ("POSTGRES_CONNECTIONS", "200", "Most connections to PostgreSQL: 17 for each API and worker."),
    ("POSTGRES_SHARED_BUFFERS", "256MB", "PostgreSQL's cache; a quarter of its memory."),
    (
        "NATS_SYNC_INTERVAL",
        "always",
        "How often NATS forces what it has written to disk: `always`, or a duration such as 2m.",
    ),
    ("TAG", "local", "Tag of the images nvisy-api and nvisy-worker."),
    ("REVISION", "unknown", "Written into the images' labels: the commit they are built from."),
    ("COMPOSE_PROFILES", "", "`observability` adds the collector, Prometheus, Tempo, Loki and Grafana."),
    ("GRAFANA_PASSWORD", "admin", "Password of Grafana's user admin; read at its first start only."),
    ("GRAFANA_PORT", "3000", "Grafana's port, on 127.0.0.1 only."),
    ("PROMETHEUS_PORT", "9090", "Prometheus' port, on 127.0.0.1 only."),
    ("PROMETHEUS_RETENTION", "30d", "How long metrics are kept."),
];

/// The section of `.env.example`.
pub(super) fn example() -> String {
    let mut text = String::from("\n# What follows is for docker-compose.yml only: docs/DEPLOYMENT.md.\n");
    for (name, default, help) in VARIABLES {
        text.push_str(&format!("# {help}\n# {name}={default}\n"));
    }
    text
}
