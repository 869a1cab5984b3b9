//! Plans: compiled definitions. A segment runs in one process, as one job or one job for each unit; outputs that cross from
//! one segment to another are stored durably, so a run resumes at a segment.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{node::Settings, options::NodeOptions, port::Flow};
use crate::domain::job::Lane;

/// A compiled definition: segments, each after those that it takes inputs from.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The segments.
    pub segments: Vec<Segment>,
}

/// Nodes that run together; each comes after its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// How it begins.
    pub start: Start,
    /// The lane of its jobs.
    pub lane: Lane,
    /// The nodes.
    pub steps: Vec<Step>,
}

/// How a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At a source, which takes no input.
    Source,
    /// At a node whose input is divided into units.
    Units,
    /// At a node whose calls must repeat nothing before them.
    Durable,
    /// Behind an output whose elements are items of their own.
    Items,
    /// Where outputs of several segments meet: it waits for all of them.
    Join,
}

/// A step of a node. A node has one in several segments where it takes members of files as well as files.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The node's id.
    pub id: String,
    /// Its type and settings.
    pub settings: Settings,
    /// Its options, with the defaults of the type.
    pub options: NodeOptions,
    /// The flow that enters; `None` for a source.
    pub input: Option<Flow>,
    /// The outputs that enter, sorted; several are merged. Those of other segments cross a border.
    pub origins: Vec<Origin>,
    /// The outputs.
    pub outputs: Vec<Port>,
}

/// An output of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The segment of the step.
    pub segment: usize,
    /// The index of the step in the segment.
    pub step: usize,
    /// The index of the output.
    pub output: usize,
}

/// An output with its flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The name.
    pub name: String,
    /// The flow; `None` only where no data can arrive.
    pub flow: Option<Flow>,
}

impl Plan {
    /// The first step of each node.
    pub fn nodes(&self) -> impl Iterator<Item = &Step> {
        self.nodes_in(0..self.segments.len())
    }

    /// The first step in these segments of each node that has one.
    pub fn nodes_in(&self, segments: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &Step> {
        let mut known = BTreeSet::new();
        let steps = segments.into_iter().flat_map(move |segment| &self.segments[segment].steps);
        steps.filter(move |step| known.insert(step.id.as_str()))
    }

    /// The outputs of other segments that segment `index` takes.
    #[must_use]
    pub fn inputs(&self, index: usize) -> BTreeSet<Origin> {
        let origins = self.segments[index].steps.iter().flat_map(|step| &step.origins);
        origins.copied().filter(|origin| origin.segment != index).collect()
    }

    /// The outputs of segment `index` that other segments take: those that must be durable.
    #[must_use]
    pub fn exports(&self, index: usize) -> BTreeSet<Origin> {
        let others = (0..self.segments.len()).filter(|&other| other != index);
        others.flat_map(|other| self.inputs(other)).filter(|origin| origin.segment == index).collect()
    }

    /// The outputs of segment `index` that its own sinks take: results that need not be durable.
    #[must_use]
    pub fn results(&self, index: usize) -> BTreeSet<Origin> {
        let sinks = self.segments[index].steps.iter().filter(|step| step.outputs.is_empty());
        sinks.flat_map(|step| &step.origins).copied().filter(|origin| origin.segment == index).collect()
    }

    /// The number of ways on which an element that enters segment `index` can reach each node, by the ids of nodes: how often a node
    /// can get it.
    #[must_use]
    pub fn paths(&self, index: usize) -> BTreeMap<&str, u32> {
        let steps = &self.segments[index].steps;
        let mut paths: Vec<u32> = Vec::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            let within = step.origins.iter().filter(|origin| place > 0 && origin.segment == index);
            paths.push(within.fold(u32::from(place == 0), |sum, origin| sum.saturating_add(paths[origin.step])));
        }
        steps.iter().map(|step| step.id.as_str()).zip(paths).collect()
    }

    /// The segments that take an output of segment `index`.
    pub fn after(&self, index: usize) -> impl Iterator<Item = usize> {
        (0..self.segments.len()).filter(move |&other| self.inputs(other).iter().any(|origin| origin.segment == index))
    }

    /// The id of the first node of segment `index`, which is the stage of a file that enters it.
    #[must_use]
    pub fn stage(&self, index: usize) -> &str {
        self.segments[index].steps[0].id.as_str()
    }

    /// The names of the collections that sinks behind each node write to, by the ids of nodes.
    #[must_use]
    pub fn collections_behind(&self) -> BTreeMap<String, Vec<String>> {
        let mut behind: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
        for (segment, of) in self.segments.iter().enumerate().rev() {
            for (place, step) in of.steps.iter().enumerate().rev() {
                let mut collections = behind.remove(&(segment, place)).unwrap_or_default();
                if let Settings::SinkCollection(sink) = &step.settings {
                    collections.insert(sink.collection.clone());
                }
                for origin in &step.origins {
                    behind.entry((origin.segment, origin.step)).or_default().extend(collections.iter().cloned());
                }
                behind.insert((segment, place), collections);
            }
        }
        let id = |(segment, place): (usize, usize)| self.segments[segment].steps[place].id.clone();
        behind.into_iter().map(|(at, collections)| (id(at), collections.into_iter().collect())).collect()
    }

    /// The name of an output as edges write it: `node`, or `node.port` where there are several.
    #[must_use]
    pub fn output_name(&self, origin: Origin) -> String {
        let step = &self.segments[origin.segment].steps[origin.step];
        match step.outputs.len() {
            1 => step.id.clone(),
            _ => format!("{}.{}", step.id, step.outputs[origin.output].name),
        }
    }
}
