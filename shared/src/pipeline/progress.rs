//! The progress of an item through its plan: pure bookkeeping, stored with the item.
//!
//! An item enters at one segment and goes through those that depend on it. A segment is ready when every segment before it,
//! as far as the item comes through it, is complete.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    content_key::ContentKey,
    plan::{Origin, Plan, Start},
};
use crate::{
    domain::run::Units,
    id::{ArtifactId, FileId},
};

/// How far an item is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// The segments that were started, by index.
    pub segments: BTreeMap<usize, SegmentProgress>,
    /// The outputs that cross borders and have elements.
    #[serde(with = "outputs")]
    pub outputs: BTreeMap<Origin, StoredOutput>,
    /// What each node did, by its id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, NodeProgress>,
    /// The number of elements that sinks have written.
    pub written: u64,
    /// How often the item began again because the space of a collection had changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// How often the item began again, for any reason: what it computed before is none of this generation.
    #[serde(skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// Files that were made from the item's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileId>,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// What a node did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeProgress {
    /// The number of elements that it gave, by the name of the output.
    pub elements: BTreeMap<String, u64>,
    /// Milliseconds that its calls took together.
    pub millis: u64,
    /// Whether its output was found by its content key.
    pub reused: bool,
    /// The tokens of the chunks that it gave, by the name of the output.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub chunk_tokens: BTreeMap<String, u64>,
    /// Tokens that models were given.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Tokens whose results were found.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens_saved: u64,
}

/// How far a segment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentProgress {
    /// Elements that are done; of a segment without units, one.
    pub done: u32,
    /// All of them.
    pub total: u32,
}

/// An output that crosses a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutput {
    /// Where its elements are.
    pub artifact: ArtifactId,
    /// The number of its elements.
    pub elements: u32,
    /// Its content key.
    pub key: ContentKey,
}

/// Work to be enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextJob {
    /// The segment.
    pub segment: usize,
    /// Its elements, where it is divided.
    pub units: Option<Units>,
}

impl SegmentProgress {
    /// Whether all is done.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        self.done >= self.total
    }
}

impl Progress {
    /// The progress of an item that enters at a segment, and its first job.
    #[must_use]
    pub fn begin(entry: usize) -> (Self, NextJob) {
        let mut progress = Self::default();
        progress.segments.insert(entry, SegmentProgress { done: 0, total: 1 });
        (progress, NextJob { segment: entry, units: None })
    }

    /// The progress of an item that begins again at its entry, and its first job.
    #[must_use]
    pub fn begin_again(&self, entry: usize) -> (Self, NextJob) {
        let (progress, job) = Self::begin(entry);
        (Self { restarts: self.restarts, generation: self.generation + 1, ..progress }, job)
    }

    /// Records that elements of a segment are done; of a segment without units, its only one.
    pub fn advance(&mut self, segment: usize, units: Option<Units>) {
        let done = units.map_or(1, |units| units.end - units.first);
        if let Some(segment) = self.segments.get_mut(&segment) {
            segment.done = (segment.done + done).min(segment.total);
        }
    }

    /// Starts every segment that is ready now. Segments that no element enters are complete at once, and so may be those behind
    /// them. `unit` gives the number of elements of one job, for a segment with so many.
    pub fn start_ready(&mut self, plan: &Plan, entry: usize, unit: impl Fn(u32) -> u32) -> Vec<NextJob> {
        let reachable = reachable(plan, entry);
        let mut jobs = Vec::new();
        // Segments come after those that they depend on: one pass sees all consequences.
        for &segment in &reachable {
            if self.segments.contains_key(&segment) {
                continue;
            }
            let inputs = plan.inputs(segment);
            let ready = inputs.iter().all(|origin| {
                !reachable.contains(&origin.segment)
                    || self.segments.get(&origin.segment).is_some_and(|before| before.is_complete())
            });
            if !ready {
                continue;
            }
            let elements: u32 = inputs.iter().filter_map(|origin| self.outputs.get(origin)).map(|it| it.elements).sum();
            let divided = plan.segments[segment].start == Start::Units;
            let total = if divided { elements } else { u32::from(elements > 0) };
            self.segments.insert(segment, SegmentProgress { done: 0, total });
            if divided {
                jobs.extend(units(segment, elements, unit(elements)));
            } else if elements > 0 {
                jobs.push(NextJob { segment, units: None });
            }
        }
        jobs
    }

