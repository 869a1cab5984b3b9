//! The number of pages that a PDF says it has.

use std::collections::HashSet;

use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjectIdentifier};

/// Whether the file says that it has more pages than were found. A page that it names twice is found once.
pub(super) fn is_incomplete(pdf: &Pdf, found: usize) -> bool {
    let Some(root) = root(pdf) else { return false };
    let declared = count(&root);
    declared > found && declared.saturating_sub(repeated(pdf, root)) > found
}

fn root(pdf: &Pdf) -> Option<Dict<'_>> {
    pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?.get::<Dict<'_>>(b"Pages")
}

/// The number of pages that a node of the tree says it has.
fn count(node: &Dict<'_>) -> usize {
    node.get::<i32>(b"Count").and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}

/// The number of pages that the tree names again.
fn repeated<'a>(pdf: &'a Pdf, root: Dict<'a>) -> usize {
    let mut known: HashSet<ObjectIdentifier> = root.obj_id().into_iter().collect();
    let mut open = vec![root];
    let mut repeated = 0_usize;
    while let Some(node) = open.pop() {
        let Some(kids) = node.get::<Array<'_>>(b"Kids") else { continue };
        for kid in kids.raw_iter() {
            let MaybeRef::Ref(reference) = kid else { continue };
            let id = ObjectIdentifier::from(reference);
            let Some(kid) = pdf.xref().get::<Dict<'_>>(id) else { continue };
            let is_node = kid.get::<Name<'_>>(b"Type").is_some_and(|kind| &*kind == b"Pages");
            match (known.insert(id), is_node) {
                (true, true) => open.push(kid),
                (true, false) => {}
                (false, true) => repeated = repeated.saturating_add(count(&kid)),
                (false, false) => repeated = repeated.saturating_add(1),
            }
        }
    }
    repeated
}
