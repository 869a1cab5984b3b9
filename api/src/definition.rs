//! Definitions in requests: the problems of invalid ones, the references of valid ones, and their users.

use nvisy_shared::{
    id::{PipelineId, WorkspaceId},
    pipeline::{self, Compiled, InvalidDefinition, references},
    store::{self, Conn, Tx},
};
use serde_json::Value;

use crate::problem::{Code, FieldError, Problem};

/// Compiles a definition; 422 with every problem.
pub fn compile(json: &Value) -> Result<Compiled, Problem> {
    pipeline::compile(json).map_err(|InvalidDefinition(problems)| {
        Problem::invalid(problems.into_iter().map(|problem| field_error("definition", problem)).collect())
    })
}

fn field_error(root: &str, problem: pipeline::Problem) -> FieldError {
    let pipeline::Problem { code, node, field, message, remedy } = problem;
    // Fields of edges and slots are paths of the definition already.
    let place = match node {
        Some(node) if !field.contains('[') || !field.starts_with("edges") => format!("nodes.{node}.{field}"),
        _ => field,
    };
    let path = if place.is_empty() { root.to_owned() } else { format!("{root}.{place}") };
    FieldError::new(path, format!("{}: {message}; {remedy}", code.name()))
}

/// 409 unless everything exists that a stored definition refers to.
pub async fn require_references(tx: &Tx, workspace: WorkspaceId, definition: &Value) -> Result<(), Problem> {
    let compiled = pipeline::compile(definition).map_err(Problem::internal)?;
    not_runnable(missing_references(tx, workspace, &compiled).await?)
}

/// 409 if the pipeline `id` would start after its own runs, by itself or through other enabled pipelines.
pub async fn require_no_trigger_cycle(
    tx: &Tx,
    workspace: WorkspaceId,
    (id, name): (PipelineId, &str),
    definition: &Value,
) -> Result<(), Problem> {
    let compiled = pipeline::compile(definition).map_err(Problem::internal)?;
    if references::followed(&compiled).next().is_none() {
        return Ok(());
    }
    let others = store::run::enabled_pipelines(tx, workspace).await?;
    let followed = others.iter().filter(|other| other.id != id).filter_map(|other| {
        let compiled = pipeline::compile(&other.definition).ok()?;
        Some((other.name.clone(), references::followed(&compiled).map(str::to_owned).collect()))
    });
    not_runnable(references::trigger_cycles(name, &compiled, &followed.collect()))
}

/// 409 if there are problems.
fn not_runnable(problems: Vec<pipeline::Problem>) -> Result<(), Problem> {
    if problems.is_empty() {
        return Ok(());
    }
    let errors = problems.into_iter().map(|problem| field_error("definition", problem)).collect();
    Err(Problem::new(Code::PipelineNotRunnable).fields(errors))
}

/// The collections, pipelines and connections that a definition names and the workspace does not have, and connections whose providers
/// cannot do what nodes need.
pub async fn missing_references(
    conn: &impl Conn,
    workspace: WorkspaceId,
    compiled: &Compiled,
) -> Result<Vec<pipeline::Problem>, Problem> {
    let collections = store::collection::spaces(conn, workspace).await?;
    let collections = collections.into_iter().map(|collection| collection.name).collect();
    let pipelines = store::pipeline::names(conn, workspace).await?;
    let connections = store::connection::providers(conn, workspace).await?.into_iter().collect();
    Ok(references::missing(compiled, &collections, &pipelines, &connections))
}

/// 409 if an enabled pipeline has a node with these settings: its runs would fail without what the node names.
pub async fn require_unused(tx: &Tx, workspace: WorkspaceId, settings: &Value) -> Result<(), Problem> {
    match store::pipeline::enabled_with_node(tx, workspace, settings).await? {
        None => Ok(()),
        Some(name) => {
            let detail =
                format!("the pipeline `{name}` is enabled and names it; change or disable that pipeline first");
            Err(Problem::new(Code::InUse).detail(detail))
        }
    }
}
