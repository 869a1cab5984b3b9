//! Requests as a server on a socket receives them.

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
};

pub struct ReceivedRequest {
    /// The request line and the headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    /// `None` for a request that ends half-way, as that of a worker that is killed.
    pub async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).await.ok().filter(|read| *read > 0)?;
        }
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
        Some(Self { head, body })
    }
}
