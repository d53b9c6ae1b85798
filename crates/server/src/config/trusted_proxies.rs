//! `trusted_proxies`: whose word about a request's origin is taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Url;

use super::{Problems, is_loopback};

/// Addresses and ranges. Ranges of IPv4 written as IPv6 are IPv4, as the addresses are that they are compared with.
pub(super) fn validate(raw: &[String], problems: &mut Problems) -> Vec<IpNet> {
    let mut nets = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let path = format!("trusted_proxies[{index}]");
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(address).map(canonical) {
            // A list of proxies that contains strangers is worse than none.
            Some(net) if is_too_wide(&net) => problems.error(
                path,
                "trusts everybody, or a good part of the Internet; give the addresses of your own proxies (at least /8 of \
                 IPv4, /16 of IPv6)",
            ),
            Some(net) => nets.push(net.trunc()),
            None => problems.error(path, "is not an address or a range, such as 127.0.0.1 or 10.1.0.0/16"),
        }
    }
    nets
}

fn canonical(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(net, IpNet::V4),
            None => net,
        },
        IpNet::V4(_) | IpNet::V6(_) => net,
    }
}

/// Wider than anybody's own network, but for the private ranges of IPv6 (RFC 4193, RFC 4291 section 2.5.6).
fn is_too_wide(net: &IpNet) -> bool {
    const PRIVATE: [(Ipv6Addr, u8); 2] =
        [(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)];
    match net {
        IpNet::V4(v4) => v4.prefix_len() < 8,
        IpNet::V6(v6) => {
            let is_private = PRIVATE
                .into_iter()
                .filter_map(|(address, length)| Ipv6Net::new(address, length).ok())
                .any(|private| private.contains(v6));
            let has_all_of_ipv4 = v6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
            (v6.prefix_len() < 16 && !is_private) || (has_all_of_ipv4 && v6.prefix_len() < 104)
        }
    }
}

/// Of a config that names no proxy: only one on this machine can reach such a portal, and it is everybody's address.
pub(super) fn warn_if_forgotten(listen: &[SocketAddr], portal: Option<&Url>, problems: &mut Problems) {
    let is_behind_a_proxy = listen.iter().all(|address| address.ip().to_canonical().is_loopback())
        && !listen.is_empty()
        && portal.is_some_and(|portal| !is_loopback(portal));
    if is_behind_a_proxy {
        problems.warn(
            "trusted_proxies",
            "is empty, and `listen` is reached from this machine alone: everybody who comes through your reverse proxy \
             counts as one address; give the proxy's, such as [\"127.0.0.1\"]",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_every_spelling() {
        for (name, text, contains, others) in [
            ("an address", "127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("a range", "10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("a range with a host in it", "10.1.2.3/16", "10.1.0.9", "10.2.0.0"),
            ("IPv6", "2001:db8::/32", "2001:db8::1", "2001:db9::1"),
            ("an IPv6 address", "::1", "::1", "::2"),
            ("the widest of IPv4", "10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("the widest of IPv6", "2001::/16", "2001:db8::1", "2002::1"),
            ("all that is private in IPv6", "fc00::/7", "fd00::1", "fe80::1"),
            ("all links of IPv6", "fe80::/10", "fe80::1", "fd00::1"),
            ("IPv4 within IPv6", "::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("an IPv4 address within IPv6", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ] {
            let mut problems = Problems::default();
            let nets = validate(&[text.to_owned()], &mut problems);
            assert_eq!(problems, Problems::default(), "{name}");
            let is_in = |address: &str| nets[0].contains(&address.parse::<IpAddr>().expect("an address"));
            assert!(is_in(contains) && !is_in(others), "{name}: {nets:?}");
        }
    }

    #[test]
    fn what_is_no_range_or_everybody_is_refused() {
        for text in [
            "",
            "localhost",
            "10.0.0.1:80",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "10.0.0.0/7",
            "::/0",
            "::/1",
            "2000::/3",
            "2001::/15",
            "fc00::/6",
            "::ffff:0.0.0.0/96",
            "::ffff:0:0/95",
            "::/64",
            "::ffff:10.0.0.0/103",
        ] {
            let mut problems = Problems::default();
            validate(&[text.to_owned()], &mut problems);
            assert!(problems.has_errors(), "{text:?}");
        }
    }
}
