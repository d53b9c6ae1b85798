//! Whom an address stands for: an IPv4 address, or the /64 of an IPv6 address, since everybody is given at least that
//! much of IPv6 and can use another address for every request.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// One client, as far as limits can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d].into_iter().fold(0, |bits, segment| bits << 16 | u64::from(segment)))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*bits) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_one_client_can_have_are_one_source() {
        for (name, address, expected) in [
            ("IPv4", "192.0.2.1", "192.0.2.1"),
            ("IPv4 within IPv6", "::ffff:192.0.2.1", "192.0.2.1"),
            ("IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("another of the same /64", "2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
            ("another /64", "2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(Source::from(address).to_string(), expected, "{name}");
        }
    }
}
