//! `run.admit`: the files of a run enter one page after another, while few of its items are in progress. So the memory and the
//! queue of a run do not grow with the number of its files.

use std::{collections::HashSet, time::Duration};

use nvisy_embed::InputType;
use nvisy_shared::{
    domain::{failure::Failure, filter::Filter, run::RunState, space::Quantisation},
    entity::run,
    id::{ConnectionId, FileId, SpaceId, VersionId, WorkspaceId},
    job::{AdmitItems, SyncSource},
    pipeline::{file_filter::FileFilter, node::Settings, plan::Plan},
    queue::{EmbedQuery, EmbedReply, outbox},
    runs::{self, Selection},
    store::{
        self,
        change::Change,
        job::Claim,
        run_item::NewItem,
        search::{SearchMode, SearchQuery, SpaceVector, collections_by_space, meaning},
        selection::Named,
        synced_file,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    context::Context,
    pipeline::embedding_connection,
    runner::{Handler, JobError, complete_in_tx},
    sync::checkpoint::ListingCheckpoint,
};

/// Files of one page.
const PAGE_FILES: i64 = 200;
/// Jobs among which the items of a page are divided, at least, so that as many slots of workers take part.
const MIN_JOBS: usize = 8;
/// Unfinished items of a run above which no more enter.
const MAX_OPEN_ITEMS: i32 = 1_000;
/// How long the source waits while there are so many.
const WAIT_FOR_ITEMS: Duration = Duration::from_millis(500);

/// How far the sources of a run were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Checkpoint {
    /// The place of the source among those of the plan.
    pub(super) source: usize,
    /// The last file of it that entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<FileId>,
    /// The number of files that entered, of all sources.
    pub(super) entered: u32,
    /// Of them, those of the source.
    pub(super) of_source: u32,
    /// The files that the search of the source has found: the run may change what another search finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<Vec<FileId>>,
    /// How far the connection of the source was listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listing: Option<ListingCheckpoint>,
}

impl Checkpoint {
    /// The beginning of the source behind this one; `None`: there is none.
    pub(super) fn next_source(&self, plan: &Plan) -> Option<Self> {
        let source = self.source + 1;
        (source < sources(plan).len()).then(|| Self { source, entered: self.entered, ..Self::default() })
    }
}

/// A page of files for a source, and the checkpoint behind it; `None`: there are no more.
struct Page {
    entry: usize,
    files: Vec<(FileId, VersionId)>,
    next: Option<Checkpoint>,
}

impl Handler for AdmitItems {
    async fn run(&self, cx: &Context, claim: &Claim) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        let run = store::run::find(&cx.db, workspace, self.run).await?;
        let run = run.filter(|run| run.state.is_open() && !run.admitted).ok_or(JobError::Obsolete)?;
        if run.items_open >= MAX_OPEN_ITEMS {
            let what = "enough items of the run are in progress";
            return Err(JobError::Snooze { what, delay: WAIT_FOR_ITEMS, source: None });
        }
        let plan = cx.plans.get(&cx.db, workspace, run.pipeline_id, run.pipeline_version).await?;
        let selection: Selection = read(run.selection.clone())?;
        let checkpoint: Checkpoint = read(run.checkpoint.clone())?;
        let source = sources(&plan.plan).get(checkpoint.source).cloned();
        if run.syncs
            && source.is_some_and(|source| source.connection.is_some() && takes(&plan.plan, &source, &run, &selection))
        {
            return complete_in_tx(cx, claim, || {
                async |change: &mut Change| {
                    outbox::enqueue(change, workspace, &SyncSource { run: self.run }).await?;
                    Ok(())
                }
            })
            .await;
        }
        let page = page(cx, &run, &plan.plan, &selection, checkpoint).await?;
        complete_in_tx(cx, claim, || {
            let (plan, page, run) = (&plan.plan, &page, &run);
            async move |change: &mut Change| {
                let items: Vec<_> = page
                    .files
                    .iter()
                    .map(|&(file, version)| {
                        let stage = plan.stage(page.entry).to_owned();
                        NewItem { file, version, entry: page.entry, parent: None, stage }
                    })
                    .collect();
                // The items lock the versions of their files, as deletions of files do before the usage.
                let ids = store::run_item::add(change, workspace, self.run, items).await?;
                if page.next.is_none() {
                    // Before the run, which may end now.
                    store::history::lock(change, workspace).await?;
                }
                store::run_item::count_added(change, workspace, self.run, ids.len()).await?;
                runs::enqueue_entering(change, workspace, run, (plan, page.entry), &ids, MIN_JOBS).await?;
                if run.code_versions.is_none() {
                    store::run::set_code_versions(change, workspace, self.run, runs::code_versions(plan)).await?;
                }
                let checkpoint = page.next.as_ref().map(|next| json!(next));
                let admitted = checkpoint.is_none();
                store::run::set_checkpoint(change, workspace, self.run, checkpoint, admitted).await?;
                if !admitted {
                    outbox::enqueue(change, workspace, self).await?;
                } else if let Some(state) = store::run::finish_run(change, workspace, self.run, None).await? {
                    runs::ended_without_items(change, workspace, self.run, run.pipeline_id, state).await?;
                }
                Ok(())
            }
        })
        .await
    }

    async fn give_up(&self, change: &mut Change, claim: &Claim, failure: &Failure) -> Result<(), JobError> {
        let workspace = claim.workspace_id;
        runs::abort(change, workspace, self.run, RunState::Failed, Some(failure), Some(claim.id)).await?;
        Ok(())
    }
}

