//! Listening wherever the configuration says.

use super::StartError;
use crate::config::Config;
use crate::listener::{Address, Inherited, Socket};
use std::os::fd::OwnedFd;

/// What listens.
pub(super) struct Sockets {
    pub listeners: Vec<Socket>,
    pub admin: Option<Socket>,
    names: Vec<String>,
}

impl Sockets {
    /// All of them by name, as another process would get them.
    pub fn descriptors(&self) -> Result<Vec<(String, OwnedFd)>, StartError> {
        let sockets = self.listeners.iter().chain(&self.admin);
        let copies = self.names.iter().zip(sockets).map(|(name, socket)| {
            let copy = socket.descriptor().try_clone_to_owned();
            copy.map(|copy| (name.clone(), copy)).map_err(StartError::TakeOver)
        });
        copies.collect()
    }
}

/// Listens wherever the configuration says, by sockets that have been `opened` where these are there.
pub(super) fn open(config: &Config, opened: &mut Inherited) -> Result<Sockets, StartError> {
    let mut open = |name: &str, address: &Address, reuse_port: bool| {
        Socket::open(name, address, reuse_port, opened).map_err(|error| StartError::Bind(address.clone(), error))
    };
    let (mut listeners, mut names) = (Vec::new(), Vec::new());
    for settings in &config.file.listeners.0 {
        let name = settings.address.to_string();
        listeners.push(open(&name, &settings.address, settings.reuse_port)?);
        names.push(name);
    }
    let admin = config.file.admin.as_ref().map(|settings| {
        let name = format!("admin {}", settings.address);
        let socket = open(&name, &settings.address.into(), false);
        names.push(name);
        socket
    });
    Ok(Sockets { listeners, admin: admin.transpose()?, names })
}
