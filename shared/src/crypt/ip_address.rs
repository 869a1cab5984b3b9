//! IP addresses in the activity log, sealed under a key of the account: erasing the account's row makes them unreadable
//! while the log stays unchanged.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use super::{
    DerivedKey,
    envelope::{self, UnsealError},
};
use crate::secret::Secret;

/// Seals an address for one entry of the log. The length does not tell IPv4 from IPv6.
#[must_use]
pub fn seal(key: &DerivedKey, entry: Uuid, address: IpAddr) -> Vec<u8> {
    let ipv6 = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    envelope::seal(key, entry.as_bytes(), &Secret::new(ipv6.octets().to_vec()))
}

/// Opens an address that [`seal`] sealed for the same entry.
///
/// # Errors
/// [`UnsealError`].
pub fn open(key: &DerivedKey, entry: Uuid, sealed: &[u8]) -> Result<IpAddr, UnsealError> {
    let opened = envelope::open(key, entry.as_bytes(), sealed)?;
    let octets: [u8; 16] = opened.expose().as_slice().try_into().map_err(|_| UnsealError)?;
    Ok(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
}

/// The network prefix of an address, stored where no account's key can seal the address: it does not identify a person.
#[must_use]
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypt::{KeyPurpose, Keyring, MasterKey};

    #[test]
    fn address_opens_only_for_its_entry_and_key() {
        let keyring = Keyring::new(MasterKey::generate());
        let key = |salt| keyring.derive_for(Uuid::from_u128(salt), KeyPurpose::IpAddress);
        for address in ["203.0.113.9", "2001:db8::1"] {
            let address: IpAddr = address.parse().unwrap();
            let sealed = seal(&key(1), Uuid::nil(), address);
            assert_eq!(sealed.len(), 56);
            assert_eq!(open(&key(1), Uuid::nil(), &sealed).unwrap(), address);
            assert!(open(&key(2), Uuid::nil(), &sealed).is_err());
            assert!(open(&key(1), Uuid::max(), &sealed).is_err());
        }
    }

    #[test]
    fn network_keeps_only_the_prefix() {
        for (address, expected) in [
            ("203.0.113.9", "203.0.113.0/24"),
            ("::ffff:203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
            ("::1", "::/48"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected);
        }
    }
}
