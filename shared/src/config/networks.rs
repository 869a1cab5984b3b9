//! A setting that lists networks.

use std::{net::IpAddr, str::FromStr};

use ipnet::{AddrParseError, IpNet};
use serde::{Deserialize, Deserializer, de::Error};

/// Networks and single addresses, as in `10.0.0.0/8, ::1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether the address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Networks {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network =
            |part: &str| part.parse().or_else(|error| part.parse::<IpAddr>().map(IpNet::from).map_err(|_| error));
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Networks;

    #[test]
    fn networks_and_single_addresses_are_parsed() {
        let networks: Networks = serde_json::from_value(json!("10.0.0.0/8, ::1 ,192.0.2.7")).unwrap();
        for inside in ["10.1.2.3", "::1", "192.0.2.7", "::ffff:10.1.2.3"] {
            assert!(networks.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "::2", "192.0.2.8"] {
            assert!(!networks.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(serde_json::from_value::<Networks>(json!("10.0.0.0/33")).is_err());
    }
}
