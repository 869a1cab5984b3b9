//! Which addresses a call may reach whose target a tenant chooses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::{Ipv4Net, Ipv6Net};

/// Networks of the IANA special-purpose registry that are not the public internet, and addresses that hosting providers give to
/// services of the own machine.
const CLOSED_V4: [&str; 18] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    // Carrier-grade NAT; Alibaba's metadata service is in it.
    "100.64.0.0/10",
    "127.0.0.0/8",
    // Link-local, with the metadata services of most clouds.
    "169.254.0.0/16",
    "172.16.0.0/12",
    // Protocol assignments; Oracle's metadata service is in it.
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast, reserved and broadcast.
    "224.0.0.0/3",
    // Azure's service of the virtual machine, with a public address.
    "168.63.129.16/32",
];

/// The part of IPv6 that is assigned to the public internet.
const PUBLIC_V6: &str = "2000::/3";

/// Networks within [`PUBLIC_V6`] that are not public, or that lead to IPv4 addresses which cannot be seen from the outside.
const CLOSED_V6: [&str; 4] = [
    // Protocol assignments, with Teredo and ORCHID.
    "2001::/23",
    "2001:db8::/32",
    // 6to4.
    "2002::/16",
    "3fff::/20",
];

/// The well-known prefix of NAT64: the last four bytes are an IPv4 address.
const NAT64: &str = "64:ff9b::/96";

struct Networks {
    closed_v4: Vec<Ipv4Net>,
    public_v6: Ipv6Net,
    closed_v6: Vec<Ipv6Net>,
    nat64: Ipv6Net,
}

static NETWORKS: LazyLock<Networks> = LazyLock::new(|| {
    let v6 = |text: &str| text.parse().expect("a valid network");
    Networks {
        closed_v4: CLOSED_V4.iter().map(|text| text.parse().expect("a valid network")).collect(),
        public_v6: v6(PUBLIC_V6),
        closed_v6: CLOSED_V6.iter().copied().map(v6).collect(),
        nat64: v6(NAT64),
    }
});

/// The address that a packet finally reaches: the IPv4 address in a mapped or a NAT64 address.
pub(super) fn reached(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NETWORKS.nat64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        address => address,
    }
}

/// Whether the address belongs to the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match reached(address) {
        IpAddr::V4(v4) => !NETWORKS.closed_v4.iter().any(|network| network.contains(&v4)),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    NETWORKS.public_v6.contains(&address) && !NETWORKS.closed_v6.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn addresses_outside_the_public_internet_are_closed() {
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
    }

    #[test]
    fn addresses_of_the_public_internet_are_open() {
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "223.255.255.254",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
    }
}
