//! A server that speaks IMAP as far as reading needs it, and lies about its messages as a test says.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A message of the only folder; its UID is its place, from 1.
pub struct ScriptedMessage {
    /// What the server says of the size.
    pub size: &'static str,
    /// What the server sends of a piece from this offset on; `None`: nothing, as of a deleted message.
    pub piece: fn(usize) -> Option<Vec<u8>>,
}

pub struct ImapServer {
    pub port: u16,
}

impl ImapServer {
    pub async fn start(messages: Vec<ScriptedMessage>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let messages = Arc::new(messages);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let messages = Arc::clone(&messages);
                tokio::spawn(async move {
                    // The client may leave at any time.
                    let _ = serve(stream, &messages).await;
                });
            }
        });
        Self { port }
    }

    pub fn settings(&self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.port, "tls": "none" })
    }
}

async fn serve(stream: TcpStream, messages: &[ScriptedMessage]) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or_default();
        for response in responses(command, messages) {
            stream.write_all(&response).await?;
            stream.write_all(b"\r\n").await?;
        }
        stream.write_all(format!("{tag} OK done\r\n").as_bytes()).await?;
    }
}

fn responses(command: &str, messages: &[ScriptedMessage]) -> Vec<Vec<u8>> {
    let line = |text: String| vec![text.into_bytes()];
    if command == "CAPABILITY" {
        line("* CAPABILITY IMAP4rev1".to_owned())
    } else if command.starts_with("LIST") {
        line("* LIST () \"/\" INBOX".to_owned())
    } else if command.starts_with("EXAMINE") {
        let next = messages.len() + 1;
        ["* OK [UIDVALIDITY 7] valid".to_owned(), format!("* OK [UIDNEXT {next}] next")].map(String::into_bytes).into()
    } else if command.starts_with("UID SEARCH") {
        let uids: Vec<_> = (1..=messages.len()).map(|uid| uid.to_string()).collect();
        line(format!("* SEARCH {}", uids.join(" ")))
    } else if let Some(fetch) = command.strip_prefix("UID FETCH ") {
        let (set, items) = fetch.split_once(' ').expect("a set of messages");
        uids(set).into_iter().filter_map(|uid| fetched(uid, &messages[uid - 1], items)).collect()
    } else {
        Vec::new()
    }
}

fn uids(set: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        from.parse::<usize>().expect("a number")..=to.parse().expect("a number")
    };
    set.split(',').flat_map(range).collect()
}

fn fetched(uid: usize, message: &ScriptedMessage, items: &str) -> Option<Vec<u8>> {
    if !items.contains("BODY.PEEK[]") {
        let facts = format!(
            "* {uid} FETCH (UID {uid} RFC822.SIZE {} INTERNALDATE \"01-Feb-2026 03:04:05 +0000\" \
             BODY[HEADER.FIELDS (SUBJECT)]<0> {{17}}\r\nSubject: mail {uid}\r\n)",
            message.size
        );
        return Some(facts.into_bytes());
    }
    let offset = items.split_once("[]<").and_then(|(_, rest)| rest.split_once('.')?.0.parse().ok()).expect("an offset");
    let piece = (message.piece)(offset)?;
    let mut response = format!("* {uid} FETCH (UID {uid} BODY[]<{offset}> {{{}}}\r\n", piece.len()).into_bytes();
    response.extend(piece);
    response.push(b')');
    Some(response)
}
