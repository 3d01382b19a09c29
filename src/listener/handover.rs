//! Handing over to the next process: the old one starts it, gives it its sockets, and ends when it is there.
//!
//! The two talk by a socket that is the standard input of the new one:
//! 1. The old one sends the descriptors of all listening sockets, and their names in JSON.
//! 2. The new one reads its configuration, sets everything up, and says [`READY`]. Where it ends before that, nothing has
//!    changed.
//! 3. The old one stops accepting, and sends what it has counted. Clients that come meanwhile wait in the sockets' queues,
//!    which are one and the same.
//! 4. The new one begins to accept, and the old one lets its transfers end.

#![allow(clippy::disallowed_methods, reason = "rank 4: starts a process and talks to it")]

use super::Inherited;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Tells a process that its standard input is the socket of one that wants to be succeeded.
const VARIABLE: &str = "WINDSCREEN_SUCCEEDS";
/// What the new process says when it could begin.
const READY: u8 = b'R';
/// So many sockets go into one message (SCM_MAX_FD of Linux is 253).
const MOST_SOCKETS: usize = 64;
/// What counters say is some megabytes at most.
const MOST_COUNTERS: u64 = 1 << 30;
/// A new process that is not ready by then has failed. Large policies take seconds to compile.
const PATIENCE: Duration = Duration::from_secs(120);

/// The process that is to take over.
pub struct Successor {
    channel: UnixStream,
    process: Child,
}

impl Successor {
    /// Starts `program`, and gives it `sockets` by name. Blocks until it is ready to take over.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it is ready, or is not ready within two minutes. It is gone then.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        sockets: &[(String, BorrowedFd<'_>)],
    ) -> io::Result<Self> {
        let (channel, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.args(arguments).env(VARIABLE, "1").stdin(OwnedFd::from(theirs));
        // The service manager gave these to this process alone.
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        let mut successor = Successor { process: command.spawn()?, channel };
        // Their end must be closed here, so that we hear when they are gone.
        drop(command);
        let ready = successor.give(sockets).and_then(|()| successor.wait());
        if ready.is_err() {
            let _ = successor.process.kill();
            let _ = successor.process.wait();
        }
        ready.map(|()| successor)
    }

    fn give(&mut self, sockets: &[(String, BorrowedFd<'_>)]) -> io::Result<()> {
        if sockets.len() > MOST_SOCKETS {
            return Err(io::Error::other("there are more sockets than can be handed over"));
        }
        let (names, descriptors): (Vec<&str>, Vec<BorrowedFd<'_>>) =
            sockets.iter().map(|(name, descriptor)| (name.as_str(), *descriptor)).unzip();
        let names = serde_json::to_vec(&names)?;
        let length = u32::try_from(names.len()).map_err(io::Error::other)?.to_be_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(self.channel.as_fd(), &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)?;
        self.channel.write_all(&names)
    }

    fn wait(&mut self) -> io::Result<()> {
        self.channel.set_read_timeout(Some(PATIENCE))?;
        let mut word = [0];
        match self.channel.read(&mut word)? {
            1 if word[0] == READY => Ok(()),
            _ => Err(io::Error::other("it ended before it was ready: see what it said")),
        }
    }

    /// Which process it is.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Lets it begin, with what was counted here.
    ///
    /// # Errors
    /// When it has ended meanwhile.
    pub fn begin(mut self, counted: &str) -> io::Result<()> {
        self.channel.write_all(counted.as_bytes())?;
        self.channel.shutdown(Shutdown::Write)
    }
}

/// The process that this one takes over from.
pub struct Predecessor {
    channel: UnixStream,
}

impl Predecessor {
    /// The process that started this one to be succeeded, with its sockets. `None` where nobody did.
    ///
    /// # Errors
    /// When it does not say what it should.
    pub fn find() -> io::Result<Option<(Self, Inherited)>> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let mut channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let mut length = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
        recvmsg(channel.as_fd(), &mut [IoSliceMut::new(&mut length)], &mut ancillary, flags)?;
        let descriptors = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors: Vec<OwnedFd> = descriptors.flatten().collect();
        let mut names = vec![0; u32::from_be_bytes(length) as usize];
        channel.read_exact(&mut names)?;
        let names: Vec<String> = serde_json::from_slice(&names)?;
        Ok(Some((Predecessor { channel }, Inherited::new(names.into_iter().zip(descriptors)))))
    }

    /// Says that all is ready, and blocks until it is time to begin. Gives what the other one has counted.
    ///
    /// # Errors
    /// When the other one is gone: then it should not have been succeeded.
    pub fn take_over(mut self) -> io::Result<String> {
        self.channel.write_all(&[READY])?;
        let mut counted = String::new();
        self.channel.take(MOST_COUNTERS).read_to_string(&mut counted)?;
        Ok(counted)
    }
}
