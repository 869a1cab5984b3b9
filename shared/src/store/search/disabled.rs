//! Chunks that search leaves out because members have disabled them, whatever the time of a search.

/// The condition on a chunk's id, in a search of a workspace that has disabled chunks. PostgreSQL reads them once, by an index that has
/// no others, and looks up each row in a hash table: it expects few elements of an array that it does not know.
pub(super) fn is_enabled(chunk: &str, workspace: &str) -> String {
    format!("{chunk} not in (select unnest(array(select id from chunk where workspace_id = {workspace} and disabled)))")
}
