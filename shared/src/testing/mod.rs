//! For tests: a deployment with its own database and NATS prefix on real servers, removed at the end of the test.

mod database;
mod keys;
mod servers;

pub use database::TestDatabase;
pub use keys::TestKeys;
pub use servers::{Server, TestNats, TestServers};

use crate::{
    blob::{BlobSettings, Blobs},
    config::Config,
    crypt::{Keyring, MasterKey},
    id,
    queue::Queue,
    test_nats,
};

/// The deployment of one test: database, NATS prefix and keys.
pub struct TestDeployment {
    database: TestDatabase,
    keys: TestKeys,
    prefix: String,
    nats_url: String,
}

impl TestDeployment {
    /// On the servers named by `NVISY_TEST_DATABASE_URL` and `NVISY_TEST_NATS_URL`, which `just test` starts.
    pub async fn new() -> Self {
        Self::on(&variable("NVISY_TEST_DATABASE_URL"), &variable("NVISY_TEST_NATS_URL")).await
    }

    /// On servers that the test has started, to stop and restart them.
    pub async fn on(database_url: &str, nats_url: &str) -> Self {
        test_nats::client(nats_url).await;
        Self {
            database: TestDatabase::create(database_url).await,
            keys: TestKeys::generate(),
            prefix: format!("t{}", id::new().simple()),
            nats_url: nats_url.to_owned(),
        }
    }

    /// With a database without tables.
    pub async fn empty() -> Self {
        let (server, nats_url) = (variable("NVISY_TEST_DATABASE_URL"), variable("NVISY_TEST_NATS_URL"));
        test_nats::client(&nats_url).await;
        Self {
            database: TestDatabase::create_empty(&server).await,
            keys: TestKeys::generate(),
            prefix: format!("t{}", id::new().simple()),
            nats_url,
        }
    }

    /// The settings of this deployment, with `changes` (`NVISY_*` names).
    pub fn config(&self, changes: &[(&str, &str)]) -> Config {
        Config::from_variables(self.variables(changes)).expect("a valid test configuration")
    }

