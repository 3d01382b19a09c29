//! Where to listen, as a gateway file says it.

use crate::document::{Decode, Diagnostics, Node, Schemas};
use serde_json::{Value, json};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

const UNIX: &str = "unix:";
const SYSTEMD: &str = "systemd:";

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket, which is made where it is not there.
    Unix(PathBuf),
    /// A socket that the service manager has opened: by its `FileDescriptorName`.
    Systemd(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Address::Systemd(name) => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Tcp(address)
    }
}

impl Decode for Address {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        let address = match (text.strip_prefix(UNIX), text.strip_prefix(SYSTEMD)) {
            (Some(path), _) => Some(Address::Unix(path.into())).filter(|_| path.starts_with('/')),
            (_, Some(name)) => Some(Address::Systemd(name.to_owned())).filter(|_| !name.is_empty()),
            _ => text.parse().ok().map(Address::Tcp),
        };
        if address.is_none() {
            let message = format!(
                "expected an address and a port such as `[::]:8080`, `unix:/PATH` or `systemd:NAME`, not `{text}`"
            );
            diagnostics.error(node.position, message);
        }
        address
    }

    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string"})
    }

    fn written(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}
