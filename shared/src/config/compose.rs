//! Variables that `docker-compose.yml` reads from the same `.env`. The programs do not read them.

/// Name, default, description.
const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "POSTGRES_PASSWORD",
        "",
        "Required: password of the database, of letters and digits only, because it is part of a URL.",
    ),
    (
        "POSTGRES_APP_PASSWORD",
        "",
        "Required: password of the role `nvisy_app`, which API and workers use; of letters and digits only.",
    ),
    ("NATS_PASSWORD", "", "Required: password of NATS, of letters and digits only."),
    ("KEYS_DIRECTORY", "./keys", "Folder of the three key files, which `docker compose run --rm keys` creates."),
    ("WORKERS", "1", "Number of workers."),
    (
        "API_ADDRESS",
        "0.0.0.0",
        "Address on which the port of the API is published; 127.0.0.1 behind a reverse proxy on this machine.",
    ),
    ("API_PORT", "8080", "Port of the API on this machine."),
    ("POSTGRES_PORT", "5432", "Port of PostgreSQL, on 127.0.0.1 only."),
    ("NATS_MONITOR_PORT", "8222", "Port of the monitoring of NATS, on 127.0.0.1 only."),
    ("API_MEMORY", "1g", "Most memory of the API."),
    ("WORKER_MEMORY", "3g", "Most memory of a worker."),
    ("POSTGRES_MEMORY", "2g", "Most memory of PostgreSQL."),
    ("NATS_MEMORY", "2g", "Most memory of NATS."),
    ("POSTGRES_CONNECTIONS", "200", "Most connections to PostgreSQL: 17 for each API and worker."),
    ("POSTGRES_SHARED_BUFFERS", "256MB", "Cache of PostgreSQL; a quarter of its memory."),
    ("NATS_SYNC_INTERVAL", "always", "How often NATS syncs writes to disk: `always`, or a duration such as 2m."),
    ("TAG", "local", "Tag of the images nvisy-api and nvisy-worker."),
    ("REVISION", "unknown", "Commit in the labels of the images."),
    ("COMPOSE_PROFILES", "", "`observability` adds the collector, Prometheus, Tempo, Loki and Grafana."),
    ("GRAFANA_PASSWORD", "admin", "Password of the user admin of Grafana; read at its first start only."),
    ("GRAFANA_PORT", "3000", "Port of Grafana, on 127.0.0.1 only."),
    ("PROMETHEUS_PORT", "9090", "Port of Prometheus, on 127.0.0.1 only."),
    ("PROMETHEUS_RETENTION", "30d", "How long metrics are kept."),
];

/// The section of `.env.example`.
pub(super) fn example() -> String {
    let mut text =
        String::from("\n# The following variables are for docker-compose.yml only, see docs/DEPLOYMENT.md.\n");
    for (name, default, help) in VARIABLES {
        text.push_str(&format!("# {help}\n# {name}={default}\n"));
    }
    text
}
