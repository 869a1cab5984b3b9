//! `just bench-http`: requests per second, the 99th percentile and CPU time per request, compared with a bare handler and
//! the bare statement.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::{DateTime, Utc};
use nvisy_shared::{
    lifecycle::Lifecycle,
    store::{self, Conn as _, Db, rate_limit::Rate},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, Row as _, postgres::PgPoolOptions};

use crate::support::{PASSWORD, TestAccount, TestApp};

/// The duration of each measurement, after the warm-up.
const MEASURED: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_millis(500);
const CONNECTIONS: [usize; 3] = [1, 16, 64];
const WORKERS: usize = 2;
const LISTED: usize = 20;
/// The default number of connections to PostgreSQL; tests have fewer.
const POOL: (&str, &str) = ("NVISY_DATABASE_CONNECTIONS", "16");
/// Limits that count every request and reject none.
const LIMITS: [(&str, &str); 7] = [
    POOL,
    ("NVISY_LIMIT_ACCOUNT_MINUTE", "1000000000"),
    ("NVISY_LIMIT_WORKSPACE_MINUTE", "1000000000"),
    ("NVISY_LIMIT_ADDRESS_MINUTE", "1000000000"),
    ("NVISY_LIMIT_NAME_MINUTE", "1000000000"),
    ("NVISY_LIMIT_NAME_FAILURES_MINUTE", "1000000000"),
    ("NVISY_LIMIT_REFUSED_MINUTE", "1000000000"),
];

/// The result of one measurement.
#[derive(Clone, Copy)]
struct Load {
    /// The warm-up's included.
    requests: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// 503 responses in the same time.
    rejected: usize,
    /// CPU time per request of the process, without the client's, and of PostgreSQL.
    cpu: Cpu,
}

/// CPU time in microseconds.
#[derive(Clone, Copy, Default)]
struct Cpu {
    process: f64,
    postgres: f64,
}

impl Cpu {
    /// The CPU time that this process and the connections of PostgreSQL have used so far.
    async fn now(db: &Db) -> Self {
        let backends = db
            .query_all_raw(store::statement("select pid from pg_stat_activity where datname = current_database()"))
            .await
            .unwrap();
        let pids = backends.iter().map(|row| row.try_get::<i32>("", "pid").unwrap());
        Self { process: process_micros(), postgres: pids.map(|pid| scheduled_micros(&format!("/proc/{pid}"))).sum() }
    }

    fn since(self, earlier: Self) -> Self {
        Self { process: self.process - earlier.process, postgres: self.postgres - earlier.postgres }
    }

    fn per_request(self, requests: usize) -> Self {
        let requests = requests.max(1) as f64;
        Self { process: self.process / requests, postgres: self.postgres / requests }
    }
}

/// Of all threads of this process, also of those that have ended; in ticks of 10 ms.
fn process_micros() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks * 1e4
}

