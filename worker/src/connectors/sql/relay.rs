//! A socket in a private directory that leads to a checked address.
//!
//! sqlx takes the name for the certificate and the address to connect to from one option, and resolves it itself: a second, different
//! response of a DNS server could then lead to an address that nothing has checked. Through the relay it gets the name for
//! the certificate alone.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use nvisy_shared::{error_chain, outbound::GuardedClient};
use tempfile::TempDir;
use tokio::{
    net::{TcpStream, UnixListener},
    task::JoinHandle,
};

use super::super::CallFailure;

/// Longest wait for one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_BUFFER_BYTES: usize = 8 << 10;
/// A page of rows takes few turns of the relay and its client.
const RESPONSE_BUFFER_BYTES: usize = 64 << 10;
/// The name that clients of PostgreSQL expect in a directory, with the port of the options.
const SOCKET: &str = ".s.PGSQL.5432";

pub(super) struct Relay {
    directory: TempDir,
    task: JoinHandle<()>,
}

impl Relay {
    /// Connects to the first address of the host that can be reached, of those that may be.
    pub(super) async fn open(client: &GuardedClient, host: &str, port: u16) -> Result<Self, CallFailure> {
        let local = |error: std::io::Error| CallFailure::Unavailable(format!("no socket: {}", error_chain(&error)));
        let addresses = client.resolve(host, port).await?;
        let mut server = connect(&addresses).await?;
        // Only the user of the process may enter.
        let directory = tempfile::tempdir().map_err(local)?;
        let listener = UnixListener::bind(directory.path().join(SOCKET)).map_err(local)?;
        let task = tokio::spawn(async move {
            if let Ok((mut client, _)) = listener.accept().await {
                drop(listener);
                // Either side may end the connection at any time.
                let (up, down) = (REQUEST_BUFFER_BYTES, RESPONSE_BUFFER_BYTES);
                let _ = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, up, down).await;
            }
        });
        Ok(Self { directory, task })
    }

    /// The directory of the socket.
    pub(super) fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// The socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, CallFailure> {
    let mut reason = "no connection".to_owned();
    for address in addresses {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => reason = error_chain(&error),
            Err(_) => reason = "no connection in time".to_owned(),
        }
    }
    Err(CallFailure::Unavailable(reason))
}