pub(super) fn read<T: Default + serde::de::DeserializeOwned>(json: Option<serde_json::Value>) -> Result<T, JobError> {
    match json {
        None => Ok(T::default()),
        Some(json) => serde_json::from_value(json).map_err(JobError::retry("the selection of the run cannot be read")),
    }
}

/// The next files of the sources that the run takes.
async fn page(
    cx: &Context,
    run: &run::Model,
    plan: &Plan,
    selection: &Selection,
    checkpoint: Checkpoint,
) -> Result<Page, JobError> {
    let workspace = run.workspace_id;
    let left = selection.limit.map_or(u32::MAX, |limit| limit.saturating_sub(checkpoint.entered));
    let Some(source) = sources(plan).get(checkpoint.source).cloned().filter(|_| left > 0) else {
        return Ok(Page { entry: 0, files: Vec::new(), next: None });
    };
    if !takes(plan, &source, run, selection) {
        return Ok(Page { entry: source.entry, files: Vec::new(), next: checkpoint.next_source(plan) });
    }
    let Source { entry, filter, query, limit, connection } = source;
    let of_source = filter.map(|filter| filter.parse()).transpose()?;
    let own = selection.filter.as_ref().map(Filter::parse).transpose()?;
    // Files that syncs have brought; a preview may show any file.
    let of_connection = connection.filter(|_| files_of_connection_only(selection)).map(synced_file::source_of);
    let by_search = match (query, &checkpoint.found) {
        (None, _) => None,
        (Some(_), Some(found)) => Some(found.clone()),
        (Some(query), None) => Some(find(cx, workspace, query, of_source.clone(), limit.unwrap_or(u32::MAX)).await?),
    };
    let files: Option<Vec<FileId>> = match (&selection.files, &by_search) {
        (Some(named), Some(found)) => Some(named.iter().copied().filter(|file| found.contains(file)).collect()),
        (named, found) => named.as_ref().or(found.as_ref()).cloned(),
    };
    let filters: Vec<_> = of_source.into_iter().chain(own).collect();
    let left = left.min(limit.map_or(u32::MAX, |limit| limit.saturating_sub(checkpoint.of_source)));
    let size = PAGE_FILES.min(i64::from(left));
    let named = Named {
        files: files.as_deref(),
        items_of: selection.items_of.map(|items| (items.run, items.state)),
        source: of_connection.as_deref(),
        newest: selection.newest,
    };
    let page = store::selection::page(&cx.db, workspace, named, &filters, checkpoint.after, size).await?;
    let number = u32::try_from(page.len()).unwrap_or(u32::MAX);
    let (entered, of_source) = (checkpoint.entered + number, checkpoint.of_source + number);
    let next = if i64::from(number) == PAGE_FILES {
        let after = page.last().map(|(file, _)| *file);
        Some(Checkpoint { after, entered, of_source, found: by_search, ..checkpoint })
    } else {
        Checkpoint { entered, ..checkpoint }.next_source(plan)
    };
    Ok(Page { entry, files: page, next })
}