/// Of one thread, or a process with one thread; 0 when it has ended.
fn scheduled_micros(proc: &str) -> f64 {
    let stat = fs::read_to_string(format!("{proc}/schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e3
}

// The runtime of the API itself.
#[tokio::main]
pub async fn run() {
    let app = TestApp::start_with(&[POOL]).await;
    let ada = app.create_account("ada").await;
    let workspace = app.create_workspace(&ada, "Bench").await;
    for n in 1..LISTED {
        app.create_workspace(&ada, &format!("Bench {n}")).await;
    }
    // By primary key, with constant text: prepared once for each connection, as all statements are.
    let sql = format!("select * from account where id = '{}'", ada.id);
    let pool = PgPoolOptions::new().max_connections(16).connect(app.config().database.url.expose()).await.unwrap();
    let bare = bare(pool.clone(), sql.clone());
    let get = |path: &str| get(path, &ada);
    let listed = format!("/api/v1/workspaces?limit={LISTED}");
    let read = format!("/api/v1/workspaces/{workspace}");

    let statement = statement(&pool, &sql).await;
    println!("the bare statement, one after the other             p50 {}", millis(statement));
    println!(
        "{:44} {:>5} {:>10} {:>10} {:>10} {:>8} {:>8} {:>8}",
        "", "conn.", "req/s", "p50", "p99", "503", "CPU us", "PG us"
    );
    let mut results = Vec::new();
    for (name, address, request) in [
        ("bare handler", bare, plain("/bare")),
        ("bare handler, one indexed statement", bare, plain("/statement")),
        ("GET /health/live", app.address, plain("/health/live")),
        ("GET /health", app.address, plain("/health")),
        ("GET /account", app.address, get("/api/v1/account")),
        ("GET /workspaces/{ws}", app.address, get(&read)),
        ("GET /workspaces, 20 of them", app.address, get(&listed)),
    ] {
        results.push(measure(&app.db, name, address, &request).await);
    }
    measure(&app.db, "POST /auth/login", app.address, &login(&ada)).await;

    let lifecycle = Lifecycle::new();
    let limited =
        nvisy_api::app::App::build(app.deployment.config(&LIMITS), lifecycle.clone()).await.unwrap().bind().unwrap();
    let address = limited.address();
    let running = tokio::spawn(limited.run());
    let mut counted = Vec::new();
    for (name, path) in [("GET /account, counted", "/api/v1/account"), ("GET /workspaces/{ws}, counted", read.as_str())]
    {
        counted.push(measure(&app.db, name, address, &get(path)).await);
    }
    for (place, connections) in CONNECTIONS.iter().enumerate() {
        let share = |line: usize, of: usize| results[line][place].per_second / results[of][place].per_second;
        println!(
            "{connections:2} connections: authenticated read / bare with a statement  {:.2}  (target at 16: at least 0.60)",
            share(4, 1)
        );
        println!("{connections:2} connections: read of a workspace / bare with a statement {:.2}", share(5, 1));
        let bare = results[0][place].cpu.process + results[1][place].cpu.postgres;
        for (line, name) in [(4, "/account"), (5, "/workspaces/{ws}")] {
            let Cpu { process, postgres } = results[line][place].cpu;
            println!(
                "{connections:2} connections: CPU of {name} / bare handler and bare statement  {:.2}  (target at 16: at most 2)",
                (process + postgres) / bare
            );
        }
        println!("{connections:2} connections: health / bare handler                       {:.2}", share(2, 0));
        for (line, name) in [(0, "/account"), (1, "/workspaces/{ws}")] {
            let (before, after) = (results[4 + line][place].p50.as_secs_f64(), counted[line][place].p50.as_secs_f64());
            println!(
                "{connections:2} connections: {name}, counted / not counted, p50  {:.3}  (target: at most 1.05)",
                after / before
            );
        }
    }
    let rate = Rate { capacity: 1_000_000_000, per_second: 1.0 };
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        store::rate_limit::take(&app.db, b"bench", rate, 100).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    println!("a share of a limit from PostgreSQL                  p50 {}", millis(times[times.len() / 2]));
    println!(
        "the same from NATS (key-value, read and compare)    p50 {}",
        millis(app.deployment.time_compare_and_set(500).await)
    );
    lifecycle.soft().cancel();
    running.await.unwrap().unwrap();
    app.stop().await;
}

/// A bare actix-web handler, and one with a statement of sqlx that reads a row by its index.
fn bare(pool: PgPool, sql: String) -> SocketAddr {
    let server = HttpServer::new(move || {
        let (pool, sql) = (pool.clone(), sql.clone());
        App::new().route("/bare", web::get().to(|| async { HttpResponse::Ok().json(json!({ "status": "up" })) })).route(
            "/statement",
            web::get().to(move || {
                let (pool, sql) = (pool.clone(), sql.clone());
                async move {
                    let found = sqlx::query(AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap();
                    let text = |column: &str| found.get::<String, _>(column);
                    HttpResponse::Ok().json(json!({
                        "id": found.get::<uuid::Uuid, _>("id"), "email": text("email"),
                        "displayName": text("display_name"), "createdAt": found.get::<DateTime<Utc>, _>("created_at"),
                    }))
                }
            }),
        )
    })
    .workers(WORKERS)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn statement(pool: &PgPool, sql: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..1000 {
        let began = Instant::now();
        sqlx::query(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn plain(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}

fn get(path: &str, account: &TestAccount) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n", account.token).into_bytes()
}

fn login(account: &TestAccount) -> Vec<u8> {
    let body = json!({ "email": account.email, "password": PASSWORD }).to_string();
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The same request over few and many connections.
async fn measure(db: &Db, name: &str, address: SocketAddr, request: &[u8]) -> [Load; 3] {
    let mut found = Vec::new();
    for connections in CONNECTIONS {
        let request = request.to_vec();
        let before = Cpu::now(db).await;
        let mut load = tokio::task::spawn_blocking(move || load(address, &request, connections)).await.unwrap();
        let mut used = Cpu::now(db).await.since(before);
        used.process -= load.cpu.process;
        load.cpu = used.per_request(load.requests);
        println!(
            "{name:44} {connections:5} {:10.0} {:>10} {:>10} {:8} {:8.0} {:8.0}",
            load.per_second,
            millis(load.p50),
            millis(load.p99),
            load.rejected,
            load.cpu.process,
            load.cpu.postgres
        );
        found.push(load);
    }
    [found[0], found[1], found[2]]
}

/// Bare sockets that repeat the request as soon as the response has arrived: a client with minimal cost.
fn load(address: SocketAddr, request: &[u8], connections: usize) -> Load {
    let began = Instant::now();
    let (mut times, mut rejected, mut requests, mut client) = (Vec::new(), 0, 0, 0.0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(|| repeat(address, request, began))).collect();
        for thread in threads {
            let client_thread = thread.join().unwrap();
            times.extend(client_thread.times);
            rejected += client_thread.rejected;
            requests += client_thread.requests;
            client += client_thread.cpu_micros;
        }
    });
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let per_second = times.len() as f64 / MEASURED.as_secs_f64();
    // The client's CPU time; `measure` takes it from that of the process.
    let cpu = Cpu { process: client, postgres: 0.0 };
    Load { requests, per_second, p50: at(50), p99: at(99), rejected, cpu }
}

/// What one connection did.
struct ClientThread {
    /// The durations of responses after the warm-up.
    times: Vec<Duration>,
    /// 503 responses, because few passwords are hashed at a time.
    rejected: usize,
    requests: usize,
    cpu_micros: f64,
}

fn repeat(address: SocketAddr, request: &[u8], began: Instant) -> ClientThread {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = (BufReader::new(socket.try_clone().unwrap()), socket);
    let (mut times, mut rejected, mut line, mut body) = (Vec::new(), 0, String::new(), Vec::new());
    let mut requests = 0;
    while began.elapsed() < WARM_UP + MEASURED {
        let sent = Instant::now();
        writer.write_all(request).unwrap();
        let mut length = 0;
        let (mut first, mut busy) = (true, false);
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if std::mem::take(&mut first) {
                busy = line.starts_with("HTTP/1.1 503");
                assert!(busy || line.starts_with("HTTP/1.1 200"), "{line}");
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
        match began.elapsed() > WARM_UP {
            true if busy => rejected += 1,
            true => times.push(sent.elapsed()),
            false => {}
        }
        requests += 1;
    }
    ClientThread { times, rejected, requests, cpu_micros: scheduled_micros("/proc/thread-self") }
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
