//! The topological order of nodes; cycles are named.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet, VecDeque},
};

use super::edges::Link;
use crate::pipeline::{
    definition::Definition,
    problem::{ProblemCode, Problems},
};

/// Nodes so that each comes after those it depends on; among those that could come next, the first of the definition. Nodes
/// that depend on a cycle are missing.
pub(super) fn sort(definition: &Definition, links: &[Link], problems: &mut Problems) -> Vec<usize> {
    let count = definition.nodes.len();
    let mut successors = vec![Vec::new(); count];
    let mut waiting = vec![0_usize; count];
    for (from, to) in pairs(links) {
        successors[from].push(to);
        waiting[to] += 1;
    }
    let mut ready: BinaryHeap<_> = (0..count).filter(|&node| waiting[node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &next in &successors[node] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    report_cycles(definition, &successors, &waiting, problems);
    order
}

/// Pairs of connected nodes, each once, in a fixed order.
fn pairs(links: &[Link]) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = links.iter().map(|link| (link.from, link.to)).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Adds one problem for each group of nodes that depend on each other, with a cycle in it.
fn report_cycles(definition: &Definition, successors: &[Vec<usize>], waiting: &[usize], problems: &mut Problems) {
    let mut reported = HashSet::new();
    for start in (0..waiting.len()).filter(|&node| waiting[node] > 0) {
        if reported.contains(&start) {
            continue;
        }
        let Some(cycle) = cycle_through(start, successors, waiting) else { continue };
        // Nodes of the same group would be reported as other cycles through the same edges.
        reported.extend(cycle.iter().copied());
        let mut names: Vec<_> = cycle.iter().map(|&node| definition.nodes[node].id.as_str()).collect();
        names.push(names[0]);
        let message = format!("depends on itself: {}", names.join(" -> "));
        let remedy = "remove one of these edges";
        problems.of(&definition.nodes[start].id).add(ProblemCode::Cycle, "edges", message, remedy);
    }
}

/// A shortest way from a node back to itself, over nodes that wait.
fn cycle_through(start: usize, successors: &[Vec<usize>], waiting: &[usize]) -> Option<Vec<usize>> {
    let mut before = vec![None; waiting.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &next in &successors[node] {
            if next == start {
                let mut cycle = vec![node];
                while let Some(previous) = cycle.last().and_then(|&last| before[last]) {
                    cycle.push(previous);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if waiting[next] > 0 && before[next].is_none() {
                before[next] = Some(node);
                queue.push_back(next);
            }
        }
    }
    None
}