/// Chunks that a search of a source looks at, at most.
const MAX_HITS: i64 = 1_000;

/// The files that a query finds, best first: by meaning in the spaces that this worker has the model of, and by words.
async fn find(
    cx: &Context,
    workspace: WorkspaceId,
    query: String,
    filter: Option<Filter>,
    limit: u32,
) -> Result<Vec<FileId>, JobError> {
    let collections = store::collection::spaces(&cx.db, workspace).await?;
    let mut spaces: Vec<(SpaceId, Quantisation)> =
        collections.iter().filter_map(|collection| collection.space_id.zip(collection.quantisation)).collect();
    spaces.sort_unstable();
    spaces.dedup();
    cx.spaces.load(&cx.db, spaces.iter().map(|(space, _)| *space)).await?;
    let mut vectors = Vec::new();
    for (space, quantisation) in spaces {
        let Some(served) = cx.spaces.get(space) else {
            // A space of a connection; that of a model which this worker does not have is searched by words.
            let query = EmbedQuery { workspace, space, text: meaning(&query), more: Vec::new() };
            match embedding_connection::answer(cx.clone(), query).await {
                EmbedReply::Vector(vector) => vectors.push(SpaceVector { space, quantisation, vector }),
                reply => tracing::info!(?reply, "the query of a source is not compared in a space"),
            }
            continue;
        };
        let embedded = served.embedder.embed(InputType::Query, vec![meaning(&query)]).await;
        let embedded = embedded.map_err(JobError::retry("the query of a source cannot be embedded"))?;
        vectors.extend(embedded.into_iter().map(|vector| SpaceVector { space, quantisation, vector }));
    }
    let mode = if vectors.is_empty() { SearchMode::Text } else { SearchMode::Hybrid };
    let search = SearchQuery {
        mode,
        text: query,
        vectors,
        collections_by_space: collections_by_space(collections.iter().map(|found| (found, found.space_id))),
        filter,
        limit: MAX_HITS,
        ..SearchQuery::default()
    };
    let hits = store::search::search(&cx.db, workspace, &search).await?.hits;
    let mut seen = HashSet::new();
    let files = hits.into_iter().map(|hit| hit.file_id).filter(|file| seen.insert(*file));
    Ok(files.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

/// A source of a plan.
#[derive(Clone)]
struct Source {
    /// Its segment.
    entry: usize,
    /// The files that may enter.
    filter: Option<FileFilter>,
    /// The query that finds them.
    query: Option<String>,
    /// The largest number.
    limit: Option<u32>,
    /// The connection that has them.
    connection: Option<ConnectionId>,
}

/// The segment of a source, by its place among those of the plan.
pub(super) fn entry(plan: &Plan, source: usize) -> Option<usize> {
    sources(plan).get(source).map(|source| source.entry)
}

/// Whether the source takes files in the run.
fn takes(plan: &Plan, source: &Source, run: &run::Model, selection: &Selection) -> bool {
    let settings = &plan.segments[source.entry].steps[0].settings;
    runs::takes(settings, run.trigger, selection.followed.as_deref())
}

/// Whether a source that is a connection takes the connection's files only: files that a request names may be any.
const fn files_of_connection_only(selection: &Selection) -> bool {
    selection.files.is_none()
}

fn sources(plan: &Plan) -> Vec<Source> {
    let sources = plan.segments.iter().enumerate().filter_map(|(entry, segment)| match &segment.steps[0].settings {
        Settings::SourceFiles(source) => {
            Some(Source { entry, filter: source.filter.clone(), query: None, limit: None, connection: None })
        }
        Settings::SourceSearch(source) => {
            let (filter, query, limit) = (source.filter.clone(), source.query.clone(), Some(source.limit));
            Some(Source { entry, filter, query, limit, connection: None })
        }
        Settings::SourceConnection(source) => {
            let connection = Some(source.connection);
            Some(Source { entry, filter: None, query: None, limit: None, connection })
        }
        _ => None,
    });
    sources.collect()
}
