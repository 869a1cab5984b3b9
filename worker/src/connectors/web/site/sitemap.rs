//! Sitemaps: addresses of pages, or of further sitemaps, in XML or one in a line, compressed or not.

use std::io::Read;

use flate2::read::GzDecoder;
use quick_xml::{Reader, XmlVersion, escape::resolve_predefined_entity, events::Event};

/// Bytes of a sitemap, compressed and not; the protocol allows 50 MB.
pub(super) const MAX_BYTES: usize = 50 << 20;
/// Addresses of a sitemap that count, as in the protocol.
const MAX_ADDRESSES: usize = 50_000;
/// Longest address that counts, in bytes.
const MAX_ADDRESS_BYTES: usize = 4_096;

/// The content of a sitemap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sitemap {
    /// Addresses of pages.
    pub(super) pages: Vec<String>,
    /// Addresses of further sitemaps.
    pub(super) sitemaps: Vec<String>,
}

impl Sitemap {
    /// Reads a sitemap; the reason if it is none. A broken one gives the addresses before its fault, and is reported.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let unpacked = if body.starts_with(&[0x1f, 0x8b]) { Some(unpack(body)?) } else { None };
        let body = unpacked.as_deref().unwrap_or(body);
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('<') { Self::of_xml(text) } else { Self::of_lines(text) }
    }

    fn of_xml(xml: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().check_end_names = false;
        let (mut sitemap, mut text, mut in_address, mut in_index) = (Self::default(), String::new(), false, false);
        let mut is_known = false;
        loop {
            match reader.read_event().map_err(|error| format!("it is not XML: {error}"))? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "urlset" => is_known = true,
                    "sitemapindex" => (is_known, in_index) = (true, true),
                    "loc" => {
                        in_address = true;
                        text.clear();
                    }
                    _ => {}
                },
                Event::End(tag) if tag.local_name().as_ref() == "loc" => {
                    in_address = false;
                    let list = if in_index { &mut sitemap.sitemaps } else { &mut sitemap.pages };
                    if list.len() < MAX_ADDRESSES && text.len() < MAX_ADDRESS_BYTES {
                        list.push(text.trim().to_owned());
                    }
                }
                Event::Text(part) if in_address => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(part) if in_address => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(name) if in_address => match name.resolve_char_ref() {
                    Ok(Some(c)) => text.push(c),
                    _ => text.push_str(resolve_predefined_entity(&name).unwrap_or_default()),
                },
                Event::Eof => break,
                _ => {}
            }
        }
        if is_known { Ok(sitemap) } else { Err("it has neither `urlset` nor `sitemapindex`".to_owned()) }
    }

    fn of_lines(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_ADDRESSES);
        let pages: Vec<_> = lines.map(str::to_owned).collect();
        if pages.iter().all(|line| line.starts_with("http")) {
            return Ok(Self { pages, sitemaps: Vec::new() });
        }
        Err("it has lines that are no addresses".to_owned())
    }
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    // One byte more than allowed shows that there is more.
    let read = GzDecoder::new(body).take(MAX_BYTES as u64 + 1).read_to_end(&mut plain);
    match read {
        Ok(length) if length > MAX_BYTES => Err(format!("it has more than {MAX_BYTES} bytes")),
        Ok(_) => Ok(plain),
        Err(_) => Err("its compression is damaged".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const PAGES: &str = "<?xml version=\"1.0\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\
        <url><loc> http://h/a?b=1&amp;c=2 </loc><lastmod>2026-01-01</lastmod></url><url><loc><![CDATA[http://h/b]]></loc></url></urlset>";

    #[test]
    fn addresses_of_pages_and_sitemaps_are_read() {
        let sitemap = Sitemap::parse(PAGES.as_bytes()).unwrap();
        assert_eq!(sitemap.pages, ["http://h/a?b=1&c=2", "http://h/b"]);
        let index = "<sitemapindex><sitemap><loc>http://h/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(Sitemap::parse(index.as_bytes()).unwrap().sitemaps, ["http://h/1.xml"]);
        assert_eq!(Sitemap::parse(b"\n http://h/a\nhttp://h/b\n").unwrap().pages, ["http://h/a", "http://h/b"]);
    }

    #[test]
    fn compressed_sitemap_is_unpacked_within_its_limit() {
        let packed = |content: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(Sitemap::parse(&packed(PAGES.as_bytes())).unwrap().pages.len(), 2);
        let bomb = packed(&vec![b' '; MAX_BYTES + 2]);
        assert!(Sitemap::parse(&bomb).unwrap_err().contains("more than"));
        assert!(Sitemap::parse(&packed(b"x")[..12]).is_err());
    }

    #[test]
    fn other_content_is_no_sitemap() {
        for content in ["<html><body>Not found</body></html>", "<urlset><url", "plain text", "\u{ff}\u{0}"] {
            assert!(Sitemap::parse(content.as_bytes()).is_err(), "{content}");
        }
    }
}
