//! The dashboards and alerts in `deploy/` query only exported metrics, in the spelling of Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
};

use opentelemetry_proto::tonic::{common::v1::KeyValue, metrics::v1::metric::Data};
use promql_parser::{
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

use super::*;

/// Each series by its name, with its possible labels.
type Series = BTreeMap<String, BTreeSet<String>>;

#[tokio::test]
async fn panels_and_alerts_query_only_exported_metrics() {
    let series = known(&all_metrics().await);
    let queries = queries();
    assert!(queries.len() > 40, "the dashboards are no longer read: {queries:?}");
    let wrong: Vec<String> = queries
        .iter()
        .flat_map(|(place, query, legend)| {
            mistakes(query, legend, &series).into_iter().map(move |mistake| format!("{place}: {mistake}\n  {query}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn queries_of_unknown_series_and_labels_are_found() {
    let series = Series::from([("nvisy_job_oldest_seconds".to_owned(), labels(["job_lane"]))]);
    let wrong = |query: &str, legend: &str| mistakes(query, legend, &series).len();
    assert_eq!(wrong("max by (job_lane) (nvisy_job_oldest_seconds)", "{{job_lane}}"), 0);
    assert_eq!(wrong("max(nvisy_job_oldest)", ""), 1);
    assert_eq!(wrong("max by (lane) (nvisy_job_oldest_seconds)", ""), 1);
    assert_eq!(wrong("max(nvisy_job_oldest_seconds{lane=\"x\"})", ""), 1);
    assert_eq!(wrong("max(nvisy_job_oldest_seconds)", "{{lane}}"), 1);
    assert_eq!(wrong("max(nvisy_job_oldest_seconds", ""), 1);
}

/// The series of the programs, those that the collector's connector adds, and those of Prometheus about the collector.
fn known(exported: &[Metric]) -> Series {
    let mut series = Series::new();
    for metric in exported {
        let (points, total) = match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => (attributes(gauge.data_points.iter().map(|point| &point.attributes)), false),
            Data::Sum(sum) => (attributes(sum.data_points.iter().map(|point| &point.attributes)), sum.is_monotonic),
            Data::Histogram(histogram) => {
                let points = attributes(histogram.data_points.iter().map(|point| &point.attributes));
                add_histogram(&mut series, &spelt(&metric.name, &metric.unit), points);
                continue;
            }
            other => panic!("{} is exported as {other:?}", metric.name),
        };
        let name = spelt(&metric.name, &metric.unit);
        series.insert(if total { format!("{name}_total") } else { name }, points);
    }
    let collector = yaml("otel/collector.yaml");
    let connector = &collector["connectors"]["spanmetrics"];
    let (namespace, unit) =
        (connector["namespace"].as_str().unwrap(), connector["histogram"]["unit"].as_str().unwrap());
    let of_spans = || labels(["service_name", "span_name", "span_kind", "status_code"]);
    series.insert(format!("{}_total", spelt(&format!("{namespace}.calls"), "")), of_spans());
    add_histogram(&mut series, &spelt(&format!("{namespace}.duration"), unit), of_spans());
    for labels in series.values_mut() {
        labels.extend(["job", "instance"].map(str::to_owned));
    }
    series.insert("up".to_owned(), labels(["job", "instance"]));
    series
}

fn add_histogram(series: &mut Series, name: &str, labels: BTreeSet<String>) {
    series.insert(format!("{name}_sum"), labels.clone());
    series.insert(format!("{name}_count"), labels.clone());
    series.insert(format!("{name}_bucket"), labels.into_iter().chain(["le".to_owned()]).collect());
}

/// The name in Prometheus: underscores for dots, and the unit appended unless the name has it. A counted thing in braces is no
/// unit.
fn spelt(name: &str, unit: &str) -> String {
    let name = name.replace('.', "_");
    let unit = match unit {
        "s" => "seconds",
        "By" => "bytes",
        counted if counted.is_empty() || counted.starts_with('{') => return name,
        other => panic!("how does Prometheus spell the unit {other}?"),
    };
    if name.split('_').any(|word| word == unit) { name } else { format!("{name}_{unit}") }
}

fn attributes<'a>(points: impl Iterator<Item = &'a Vec<KeyValue>>) -> BTreeSet<String> {
    points.flatten().map(|attribute| attribute.key.replace('.', "_")).collect()
}

fn labels<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The mistakes in a query.
fn mistakes(query: &str, legend: &str, series: &Series) -> Vec<String> {
    // Grafana replaces it by a duration.
    match parser::parse(&query.replace("$__rate_interval", "1m")) {
        Err(error) => vec![error],
        Ok(expression) => {
            let mut reader = Reader { series, mistakes: Vec::new(), kept: BTreeSet::new() };
            let Ok(_) = walk_expr(&mut reader, &expression);
            let shown = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim);
            let lost = shown.filter(|label| !reader.kept.contains(*label));
            let lost: Vec<String> =
                lost.map(|label| format!("the legend shows {label}, which the query drops")).collect();
            reader.mistakes.into_iter().chain(lost).collect()
        }
    }
}

struct Reader<'a> {
    series: &'a Series,
    mistakes: Vec<String>,
    /// Labels that an aggregation keeps.
    kept: BTreeSet<String>,
}

impl Reader<'_> {
    fn selector(&mut self, selector: &VectorSelector) {
        let name = selector.name.as_deref().unwrap_or_default();
        let Some(labels) = self.series.get(name) else {
            self.mistakes.push(format!("nothing exports {name}"));
            return;
        };
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                self.mistakes.push(format!("{name} has no label {}", matcher.name));
            }
        }
    }
}

impl ExprVisitor for Reader<'_> {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                let by = aggregate.modifier.iter().flat_map(|modifier| &modifier.labels().labels);
                let mut inner = SeriesNames(Vec::new());
                let Ok(_) = walk_expr(&mut inner, &aggregate.expr);
                for label in by {
                    self.kept.insert(label.clone());
                    let lacking = inner
                        .0
                        .iter()
                        .filter(|name| self.series.get(*name).is_some_and(|labels| !labels.contains(label)));
                    self.mistakes.extend(lacking.map(|name| format!("{name} has no label {label}")));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// The names of all series in an expression.
struct SeriesNames(Vec<String>);

impl ExprVisitor for SeriesNames {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        match expression {
            Expr::VectorSelector(selector) => self.0.extend(selector.name.clone()),
            Expr::MatrixSelector(matrix) => self.0.extend(matrix.vs.name.clone()),
            _ => {}
        }
        Ok(true)
    }
}

/// Place, query and legend of all Prometheus queries.
fn queries() -> Vec<(String, String, String)> {
    let mut queries = Vec::new();
    for file in files(&deploy().join("grafana/dashboards")) {
        let dashboard: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                if target["datasource"]["type"] == "prometheus" {
                    let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
                    queries.push((format!("{name}, {}", panel["title"]), text("expr"), text("legendFormat")));
                }
            }
        }
    }
    for group in yaml("prometheus/alerts.yaml")["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let place = format!("alerts.yaml, {}", rule["alert"]);
            queries.push((place, rule["expr"].as_str().unwrap().to_owned(), String::new()));
        }
    }
    queries
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(deploy().join(path)).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}
