//! `robots.txt` of RFC 9309.
//!
//! The parser is ours: the crate `robotstxt` needs minutes for a hostile pattern of 20 kB, and `texting_robots` brings second versions
//! of four crates.

use std::time::Duration;

use reqwest::Url;

/// Bytes of a file that are read; the RFC asks for 500 KiB.
pub(super) const MAX_BYTES: usize = 512 << 10;
/// The name under which rules address the worker.
const AGENT: &str = "nvisy";
/// The longest delay that a site may ask for.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Sitemaps that count.
const MAX_SITEMAPS: usize = 1_000;
/// Bytes of the patterns of a group that count: comparing a path with them takes at most the product of both lengths.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// The rules of a site for this client.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Robots {
    rules: Vec<Rule>,
    /// The wait between two calls.
    pub(super) delay: Option<Duration>,
    /// The sitemaps, as they are written.
    pub(super) sitemaps: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    allows: bool,
    pattern: String,
}

/// The rules of a group.
#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    pattern_bytes: usize,
    delay: Option<Duration>,
    is_present: bool,
}

impl Robots {
    /// Reads a file; lines that are not known are left out.
    pub(super) fn parse(text: &str) -> Self {
        let (mut own, mut all) = (Group::default(), Group::default());
        let mut sitemaps = Vec::new();
        let (mut is_own, mut is_all, mut in_agents) = (false, false, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            match key.as_str() {
                "user-agent" => {
                    if !in_agents {
                        (is_own, is_all) = (false, false);
                    }
                    in_agents = true;
                    is_all |= value == "*";
                    is_own |= product(value).eq_ignore_ascii_case(AGENT);
                }
                "allow" | "disallow" | "crawl-delay" => {
                    in_agents = false;
                    for (group, is_addressed) in [(&mut own, is_own), (&mut all, is_all)] {
                        if is_addressed {
                            group.add(&key, value);
                        }
                    }
                }
                "sitemap" if sitemaps.len() < MAX_SITEMAPS => sitemaps.push(value.to_owned()),
                _ => {}
            }
        }
        let group = if own.is_present { own } else { all };
        Self { rules: group.rules, delay: group.delay, sitemaps }
    }

    /// Whether a page may be read: the longest matching pattern decides.
    pub(super) fn allows(&self, url: &Url) -> bool {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let matching = self.rules.iter().filter(|rule| is_match(rule.pattern.as_bytes(), path.as_bytes()));
        matching.max_by_key(|rule| (rule.pattern.len(), rule.allows)).is_none_or(|rule| rule.allows)
    }
}

impl Group {
    fn add(&mut self, key: &str, value: &str) {
        self.is_present = true;
        if key == "crawl-delay" {
            let seconds = value.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
            self.delay = seconds.map(|seconds| Duration::from_secs_f64(seconds.min(MAX_DELAY.as_secs_f64())));
        } else if !value.is_empty() && self.pattern_bytes + value.len() <= MAX_PATTERN_BYTES {
            // An empty pattern excludes nothing.
            self.pattern_bytes += value.len();
            self.rules.push(Rule { allows: key == "allow", pattern: value.to_owned() });
        }
    }
}

/// The name in a line of `user-agent`, without a version.
fn product(value: &str) -> &str {
    let end = value.find(|c: char| !c.is_ascii_alphabetic() && c != '-' && c != '_').unwrap_or(value.len());
    &value[..end]
}

/// Whether a pattern matches the beginning of a path, its end for `$`; `*` is any text. Goes back to the last `*` only, so the time is
/// at most the product of both lengths.
fn is_match(pattern: &[u8], path: &[u8]) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix(b"$") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (mut at, mut to, mut star) = (0, 0, None);
    loop {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, to));
                continue;
            }
            Some(byte) if path.get(to) == Some(byte) => {
                (at, to) = (at + 1, to + 1);
                continue;
            }
            None if !to_end || to == path.len() => return true,
            _ => {}
        }
        let Some((after, from)) = star.filter(|(_, from)| *from < path.len()) else { return false };
        (at, to) = (after, from + 1);
        star = Some((after, from + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str, path: &str) -> bool {
        Robots::parse(text).allows(&format!("http://h{path}").parse().unwrap())
    }

    #[test]
    fn longest_matching_rule_of_the_group_decides() {
        let text = "User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.cgi$\nDisallow:";
        assert!(!allows(text, "/private/x") && allows(text, "/private/open/x") && allows(text, "/"));
        assert!(!allows(text, "/a/b.cgi") && allows(text, "/a/b.cgi?x"));
        let text = "User-agent: other\nDisallow: /\n\nuser-agent: Nvisy/1.0\nuser-agent: more\nDisallow: /n # why\n";
        assert!(allows(text, "/") && !allows(text, "/n1"));
        // The group of the client replaces that of all.
        assert!(allows("User-agent: *\nDisallow: /\nUser-agent: nvisy\nAllow: /a", "/b"));
        assert!(allows("", "/a") && allows("<html>", "/a") && !allows("\u{feff}User-agent:*\nDisallow:/a", "/ab"));
    }

    #[test]
    fn delay_and_sitemaps_are_read() {
        let text = "Sitemap: http://h/s.xml\nUser-agent: *\nCrawl-delay: 2.5\nSitemap: /t.xml\n";
        let robots = Robots::parse(text);
        assert_eq!(robots.delay, Some(Duration::from_millis(2500)));
        assert_eq!(robots.sitemaps, ["http://h/s.xml", "/t.xml"]);
        assert_eq!(Robots::parse("User-agent: *\nCrawl-delay: 1e9").delay, Some(MAX_DELAY));
        assert_eq!(Robots::parse("User-agent: *\nCrawl-delay: -1").delay, None);
    }

    #[test]
    fn hostile_pattern_costs_little() {
        let pattern = "*a".repeat(100_000);
        assert!(!is_match(pattern.as_bytes(), "a".repeat(2_000).as_bytes()));
        assert!(!is_match(format!("{}b", "*a".repeat(900)).as_bytes(), "a".repeat(2_000).as_bytes()));
    }
}
