//! The PROXY protocol, versions 1 and 2: a proxy that carries bytes and not requests says first who the client is.
//!
//! Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What begins a header of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, line break included.
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is read: addresses take 36 bytes, the rest is told of TLS and the proxy.
const LONGEST_BLOCK: usize = 4096;
/// An extension that tells of TLS, and the flag of its first byte that the client spoke it.
const TLS: u8 = 0x20;
const CLIENT_TLS: u8 = 1;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// The client; `None` where the proxy speaks for itself (a health check), or does not know.
    pub client: Option<SocketAddr>,
    /// Whether the client speaks TLS with the proxy; `None` where that is not said.
    pub secure: Option<bool>,
}

/// Reads a header and not a byte more.
///
/// # Errors
/// Where there is none, or it is malformed.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Named> {
    let mut start = [0; 12];
    // The shortest line is `PROXY UNKNOWN\r\n`.
    from.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut head = [0; 4];
        from.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if length > LONGEST_BLOCK {
            return Err(malformed());
        }
        let mut block = vec![0; length];
        from.read_exact(&mut block).await?;
        return version_2(head[0], head[1], &block).ok_or_else(malformed);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST_LINE {
            return Err(malformed());
        }
        line.push(from.read_u8().await?);
    }
    version_1(&line).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol")
}

fn version_1(line: &[u8]) -> Option<Named> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?.strip_prefix("PROXY ")?;
    let words: Vec<&str> = line.split(' ').collect();
    let (source, port) = match *words.as_slice() {
        ["UNKNOWN", ..] => return Some(Named::default()),
        ["TCP4", source, _, port, _] => (IpAddr::V4(source.parse().ok()?), port),
        ["TCP6", source, _, port, _] => (IpAddr::V6(source.parse().ok()?), port),
        _ => return None,
    };
    Some(Named { client: Some(SocketAddr::new(source, port.parse().ok()?)), secure: None })
}

fn version_2(command: u8, family: u8, block: &[u8]) -> Option<Named> {
    match command {
        0x20 => return Some(Named::default()),
        0x21 => {}
        _ => return None,
    }
    // TCP over IPv4 and IPv6; of others the proxy tells nothing that we could use.
    let (client, rest) = match family {
        0x11 => {
            let (addresses, rest) = block.split_first_chunk::<12>()?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            (SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])), rest)
        }
        0x21 => {
            let (addresses, rest) = block.split_first_chunk::<36>()?;
            let source: [u8; 16] = *addresses.first_chunk()?;
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            (SocketAddr::new(Ipv6Addr::from(source).into(), port), rest)
        }
        _ => return Some(Named::default()),
    };
    Some(Named { client: Some(client), secure: tls(rest)? })
}

/// What the extensions say of TLS. `None` where they are malformed.
fn tls(mut extensions: &[u8]) -> Option<Option<bool>> {
    let mut secure = None;
    while !extensions.is_empty() {
        let ([kind, high, low], rest) = extensions.split_first_chunk::<3>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        if *kind == TLS {
            secure = Some(value.first()? & CLIENT_TLS != 0);
        }
        extensions = rest;
    }
    Some(secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(command: u8, family: u8, addresses: &[u8], extensions: &[u8]) -> Vec<u8> {
        let length = (addresses.len() + extensions.len()) as u16;
        [&SIGNATURE[..], &[command, family], &length.to_be_bytes(), addresses, extensions].concat()
    }

    async fn reading(bytes: &[u8]) -> Result<(Named, usize), io::ErrorKind> {
        let mut rest = bytes;
        let named = read(&mut rest).await.map_err(|error| error.kind())?;
        Ok((named, rest.len()))
    }

    #[tokio::test]
    async fn both_versions_name_the_client() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x11, 0x5c, 0, 80];
        let v6: Vec<u8> = ["2001:db8::7", "::1"]
            .iter()
            .flat_map(|address| address.parse::<Ipv6Addr>().unwrap().octets())
            .chain([0x11, 0x5c, 1, 187])
            .collect();
        let named = |client: &str, secure| Named { client: Some(client.parse().unwrap()), secure };
        let tls = [1, 0, 2, b'h', b'2', TLS, 0, 5, CLIENT_TLS, 0, 0, 0, 0];
        let plain = [TLS, 0, 5, 0, 0, 0, 0, 0];
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4444 80\r\n".to_vec(), named("192.0.2.7:4444", None)),
            (b"PROXY TCP6 2001:db8::7 ::1 4444 443\r\n".to_vec(), named("[2001:db8::7]:4444", None)),
            (b"PROXY UNKNOWN\r\n".to_vec(), Named::default()),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Named::default()),
            (block(0x21, 0x11, &v4, &[]), named("192.0.2.7:4444", None)),
            (block(0x21, 0x11, &v4, &tls), named("192.0.2.7:4444", Some(true))),
            (block(0x21, 0x11, &v4, &plain), named("192.0.2.7:4444", Some(false))),
            (block(0x21, 0x21, &v6, &[]), named("[2001:db8::7]:4444", None)),
            (block(0x20, 0x00, &[], &[]), Named::default()),
            (block(0x21, 0x31, &[0; 216], &[]), Named::default()),
        ] {
            let rest = b"GET / HTTP/1.1\r\n";
            let sent = [&bytes[..], rest].concat();
            assert_eq!(reading(&sent).await, Ok((expected, rest.len())), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x11, 0x5c, 0, 80];
        for (bytes, expected) in [
            (b"GET / HTTP/1.1\r\nHost: logs\r\n".to_vec(), InvalidData),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4444\r\n".to_vec(), InvalidData),
            (b"PROXY TCP4 2001:db8::7 ::1 4444 80\r\n".to_vec(), InvalidData),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 70000 80\r\n".to_vec(), InvalidData),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4444 80".to_vec(), UnexpectedEof),
            ([&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(), InvalidData),
            (block(0x31, 0x11, &v4, &[]), InvalidData),
            (block(0x22, 0x11, &v4, &[]), InvalidData),
            (block(0x21, 0x11, &v4[..11], &[]), InvalidData),
            (block(0x21, 0x11, &v4, &[TLS, 0, 9, 1]), InvalidData),
            (block(0x21, 0x11, &v4, &[TLS, 0, 0]), InvalidData),
            (block(0x21, 0x11, &[0; 5000], &[]), InvalidData),
            (SIGNATURE.to_vec(), UnexpectedEof),
            (Vec::new(), UnexpectedEof),
        ] {
            assert_eq!(reading(&bytes).await, Err(expected), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
