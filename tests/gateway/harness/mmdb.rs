//! Writes small databases in the MaxMind DB format, version 2.0 (<https://maxmind.github.io/MaxMind-DB/>).

use std::net::IpAddr;

/// A value of the data section, as far as databases of countries and networks need them.
#[derive(Clone)]
pub enum Value {
    Text(&'static str),
    Number(u32),
    Map(Vec<(&'static str, Value)>),
}

/// The shape of GeoLite2-Country: `country.iso_code` by block.
pub fn countries(blocks: &[(&str, &'static str)]) -> Vec<u8> {
    let record = |code| Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))]);
    let records: Vec<_> = blocks.iter().map(|(block, code)| (*block, record(code))).collect();
    database("GeoLite2-Country", &records)
}

/// The shape of GeoLite2-ASN: `autonomous_system_number` by block.
pub fn networks(blocks: &[(&str, u32)]) -> Vec<u8> {
    let record = |number| Value::Map(vec![("autonomous_system_number", Value::Number(number))]);
    let records: Vec<_> = blocks.iter().map(|(block, number)| (*block, record(*number))).collect();
    database("GeoLite2-ASN", &records)
}

/// A database of the named type, with IPv4 blocks at `::/96` of one IPv6 tree and records of 24 bits.
pub fn database(kind: &'static str, records: &[(&str, Value)]) -> Vec<u8> {
    let mut tree = vec![[Child::Nothing; 2]];
    let mut data = Vec::new();
    let mut records: Vec<_> = records.iter().map(|(block, value)| (bits(block), value)).collect();
    // A block within another one comes after it, and replaces a part of it.
    records.sort_by_key(|((_, length), _)| *length);
    for ((address, length), value) in records {
        insert(&mut tree, address, length, data.len());
        encode(value, &mut data);
    }

    let count = tree.len();
    let mut file = Vec::new();
    for child in tree.into_iter().flatten() {
        let number = match child {
            Child::Nothing => count,
            Child::Node(node) => node,
            Child::Data(offset) => count + 16 + offset,
        };
        file.extend_from_slice(&(number as u32).to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let description = Value::Map(vec![("en", Value::Text("for tests"))]);
    let metadata: [(&str, Vec<u8>); 9] = [
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        // Type 9 (uint64) and type 11 (array) are extended ones: type 0, then the type less 7.
        ("build_epoch", [&[0x08, 2][..], &1_700_000_000u64.to_be_bytes()[..]].concat()),
        ("database_type", encoded(&Value::Text(kind))),
        ("description", encoded(&description)),
        ("ip_version", short(6)),
        ("languages", vec![0x00, 4]),
        ("node_count", encoded(&Value::Number(count as u32))),
        ("record_size", short(24)),
    ];
    file.push(7 << 5 | metadata.len() as u8);
    for (key, value) in metadata {
        encode(&Value::Text(key), &mut file);
        file.extend_from_slice(&value);
    }
    file
}

#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The address of a CIDR block in the tree, from the highest bit, and its length there.
fn bits(block: &str) -> (u128, u8) {
    let (address, length) = block.split_once('/').unwrap();
    let length: u8 = length.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(address) => (u32::from(address).into(), 96 + length),
        IpAddr::V6(address) => (address.to_bits(), length),
    }
}

fn insert(tree: &mut Vec<[Child; 2]>, address: u128, length: u8, offset: usize) {
    let mut node = 0;
    for depth in 0..length {
        let side = (address >> (127 - depth) & 1) as usize;
        if depth + 1 == length {
            tree[node][side] = Child::Data(offset);
            return;
        }
        node = match tree[node][side] {
            Child::Node(next) => next,
            whole => {
                tree.push([whole; 2]);
                tree[node][side] = Child::Node(tree.len() - 1);
                tree.len() - 1
            }
        };
    }
}

fn short(number: u16) -> Vec<u8> {
    [&[5 << 5 | 2][..], &number.to_be_bytes()[..]].concat()
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

fn encode(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            // Sizes from 29 take another byte.
            match text.len() {
                short @ 0..29 => bytes.push(2 << 5 | short as u8),
                long => bytes.extend_from_slice(&[2 << 5 | 29, (long - 29) as u8]),
            }
            bytes.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            bytes.push(6 << 5 | 4);
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(entries) => {
            bytes.push(7 << 5 | entries.len() as u8);
            for (key, value) in entries {
                encode(&Value::Text(key), bytes);
                encode(value, bytes);
            }
        }
    }
}
