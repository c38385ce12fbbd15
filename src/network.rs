//! The networks that clients count by.

use std::net::{IpAddr, Ipv6Addr};

/// The network of one client: its IPv4 address, or the /64 of its IPv6 address, as a customer gets a /64 or more.
pub fn network(ip: IpAddr) -> IpAddr {
    masked(ip, 32, 64)
}

/// The wider network of a client: the /24 of its IPv4 address, or the /48 of its IPv6 address.
pub fn wider_network(ip: IpAddr) -> IpAddr {
    masked(ip, 24, 48)
}

fn masked(ip: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & (u32::MAX << (32 - v4))).into()),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - v6))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_masked_alike() {
        let ip = |text: &str| text.parse().expect("an IP address");
        let (narrow, wide) = (|text| network(ip(text)).to_string(), |text| wider_network(ip(text)).to_string());

        assert_eq!(narrow("2001:db8:1:2:3::4"), "2001:db8:1:2::");
        assert_eq!(wide("2001:db8:1:2:3::4"), "2001:db8:1::");
        assert_eq!(narrow("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(wide("::ffff:192.0.2.1"), "192.0.2.0");
    }
}
