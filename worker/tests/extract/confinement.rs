//! What confines the children that read files, where the kernel and the container allow it.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use nvisy_extract::confinement;

use super::{start_long_child, worker};

/// Whether another program gets these namespaces here.
fn are_allowed(namespaces: &[&str]) -> bool {
    Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn child_says_what_confines_it() {
    let found = confinement(&worker()).await.expect("a reply");
    assert!(found.user_namespace || !are_allowed(&["--user"]), "{found}");
    assert!(found.network_namespace || !are_allowed(&["--user", "--net"]), "{found}");
    assert!(found.other_namespaces || !are_allowed(&["--user", "--ipc", "--uts"]), "{found}");
    assert!(found.no_capabilities, "{found}");
}

#[tokio::test]
async fn child_has_a_network_of_its_own() {
    if !are_allowed(&["--user", "--net"]) {
        return;
    }
    let (mut child, ours) = start_long_child();
    let namespace = |process: &str| fs::read_link(PathBuf::from("/proc").join(process).join("ns/net"));
    let (own, id) = (namespace("self").expect("the own namespace"), child.id().to_string());
    let deadline = Instant::now() + Duration::from_secs(60);
    while namespace(&id).is_ok_and(|of_child| of_child == own) {
        assert!(Instant::now() < deadline, "the child is still in the network of the worker");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(child.try_wait().expect("asked").is_none(), "the child ended before");
    assert!(namespace(&id).is_ok_and(|of_child| of_child != own), "the namespace of the child cannot be read");
    // Ends the child.
    drop(ours);
    assert_eq!(child.wait().expect("waited").code(), Some(75));
}
