//! What confines the children that read files, where the kernel and the container allow it.

use std::{
    fs,
    io::Write,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nvisy_extract::{ExtractLimits, confinement};

use super::worker;

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
    // It takes longer to read than to find out the namespace.
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all("<table><tr><td>deep".repeat(1 << 20).as_bytes()).expect("written");
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    let mut child = Command::new(worker())
        .arg("extract")
        .stdin(Stdio::from(file))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .expect("the worker starts");
    let request = serde_json::json!({
        "info": { "file_name": "a.html", "declared_type": null },
        "limits": ExtractLimits::default(),
    });
    writeln!(&ours, "{request}").expect("written");
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
