//! Sockets that listen: bound here, opened by the service manager, or inherited from the process before.

use super::address::Address;
use listenfd::ListenFd;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Connections that the system keeps until they are accepted, as many as nginx has it keep.
const BACKLOG: u32 = 511;
/// Who may connect to a unix socket: its group, too.
const SOCKET_MODE: u32 = 0o660;

/// A socket that listens.
#[derive(Debug)]
pub enum Socket {
    /// For the network.
    Tcp(TcpListener),
    /// For this machine.
    Unix(UnixListener),
}

/// Sockets that are open already, by name: that of a listener is where the gateway file says to listen.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<String, OwnedFd>);

impl Inherited {
    /// Those that a process handed over.
    pub fn new(sockets: impl IntoIterator<Item = (String, OwnedFd)>) -> Self {
        Inherited(sockets.into_iter().collect())
    }

    /// Those that the service manager has opened (`sd_listen_fds(3)`), by name. Each is there once.
    pub fn from_service_manager() -> Self {
        // The environment is read once: it says nothing of a descriptor that has been taken.
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Inherited::default();
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut opened = ListenFd::from_env();
        let names = names.split(':').map(str::to_owned).chain(std::iter::repeat("unknown".to_owned()));
        let mut sockets = BTreeMap::new();
        for (index, name) in (0..opened.len()).zip(names) {
            let socket = opened.take_tcp_listener(index).ok().flatten().map(OwnedFd::from);
            let socket = socket.or_else(|| opened.take_unix_listener(index).ok().flatten().map(OwnedFd::from));
            if let Some(socket) = socket {
                sockets.insert(Address::Systemd(name).to_string(), socket);
            }
        }
        Inherited(sockets)
    }

    /// Takes over what `others` has.
    pub fn extend(&mut self, others: Inherited) {
        self.0.extend(others.0);
    }
}

impl Socket {
    /// Listens at `address`, by the socket that is open already by that `name` where there is one. Port 0 takes a free one. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn open(name: &str, address: &Address, reuse_port: bool, inherited: &mut Inherited) -> io::Result<Self> {
        if let Some(socket) = inherited.0.remove(name) {
            return Socket::adopt(socket);
        }
        match address {
            Address::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                // Without it the port of a gateway that has just stopped is taken for a minute.
                socket.set_reuseaddr(true)?;
                socket.set_reuseport(reuse_port)?;
                socket.bind(*address)?;
                socket.listen(BACKLOG).map(Socket::Tcp)
            }
            Address::Unix(path) => bind_unix(path).map(Socket::Unix),
            Address::Systemd(name) => {
                let message = format!("the service manager has opened no socket that is called `{name}`");
                Err(io::Error::new(io::ErrorKind::NotFound, message))
            }
        }
    }

    fn adopt(socket: OwnedFd) -> io::Result<Self> {
        use rustix::net::{AddressFamily, sockopt};
        if sockopt::socket_domain(&socket)? == AddressFamily::UNIX {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener).map(Socket::Unix)
        } else {
            let listener = std::net::TcpListener::from(socket);
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener).map(Socket::Tcp)
        }
    }

    /// Where it listens; a unix socket has no such address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The descriptor, to hand it to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Takes the place of a socket that nobody listens at any more.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}
