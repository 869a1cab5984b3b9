//! Runs and their ends.

use serde_json::{Value, json};

use super::{Setup, TestAccount, TestApp, wait_until};

impl TestApp {
    /// The run with this path, once it has ended.
    pub async fn ended_run(&self, caller: &TestAccount, path: &str) -> Value {
        wait_until("the run has ended", async || {
            let run = self.get(caller, path).await.expect(200);
            run["finishedAt"].is_string().then_some(run)
        })
        .await
    }
}

impl Setup {
    /// Starts a run of a pipeline over the files of its source; returns the path of the run.
    pub async fn start_run(&self, pipeline: &str) -> String {
        let run = self.app.post(&self.ada, &self.path(&format!("{pipeline}/runs")), &json!({})).await.expect(202);
        format!("runs/{}", run["id"].as_str().unwrap())
    }

    /// A run of a pipeline over the files of its source, once it has ended.
    pub async fn run(&self, pipeline: &str) -> Value {
        let run = self.start_run(pipeline).await;
        self.ended_run(&run).await
    }

    /// The run with this path, once it has ended.
    pub async fn ended_run(&self, run: &str) -> Value {
        self.app.ended_run(&self.ada, &self.path(run)).await
    }

    /// The names of the files that runs have made of others, in order.
    pub async fn derived_names(&self) -> Vec<String> {
        let rows = self.app.rows("select name from file where parent_id is not null order by name").await;
        rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }
}
