//! A setting that lists hosts which are reached without the proxy.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};
use url::{Host, Url};

/// Hosts that are reached without the proxy, as in `NO_PROXY`: `example.org` and `.example.org` are the host and its subdomains,
/// `10.0.0.0/8` and `::1` are addresses as they stand in URLs, `*` is every host; a port may follow a host. This machine is always
/// one of them: for a proxy, `localhost` would be the machine of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Network(IpNet),
    /// A name in lower case and its subdomains.
    Domain(String),
}

impl NoProxy {
    /// Whether requests to a URL go without the proxy.
    #[must_use]
    pub fn contains(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let listed = |is_meant: &dyn Fn(&Hosts) -> bool| {
            self.0.iter().any(|entry| (entry.port.is_none() || entry.port == port) && is_meant(&entry.hosts))
        };
        match url.host() {
            Some(Host::Ipv4(ip)) => listed(&|hosts| hosts.contain_address(ip.into())) || ip.is_loopback(),
            Some(Host::Ipv6(ip)) => {
                listed(&|hosts| hosts.contain_address(ip.into())) || ip.to_canonical().is_loopback()
            }
            Some(Host::Domain(name)) => listed(&|hosts| hosts.contain_name(name)) || is_within(name, "localhost"),
            None => true,
        }
    }
}

impl Hosts {
    fn contain_address(&self, ip: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => network.contains(&ip.to_canonical()),
            Self::Domain(_) => false,
        }
    }

    fn contain_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Network(_) => false,
            Self::Domain(domain) => is_within(name, domain),
        }
    }
}

/// Whether a name is a domain or a subdomain of it.
fn is_within(name: &str, domain: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An IPv6 address has colons, so it is tried before a port is.
        if let Some(hosts) = text.parse().ok().map(Hosts::Network).or_else(|| address(text)) {
            return Ok(Self { hosts, port: None });
        }
        let invalid = || format!("`{text}` is no host, address or network");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let hosts = if host == "*" { Some(Hosts::All) } else { address(host).or_else(|| domain(host)) };
        Ok(Self { hosts: hosts.ok_or_else(invalid)?, port })
    }
}

/// A single address, which may have the brackets of URLs.
fn address(text: &str) -> Option<Hosts> {
    let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    literal.parse::<IpAddr>().ok().map(|ip| Hosts::Network(ip.to_canonical().into()))
}

/// The name as it stands in URLs.
fn domain(text: &str) -> Option<Hosts> {
    let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text).trim_end_matches('.');
    match Host::parse(name) {
        Ok(Host::Domain(name)) if !name.contains('*') => Some(Hosts::Domain(name)),
        _ => None,
    }
}

impl FromStr for NoProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::parse::<Entry>).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for NoProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigError};

    fn is_direct(list: &str, url: &str) -> bool {
        list.parse::<NoProxy>().unwrap().contains(&Url::parse(url).unwrap())
    }

    #[test]
    fn name_stands_for_itself_and_its_subdomains() {
        for list in ["example.org", ".example.org", "*.example.org", "EXAMPLE.org.", "a.b, example.org,c"] {
            for url in ["https://example.org/x", "http://deep.models.example.org:8080/", "http://Example.ORG./"] {
                assert!(is_direct(list, url), "{list} {url}");
            }
            for url in ["https://notexample.org/", "https://example.org.evil.net/", "https://org/"] {
                assert!(!is_direct(list, url), "{list} {url}");
            }
        }
        assert!(is_direct("bücher.example", "https://shop.bücher.example/"));
    }

    #[test]
    fn networks_are_those_of_addresses_in_urls() {
        let list = "10.0.0.0/8,192.0.2.7 2001:db8::/32";
        for url in ["http://10.1.2.3/", "http://192.0.2.7:80/", "http://[2001:db8::1]/", "http://[::ffff:10.1.2.3]/"] {
            assert!(is_direct(list, url), "{url}");
        }
        for url in ["http://11.1.2.3/", "http://192.0.2.8/", "http://[2001:db9::1]/", "http://10.1.2.3.example/"] {
            assert!(!is_direct(list, url), "{url}");
        }
    }

    #[test]
    fn port_narrows_an_entry() {
        for (list, url) in [
            ("example.org:8443", "https://a.example.org:8443/"),
            ("192.0.2.7:443", "https://192.0.2.7/"),
            ("[2001:db8::1]:80", "http://[2001:db8::1]/"),
            ("[2001:db8::1]", "http://[2001:db8::1]:81/"),
            ("*:80", "http://any.example/"),
        ] {
            assert!(is_direct(list, url), "{list} {url}");
        }
        assert!(!is_direct("example.org:8443", "https://example.org/"));
        assert!(is_direct("*", "https://any.example/") && is_direct("*", "https://192.0.2.1/"));
    }

    #[test]
    fn this_machine_is_never_reached_through_the_proxy() {
        for url in ["http://localhost:1/", "http://a.localhost/", "http://127.9.9.9/", "http://[::1]/"] {
            assert!(is_direct("", url), "{url}");
        }
        assert!(!is_direct("", "http://example.org/") && !is_direct("", "http://10.0.0.1/"));
    }

    #[test]
    fn entry_that_is_no_host_is_an_error() {
        for list in ["10.0.0.0/33", "a*.example.org", "example.org:x", "https://example.org", "10.1", "a/b"] {
            assert!(list.parse::<NoProxy>().is_err(), "{list}");
        }
    }

    fn with(name: &str, value: &str) -> Result<Config, ConfigError> {
        Config::from_variables([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn proxy_url_has_a_scheme_and_no_path() {
        for url in ["http://proxy", "http://ada:hunter2@proxy.example.org:3128", "https://[::1]:3128/"] {
            let config = with("NVISY_OUTBOUND_PROXY_URL", url).unwrap();
            let target = Url::parse("https://example.org/").unwrap();
            assert!(config.outbound.proxy_for(&target).is_some(), "{url}");
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        }
        for url in [
            "proxy.example.org:3128",
            "socks5://ada:hunter2@proxy",
            "http://ada:hunter2@proxy/path",
            "http://proxy?hunter2",
            "ftp://proxy",
        ] {
            let error = with("NVISY_OUTBOUND_PROXY_URL", url).unwrap_err().to_string();
            assert!(error.contains("NVISY_OUTBOUND_PROXY_URL has a value that is not a proxy URL"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = with("NVISY_OUTBOUND_NO_PROXY", "10.0.0.0/33").unwrap_err().to_string();
        assert!(error.contains("NVISY_OUTBOUND_NO_PROXY has a value that cannot be used"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
