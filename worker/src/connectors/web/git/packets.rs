//! Packets of the Git protocol: lines with their length before them.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use nvisy_shared::{domain::failure::FailureCode, outbound::OutboundFailure};
use reqwest::Response;

use crate::connectors::CallFailure;

/// Longest wait for the next bytes.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest packet of the protocol.
const MAX_PACKET: usize = 65_520;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Its content.
    Data(Bytes),
    /// The end of a message.
    Flush,
    /// The end of a section.
    Delimiter,
}

/// The failure of a response that is not one of the protocol.
pub(super) fn invalid(reason: &str) -> CallFailure {
    CallFailure::Unavailable(format!("the response is not valid: {reason}"))
}

/// Reads the packets of a response.
pub(super) struct Packets {
    response: Response,
    buffer: BytesMut,
}

impl Packets {
    pub(super) fn new(response: Response) -> Self {
        Self { response, buffer: BytesMut::new() }
    }

    /// Reads until so many bytes are there.
    async fn fill(&mut self, bytes: usize) -> Result<(), CallFailure> {
        while self.buffer.len() < bytes {
            let chunk = tokio::time::timeout(STALL_TIMEOUT, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| CallFailure::Unavailable("no further bytes came in time".to_owned()))?;
            match chunk.map_err(OutboundFailure::of)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Err(invalid("it ends early")),
            }
        }
        Ok(())
    }

    /// The next packet. An error message of the server is a failure.
    pub(super) async fn next(&mut self) -> Result<Packet, CallFailure> {
        self.fill(4).await?;
        let length =
            std::str::from_utf8(&self.buffer[..4]).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.ok_or_else(|| invalid("it is not of Git's protocol"))?;
        match length {
            0 => {
                self.buffer.advance(4);
                Ok(Packet::Flush)
            }
            1 => {
                self.buffer.advance(4);
                Ok(Packet::Delimiter)
            }
            4..=MAX_PACKET => {
                self.fill(length).await?;
                let data = self.buffer.split_to(length).freeze().slice(4..);
                match data.strip_prefix(b"ERR ") {
                    Some(message) => Err(refused(message)),
                    None => Ok(Packet::Data(data)),
                }
            }
            _ => Err(invalid("a packet has no valid length")),
        }
    }

    /// The lines up to the end of the message.
    pub(super) async fn lines(&mut self, max: usize) -> Result<Vec<String>, CallFailure> {
        let mut lines = Vec::new();
        loop {
            match self.next().await? {
                Packet::Data(line) => {
                    // Names of branches need not be UTF-8; such ones cannot be named in settings.
                    let line = String::from_utf8_lossy(&line);
                    lines.push(line.trim_end_matches('\n').to_owned());
                    if lines.len() > max {
                        return Err(CallFailure::item(
                            FailureCode::SourceRejected,
                            format!("it has more than {max} branches and tags"),
                        ));
                    }
                }
                Packet::Delimiter => {}
                Packet::Flush => return Ok(lines),
            }
        }
    }
}

/// The failure of a message of the server: the object that was asked for is not there.
pub(super) fn refused(message: &[u8]) -> CallFailure {
    let message = String::from_utf8_lossy(message);
    CallFailure::item(FailureCode::SourceMissing, format!("the server answers: {}", message.trim()))
}

/// A packet of text.
pub(super) fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}\n", text.len() + 5).into_bytes()
}

/// The end of a section.
pub(super) const DELIMITER: &[u8] = b"0001";
/// The end of a message.
pub(super) const FLUSH: &[u8] = b"0000";

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(body: &'static str) -> Packets {
        Packets::new(http::Response::new(body).into())
    }

    #[tokio::test]
    async fn packets_are_read_until_the_message_ends() {
        let mut read = packets("000ahello\n00010009more\n0000");
        assert_eq!(read.lines(10).await.unwrap(), ["hello", "more"]);
        assert_eq!(line("hello"), b"000ahello\n");
    }

    #[tokio::test]
    async fn broken_packets_and_error_messages_are_failures() {
        for body in ["", "00", "zzzz", "0003", "ffffx", "0009ab"] {
            assert!(matches!(packets(body).next().await, Err(CallFailure::Unavailable(_))), "{body}");
        }
        let failure = packets("0016ERR not our ref abc").next().await.unwrap_err();
        assert!(failure.to_string().contains("not our ref"), "{failure}");
    }
}
