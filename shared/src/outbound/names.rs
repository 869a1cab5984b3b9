//! Resolving the names of hosts.

use std::{io, net::SocketAddr};

/// How names are resolved.
#[derive(Clone, Debug, Default)]
pub(super) enum Names {
    /// As the system does.
    #[default]
    System,
    /// By one answer after the other: a test is the DNS server.
    #[cfg(test)]
    Scripted(std::sync::Arc<std::sync::Mutex<std::collections::VecDeque<Vec<std::net::IpAddr>>>>),
    /// By a DNS server that never responds, and counts the questions.
    #[cfg(test)]
    Silent(std::sync::Arc<std::sync::atomic::AtomicUsize>),
}

impl Names {
    /// All addresses of a host.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(answers) => {
                let next = answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
                let next = next.ok_or_else(|| io::Error::other("there is no answer"))?;
                Ok(next.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
            }
            #[cfg(test)]
            Self::Silent(questions) => {
                questions.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                std::future::pending().await
            }
        }
    }
}
