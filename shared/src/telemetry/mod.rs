//! stub
/// p
pub mod propagation {
    /// t
    pub fn current_traceparent() -> Option<String> { None }
}
