//! The graph of imports between the files of a crate: no large circles, and in `api` arrows only down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use syn::{Path, UseTree, visit::Visit};

use super::source_files::{root, rust_files};

/// The source directories of all crates.
const CRATES: [&str; 7] = [
    "api/src",
    "worker/src",
    "worker/extract/src",
    "shared/src",
    "shared/embed/src",
    "shared/lexical/src",
    "migration/src",
];
const MAX_CIRCLE: usize = 4;
/// The floors of `api`, top down; a file imports from its own floor and those below.
const API_FLOORS: [&[&str]; 8] = [
    &["main", "app", "cli"],
    &["server"],
    &["identity", "workspaces", "content"],
    &["state"],
    &["auth"],
    &[
        "definition",
        "mailer",
        "passage_scores",
        "query_samples",
        "query_vectors",
        "quota",
        "recall_sampler",
        "search_counter",
        "upload",
    ],
    &["http", "shutdown"],
    &["problem"],
];

/// The modules of a crate, by path (`auth::member`), and the modules that each imports from.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn files_of_a_crate_form_no_circle_larger_than_four() {
    for directory in CRATES {
        for circle in circles(&graph(directory)) {
            assert!(circle.len() <= MAX_CIRCLE, "{directory} has a circle of {}: {}", circle.len(), circle.join(", "));
        }
    }
}

#[test]
fn api_imports_point_to_lower_floors() {
    let floor = |module: &str| {
        let top = module.split("::").next().unwrap_or_default();
        API_FLOORS.iter().position(|floor| floor.contains(&top))
    };
    for (module, imports) in graph("api/src").iter().filter(|(module, _)| !module.is_empty()) {
        let own = floor(module).unwrap_or_else(|| panic!("{module} stands on no floor: name it in API_FLOORS"));
        for import in imports.iter().filter(|import| !import.is_empty()) {
            assert!(floor(import) >= Some(own), "{module} imports {import} from a higher floor");
        }
    }
}

#[test]
fn api_slices_do_not_import_each_other() {
    // A group's own `wire` is for all of its slices.
    let slice = |module: &str| {
        let parts: Vec<&str> = module.split("::").collect();
        let is_slice = ["identity", "workspaces", "content"].contains(&parts[0]) && parts.len() > 2;
        is_slice.then(|| parts[..2].join("::"))
    };
    for (module, imports) in &graph("api/src") {
        let Some(own) = slice(module) else { continue };
        for import in imports {
            let other = slice(import).filter(|other| *other != own);
            assert!(other.is_none(), "{module} imports {import} of another slice");
        }
    }
}

#[test]
fn imports_of_every_form_are_found() {
    let modules: BTreeSet<String> = ["", "a", "a::b", "a::c", "d"].map(str::to_owned).into();
    let code =
        "use crate::a::{b::One, c}; use super::c::Two; pub(super) fn f() { crate::d::g(); super::super::d::h(); }
                mod tests { use super::*; use crate::a::c::Three; }";
    assert_eq!(imports(code, "a::b", &modules).into_iter().collect::<Vec<_>>(), ["a::b", "a::c", "d"]);
}

#[test]
fn circles_are_found() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "e")];
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph.entry(from.to_owned()).or_default().insert(to.to_owned());
        graph.entry(to.to_owned()).or_default();
    }
    assert_eq!(circles(&graph), [["a", "b", "c"]]);
}

fn graph(directory: &str) -> Graph {
    let base = root().join(directory);
    let files: BTreeMap<String, String> = rust_files(directory)
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&base).expect("a file below the directory").with_extension("");
            let mut parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            parts.pop_if(|part| ["mod", "lib"].contains(&part.as_str()));
            (parts.join("::"), fs::read_to_string(file).expect("the file is readable"))
        })
        .collect();
    let modules: BTreeSet<String> = files.keys().cloned().collect();
    let edges = |(module, code): (&String, &String)| {
        let mut imports = imports(code, module, &modules);
        imports.remove(module);
        (module.clone(), imports)
    };
    files.iter().map(edges).collect()
}

/// The modules that a file names, in `use` or in a path.
fn imports(code: &str, module: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let file = syn::parse_file(code).unwrap_or_else(|error| panic!("{module}: {error}"));
    let own = if module.is_empty() { Vec::new() } else { module.split("::").map(str::to_owned).collect() };
    let mut visitor = Visitor { modules, scope: own, found: BTreeSet::new() };
    visitor.visit_file(&file);
    visitor.found
}

struct Visitor<'a> {
    modules: &'a BTreeSet<String>,
    /// The module that `self` names.
    scope: Vec<String>,
    found: BTreeSet<String>,
}

impl Visitor<'_> {
    fn add(&mut self, path: &[String]) {
        let mut target = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.scope.clone(),
            _ => return,
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(target.pop()),
                _ => target.push(part.clone()),
            }
        }
        // The file that holds the item: the longest prefix that is a file.
        while !self.modules.contains(&target.join("::")) {
            target.pop();
        }
        self.found.insert(target.join("::"));
    }

    fn add_tree(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.add_tree(&inner.tree, path);
                path.pop();
            }
            UseTree::Name(name) => self.add_leaf(name.ident.to_string(), path),
            UseTree::Rename(rename) => self.add_leaf(rename.ident.to_string(), path),
            UseTree::Glob(_) => self.add(path),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(item, path)),
        }
    }

    fn add_leaf(&mut self, name: String, path: &mut Vec<String>) {
        path.push(name);
        self.add(path);
        path.pop();
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&item.tree, &mut Vec::new());
    }

    // `pub(super)` says who may import, and imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&parts);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.scope.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.scope.pop();
    }
}

/// The strongly connected components of more than one module.
fn circles(graph: &Graph) -> Vec<Vec<&str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|module| (module.as_str(), reachable(graph, module))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for module in graph.keys().map(String::as_str) {
        let circle: Vec<&str> = reach[module].iter().copied().filter(|other| reach[other].contains(module)).collect();
        if circle.len() > 1 && circle.iter().all(|other| seen.insert(*other)) {
            circles.push(circle);
        }
    }
    circles
}

fn reachable<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for import in &graph[module] {
            if reached.insert(import.as_str()) {
                next.push(import);
            }
        }
    }
    reached
}