    /// The jobs that an item without any goes on with: those of the segments that were started and are not complete. `None`: the item
    /// has to begin again, because some units of a segment are done, and the progress does not say which.
    #[must_use]
    pub fn unfinished(&self, plan: &Plan, unit: impl Fn(u32) -> u32) -> Option<Vec<NextJob>> {
        let mut jobs = Vec::new();
        for (&segment, at) in self.segments.iter().filter(|(_, at)| !at.is_complete()) {
            if plan.segments.get(segment)?.start != Start::Units {
                jobs.push(NextJob { segment, units: None });
            } else if at.done == 0 {
                jobs.extend(units(segment, at.total, unit(at.total)));
            } else {
                return None;
            }
        }
        (!jobs.is_empty()).then_some(jobs)
    }

    /// Whether every segment that the item comes through is complete.
    #[must_use]
    pub fn is_complete(&self, plan: &Plan, entry: usize) -> bool {
        reachable(plan, entry).iter().all(|segment| self.segments.get(segment).is_some_and(|at| at.is_complete()))
    }

    /// The segment that was started last and is not complete, otherwise the last one that had elements, with its progress: what
    /// users see as the stage.
    #[must_use]
    pub fn current(&self) -> Option<(usize, SegmentProgress)> {
        let mut started = self.segments.iter().rev();
        let open = started.clone().find(|(_, at)| !at.is_complete());
        open.or_else(|| started.find(|(_, at)| at.total > 0)).map(|(&segment, &at)| (segment, at))
    }
}

/// The jobs of a segment that is divided into units of `unit` elements.
fn units(segment: usize, elements: u32, unit: u32) -> impl Iterator<Item = NextJob> {
    let unit = unit.max(1);
    (0..elements).step_by(unit as usize).map(move |first| {
        let end = first.saturating_add(unit).min(elements);
        NextJob { segment, units: Some(Units { first, end }) }
    })
}

/// The segments that an item comes through: its entry, and those that depend on it.
#[must_use]
pub fn reachable(plan: &Plan, entry: usize) -> BTreeSet<usize> {
    let mut reachable = BTreeSet::from([entry]);
    for segment in entry + 1..plan.segments.len() {
        if plan.inputs(segment).iter().any(|origin| reachable.contains(&origin.segment)) {
            reachable.insert(segment);
        }
    }
    reachable
}

/// How an item replaces the results of other items of its file and pipeline: those that nodes which it comes through have given.
/// Another source that takes the same file has items of its own, whose other nodes it leaves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaces {
    /// The ids of the nodes that it does not come through.
    pub all_but: Vec<String>,
    /// The segments where items enter that come through every sink which this one comes through.
    pub replaced_by: Vec<i32>,
}

impl Replaces {
    /// Of an item that enters at a segment.
    #[must_use]
    pub fn of(plan: &Plan, entry: usize) -> Self {
        let own: BTreeSet<&str> = plan.nodes_in(reachable(plan, entry)).map(|step| step.id.as_str()).collect();
        let others = plan.nodes().filter(|step| !own.contains(step.id.as_str()));
        let own_sinks = sinks(plan, entry);
        let entries = (0..plan.segments.len())
            .filter(|&other| matches!(plan.segments[other].start, Start::Source | Start::Items));
        let replaced_by = entries.filter(|&other| own_sinks.is_subset(&sinks(plan, other)));
        Self {
            all_but: others.map(|step| step.id.clone()).collect(),
            replaced_by: replaced_by.filter_map(|other| i32::try_from(other).ok()).collect(),
        }
    }

    /// Of an item that no source takes.
    #[must_use]
    pub fn nothing(plan: &Plan) -> Self {
        Self { all_but: plan.nodes().map(|step| step.id.clone()).collect(), replaced_by: Vec::new() }
    }
}

/// The ids of the sinks that an item comes through.
fn sinks(plan: &Plan, entry: usize) -> BTreeSet<&str> {
    let steps = plan.nodes_in(reachable(plan, entry));
    steps.filter(|step| step.outputs.is_empty()).map(|step| step.id.as_str()).collect()
}