    /// The same as environment variables of a process.
    pub fn variables(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let key = |name: &str| self.keys.path(name).display().to_string();
        let mut variables = vec![
            ("NVISY_DATABASE_URL".to_owned(), self.database.url().to_owned()),
            ("NVISY_DATABASE_CONNECTIONS".to_owned(), "8".to_owned()),
            ("NVISY_NATS_URL".to_owned(), self.nats_url.clone()),
            ("NVISY_NATS_PREFIX".to_owned(), self.prefix.clone()),
            ("NVISY_HTTP_ADDRESS".to_owned(), "127.0.0.1:0".to_owned()),
            ("NVISY_HTTP_DRAIN_SECONDS".to_owned(), "0".to_owned()),
            ("NVISY_WORKER_HEALTH_ADDRESS".to_owned(), "127.0.0.1:0".to_owned()),
            // A quarter of the time of most tests was hashing.
            ("NVISY_AUTH_HASH_MEBIBYTES".to_owned(), "12".to_owned()),
            ("NVISY_AUTH_PRIVATE_KEY_FILE".to_owned(), key("private.pem")),
            ("NVISY_AUTH_PUBLIC_KEY_FILE".to_owned(), key("public.pem")),
            ("NVISY_ENCRYPTION_KEY_FILE".to_owned(), key("encryption.key")),
            // Most tests need no vectors, and this provider loads and calls nothing when it is opened.
            ("NVISY_EMBEDDING_PROVIDER".to_owned(), "openai".to_owned()),
            ("NVISY_EMBEDDING_URL".to_owned(), "http://127.0.0.1:9/v1".to_owned()),
            ("NVISY_EMBEDDING_MODEL".to_owned(), "none".to_owned()),
            ("NVISY_EMBEDDING_DIMENSIONS".to_owned(), "384".to_owned()),
            ("NVISY_EMBEDDING_DIRECTORY".to_owned(), variable("NVISY_EMBEDDING_DIRECTORY")),
            ("NVISY_EXTRACT_OCR_DIRECTORY".to_owned(), variable("NVISY_EXTRACT_OCR_DIRECTORY")),
            ("NVISY_EMBEDDING_THREADS".to_owned(), "1".to_owned()),
            // Searches in the background would disturb tests that count statements or time.
            ("NVISY_SEARCH_RECALL_SAMPLE".to_owned(), "0".to_owned()),
            // Models compute on a machine that has many tests to run.
            ("NVISY_SEARCH_EMBEDDING_SECONDS".to_owned(), "60".to_owned()),
            // Servers of tests are on this machine.
            ("NVISY_OUTBOUND_ALLOWED_NETWORKS".to_owned(), "127.0.0.0/8, ::1".to_owned()),
            // Without limits and long waits; tests of sign-up and of limits set their own.
            ("NVISY_AUTH_SIGN_UP".to_owned(), "open".to_owned()),
            ("NVISY_LIMIT_ACCOUNT_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_LIMIT_WORKSPACE_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_LIMIT_ADDRESS_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_LIMIT_NAME_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_LIMIT_NAME_FAILURES_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_LIMIT_REFUSED_MINUTE".to_owned(), "0".to_owned()),
            ("NVISY_QUEUE_LEASE_SECONDS".to_owned(), "2".to_owned()),
            ("NVISY_QUEUE_BACKOFF_MILLIS".to_owned(), "50".to_owned()),
            ("NVISY_QUEUE_POLL_MILLIS".to_owned(), "200".to_owned()),
        ];
        for (name, value) in changes {
            variables.retain(|(known, _)| known != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        variables
    }

    /// The folder of the key files, also for other files of the deployment's processes.
    #[must_use]
    pub fn keys(&self) -> &TestKeys {
        &self.keys
    }

    /// The number of objects in the object store.
    pub async fn stored_objects(&self) -> usize {
        use futures::TryStreamExt;
        let config = self.config(&[]);
        let queue = Queue::connect(&config.nats, &config.queue).await.expect("NATS");
        let key = MasterKey::read(&config.encryption.key_file).expect("the test's key");
        let settings = BlobSettings { bucket: queue.names().files_bucket(), max_bytes: None, replicas: 1 };
        let blobs = Blobs::open(queue.jetstream().clone(), &settings, Keyring::new(key)).await.expect("the bucket");
        let listed: Vec<_> = blobs.list().await.expect("a list").try_collect().await.expect("a whole list");
        listed.len()
    }

    /// The time that the bare object store takes for these bytes, to compare uploads with.
    pub async fn time_bare_put(
        &self,
        chunks: impl futures::Stream<Item = bytes::Bytes> + Send + Unpin,
    ) -> std::time::Duration {
        use futures::StreamExt;
        let config = self.config(&[]);
        let queue = Queue::connect(&config.nats, &config.queue).await.expect("NATS");
        let bucket = format!("{}_bare", self.prefix);
        let settings = async_nats::jetstream::object_store::Config { bucket: bucket.clone(), ..Default::default() };
        let store = queue.jetstream().create_object_store(settings).await.expect("a bucket");
        let mut reader = tokio_util::io::StreamReader::new(chunks.map(Ok::<_, std::io::Error>));
        let began = std::time::Instant::now();
        store.put("bare", &mut reader).await.expect("stored bytes");
        let took = began.elapsed();
        queue.jetstream().delete_object_store(bucket).await.expect("the bucket can be deleted");
        took
    }

    /// The median time that NATS takes for a read and a compare-and-set of a key: the cost of a shared counter there.
    pub async fn time_compare_and_set(&self, rounds: usize) -> std::time::Duration {
        let config = self.config(&[]);
        let queue = Queue::connect(&config.nats, &config.queue).await.expect("NATS");
        let bucket = format!("{}_counters", self.prefix);
        let settings = async_nats::jetstream::kv::Config { bucket: bucket.clone(), ..Default::default() };
        let store = queue.jetstream().create_key_value(settings).await.expect("a bucket");
        store.put("bench", "0".into()).await.expect("a first value");
        let mut times = Vec::new();
        for round in 0..rounds {
            let began = std::time::Instant::now();
            let entry = store.entry("bench").await.expect("a response").expect("the key");
            store.update("bench", round.to_string().into(), entry.revision).await.expect("no other writer");
            times.push(began.elapsed());
        }
        queue.jetstream().delete_key_value(bucket).await.expect("the bucket can be deleted");
        times.sort();
        times[times.len() / 2]
    }

    /// Removes everything from the servers. Fails the test if jobs are left.
    pub async fn close(self) {
        let config = self.config(&[]);
        let queue = Queue::connect(&config.nats, &config.queue).await.expect("NATS at the end of the test");
        queue.destroy().await.expect("the test's streams can be deleted");
        self.database.close().await;
    }
}

/// A variable of the test environment.
///
/// # Panics
/// When it is not set.
#[must_use]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests through `just test`"))
}
