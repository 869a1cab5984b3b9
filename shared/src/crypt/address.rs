//! Network addresses in the activity log: sealed for the person whose they are, so that erasing the person's row makes
//! them unreadable while the log stays as it was written.

use std::net::{IpAddr, Ipv6Addr};

use uuid::Uuid;

use super::{
    Key,
    envelope::{self, NotSealed},
};
use crate::secret::Secret;

/// Seals an address for one entry of the log. All come out equally long.
#[must_use]
pub fn seal(key: &Key, entry: Uuid, address: IpAddr) -> Vec<u8> {
    let wide = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    envelope::seal(key, entry.as_bytes(), &Secret::new(wide.octets().to_vec()))
}

/// Opens what [`seal`] made for the same entry.
///
/// # Errors
/// [`NotSealed`].
pub fn open(key: &Key, entry: Uuid, sealed: &[u8]) -> Result<IpAddr, NotSealed> {
    let opened = envelope::open(key, entry.as_bytes(), sealed)?;
    let octets: [u8; 16] = opened.expose().as_slice().try_into().map_err(|_| NotSealed)?;
    Ok(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
}

/// The network of an address that nobody's key is there for: it shows where something came from, and no person.
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
    use crate::crypt::{Keyring, MasterKey, Purpose};

    #[test]
    fn an_address_opens_in_its_entry_with_its_persons_key() {
        let keyring = Keyring::new(MasterKey::generate());
        let key = |secret| keyring.derive_for(Uuid::from_u128(secret), Purpose::Address);
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
    fn networks_name_no_machine() {
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