/// JSON keys are texts.
mod outputs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Origin, StoredOutput};

    pub(super) fn serialize<S: Serializer>(
        outputs: &BTreeMap<Origin, StoredOutput>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let rows: Vec<_> = outputs.iter().map(|(at, stored)| (at.segment, at.step, at.output, *stored)).collect();
        rows.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Origin, StoredOutput>, D::Error> {
        let rows = Vec::<(usize, usize, usize, StoredOutput)>::deserialize(deserializer)?;
        Ok(rows.into_iter().map(|(segment, step, output, stored)| (Origin { segment, step, output }, stored)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::compile;

    fn plan(nodes: &[(&str, &str)], edges: &[(&str, &str)]) -> Plan {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(id, kind)| {
                let mut node = json!({ "id": id, "type": kind });
                match *kind {
                    "switch.language" => node["branches"] = json!({ "german": ["de"] }),
                    "sink.file" => node["suffix"] = json!(".txt"),
                    _ => {}
                }
                node
            })
            .collect();
        let edges: Vec<_> = edges.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
        compile(&json!({ "schemaVersion": 1, "nodes": nodes, "edges": edges })).unwrap().plan
    }

    fn output(plan: &Plan, segment: usize, elements: u32) -> Vec<(Origin, StoredOutput)> {
        let stored = StoredOutput { artifact: ArtifactId::new(), elements, key: ContentKey([7; 32]) };
        plan.exports(segment).into_iter().map(|origin| (origin, stored)).collect()
    }

    fn chain() -> Plan {
        plan(
            &[
                ("in", "source.files"),
                ("read", "partition"),
                ("cut", "chunk.section"),
                ("vec", "embed"),
                ("out", "sink.collection"),
            ],
            &[("in", "read"), ("read", "cut"), ("cut", "vec"), ("vec", "out")],
        )
    }

    #[test]
    fn divided_segment_has_a_job_for_each_unit() {
        let plan = chain();
        let (mut progress, first) = Progress::begin(0);
        assert_eq!(first, NextJob { segment: 0, units: None });
        progress.outputs.extend(output(&plan, 0, 20));
        progress.advance(0, None);
        let jobs = progress.start_ready(&plan, 0, |_| 8);
        let units: Vec<_> = jobs.iter().map(|job| job.units.map(|units| (units.first, units.end)).unwrap()).collect();
        assert_eq!(units, [(0, 8), (8, 16), (16, 20)]);
        for job in &jobs[..2] {
            progress.advance(1, job.units);
            assert!(!progress.is_complete(&plan, 0));
        }
        assert_eq!(progress.current(), Some((1, SegmentProgress { done: 16, total: 20 })));
        progress.advance(1, jobs[2].units);
        assert!(progress.is_complete(&plan, 0));
        assert_eq!(progress.current(), Some((1, SegmentProgress { done: 20, total: 20 })));
        assert_eq!(progress.start_ready(&plan, 0, |_| 8), []);
    }

    #[test]
    fn item_without_jobs_goes_on_with_those_of_its_unfinished_segments() {
        let plan = chain();
        let (mut progress, first) = Progress::begin(0);
        assert_eq!(progress.unfinished(&plan, |_| 8), Some(vec![first]));
        progress.outputs.extend(output(&plan, 0, 20));
        progress.advance(0, None);
        let jobs = progress.start_ready(&plan, 0, |_| 8);
        assert_eq!(progress.unfinished(&plan, |_| 8).as_ref(), Some(&jobs));
        progress.advance(1, jobs[1].units);
        assert_eq!(progress.unfinished(&plan, |_| 8), None, "one of three units is done");
        progress.advance(1, jobs[0].units);
        progress.advance(1, jobs[2].units);
        assert_eq!(progress.unfinished(&plan, |_| 8), None, "all are done");
    }

    #[test]
    fn segments_without_elements_are_complete_at_once() {
        let plan = chain();
        let (mut progress, _) = Progress::begin(0);
        progress.advance(0, None);
        assert_eq!(progress.start_ready(&plan, 0, |_| 8), []);
        assert!(progress.is_complete(&plan, 0));
    }

    #[test]
    fn join_waits_for_all_of_its_inputs() {
        let plan = plan(
            &[
                ("in", "source.files"),
                ("read", "partition"),
                ("a", "chunk.section"),
                ("b", "chunk.page"),
                ("va", "embed"),
                ("vb", "embed"),
                ("out", "sink.collection"),
            ],
            &[("in", "read"), ("read", "a"), ("read", "b"), ("a", "va"), ("b", "vb"), ("va", "out"), ("vb", "out")],
        );
        let join = plan.segments.iter().position(|segment| segment.start == Start::Join).unwrap();
        let (mut progress, _) = Progress::begin(0);
        progress.outputs.extend(output(&plan, 0, 3));
        progress.advance(0, None);
        let jobs = progress.start_ready(&plan, 0, |_| 8);
        assert_eq!(jobs.len(), 2);
        for (done, job) in jobs.iter().enumerate() {
            assert!(!progress.segments.contains_key(&join), "after {done} of two");
            progress.outputs.extend(output(&plan, job.segment, 3));
            progress.advance(job.segment, job.units);
            let next = progress.start_ready(&plan, 0, |_| 8);
            assert_eq!(next.iter().any(|next| next.segment == join), done == 1);
        }
    }

    #[test]
    fn item_that_begins_again_keeps_only_the_counts_of_its_beginnings() {
        let plan = chain();
        let (mut progress, first) = Progress::begin(0);
        progress.outputs.extend(output(&plan, 0, 20));
        progress.advance(0, None);
        (progress.restarts, progress.written) = (2, 3);
        let (again, job) = progress.begin_again(0);
        assert_eq!(job, first);
        assert_eq!(again, Progress { restarts: 2, generation: 1, ..Progress::begin(0).0 });
        assert_eq!(again.begin_again(0).0.generation, 2);
    }

    #[test]
    fn item_replaces_what_its_own_nodes_have_given() {
        // `a` and `b` lead to `both`, and each to a sink of its own.
        let plan = plan(
            &[
                ("a", "source.files"),
                ("b", "source.files"),
                ("c", "source.files"),
                ("own", "sink.file"),
                ("other", "sink.file"),
                ("both", "sink.file"),
            ],
            &[("a", "own"), ("a", "both"), ("b", "other"), ("b", "both"), ("c", "both")],
        );
        let entry = |node: &str| (0..plan.segments.len()).find(|&segment| plan.stage(segment) == node).unwrap();
        let of = |node: &str| {
            let Replaces { mut all_but, replaced_by } = Replaces::of(&plan, entry(node));
            all_but.sort();
            let by = |node: &str| replaced_by.contains(&i32::try_from(entry(node)).unwrap());
            (all_but, [by("a"), by("b"), by("c")])
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(of("a"), (names(&["b", "c", "other"]), [true, false, false]));
        assert_eq!(of("b"), (names(&["a", "c", "own"]), [false, true, false]));
        assert_eq!(of("c"), (names(&["a", "b", "other", "own"]), [true, true, true]));
        assert_eq!(Replaces::nothing(&plan).all_but.len(), 6);
    }

    #[test]
    fn member_replaces_what_nodes_have_given_that_have_steps_for_files_too() {
        let plan = plan(
            &[("in", "source.files"), ("open", "unpack"), ("read", "partition"), ("out", "sink.file")],
            &[("in", "open"), ("open.members", "read"), ("open.else", "read"), ("read", "out")],
        );
        let steps = plan.segments.iter().flat_map(|segment| &segment.steps).filter(|step| step.id == "out");
        assert_eq!(steps.count(), 2, "one for files, one for members");
        let members = (0..plan.segments.len()).find(|&at| plan.segments[at].start == Start::Items).unwrap();
        assert_eq!(Replaces::of(&plan, members).all_but, ["in", "open"]);
        assert_eq!(Replaces::of(&plan, 0).all_but, [""; 0]);
        let by_both = [0, i32::try_from(members).unwrap()];
        assert_eq!(Replaces::of(&plan, members).replaced_by, by_both);
    }

    #[test]
    fn progress_survives_its_json() {
        let plan = chain();
        let (mut progress, _) = Progress::begin(0);
        progress.outputs.extend(output(&plan, 0, 20));
        progress.written = 3;
        let json = serde_json::to_value(&progress).unwrap();
        assert_eq!(serde_json::from_value::<Progress>(json).unwrap(), progress);
    }
}
