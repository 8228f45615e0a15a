//! Who waits in the backlogs of listening sockets, without accepting.

use super::listener::Bucket;
use crate::sys;
use std::ffi::c_int;

/// The listening sockets of a child, to be asked about.
#[derive(Clone)]
pub struct Backlogs {
    descriptors: Vec<c_int>,
    entries: Vec<libc::pollfd>,
}

impl Backlogs {
    /// Those of a bucket.
    pub fn of(bucket: Bucket) -> Backlogs {
        let descriptor = |socket| {
            let mut fd = -1;
            // SAFETY: the socket is open, the result has a place. On failure poll(2) passes over the -1.
            unsafe { sys::apr_os_sock_get(&mut fd, socket) };
            fd
        };
        Backlogs::new(bucket.sockets().map(|l| descriptor(l.socket())).collect())
    }

    fn new(descriptors: Vec<c_int>) -> Backlogs {
        Backlogs {
            descriptors,
            entries: Vec::new(),
        }
    }

    /// How many clients wait to be accepted, at sockets that aren't left out. Where the system doesn't tell, each socket with
    /// any counts as one.
    pub fn look(&mut self, is_left_out: impl Fn(usize) -> bool) -> u32 {
        let descriptor = |(index, &fd): (usize, &c_int)| if is_left_out(index) { -1 } else { fd };
        let asked = self.descriptors.iter().enumerate().map(descriptor);
        poll(&mut self.entries, asked);
        let waiting = self.entries.iter().filter(|entry| has_clients(entry));
        waiting.map(|e| queued(e.fd).unwrap_or(1).max(1)).sum()
    }

    /// Whether anybody waits, at whichever socket. From any thread: a descriptor that has been closed meanwhile, or is another
    /// file's by now, gives a wrong answer at worst.
    pub fn anybody_waits(&self) -> bool {
        let mut entries = Vec::new();
        poll(&mut entries, self.descriptors.iter().copied());
        entries.iter().any(has_clients)
    }

    /// The sockets at which somebody waited when last asked.
    pub fn with_clients(&self) -> Vec<usize> {
        let waits = |(index, entry)| has_clients(entry).then_some(index);
        self.entries.iter().enumerate().filter_map(waits).collect()
    }
}

/// Asks the sockets of these descriptors who waits, into `entries`; one of -1 is left out.
fn poll(entries: &mut Vec<libc::pollfd>, descriptors: impl Iterator<Item = c_int>) {
    entries.clear();
    entries.extend(descriptors.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }));
    // SAFETY: as many valid entries as given; returns at once. When it fails no entry is changed: nobody waits.
    unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, 0) };
}

fn has_clients(entry: &libc::pollfd) -> bool {
    entry.revents & libc::POLLIN != 0
}

/// Connections that are complete and not accepted: Linux tells of a listening TCP socket by a field that counts
/// unacknowledged segments on others (`tcpi_unacked`).
#[cfg(target_os = "linux")]
fn queued(fd: c_int) -> Option<u32> {
    // SAFETY: integers; all-zero is valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = std::mem::size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: room for as much as `len` says; older kernels fill less of it.
    let rv = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut len,
        )
    };
    (rv == 0).then_some(info.tcpi_unacked)
}

#[cfg(not(target_os = "linux"))]
fn queued(_fd: c_int) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn backlogs(listeners: &[&TcpListener]) -> Backlogs {
        Backlogs::new(listeners.iter().map(|l| l.as_raw_fd()).collect())
    }

    #[test]
    fn clients_are_counted_and_left_where_they_are() {
        let [one, two] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let mut backlogs = backlogs(&[&one, &two]);
        assert_eq!(backlogs.look(|_| false), 0);
        assert!(backlogs.with_clients().is_empty());
        assert!(!backlogs.anybody_waits());
        let connect = |to: &TcpListener| {
            TcpStream::connect(to.local_addr().expect("its address")).expect("a connection")
        };
        let _clients = [connect(&two), connect(&two), connect(&two)];
        let expected = if cfg!(target_os = "linux") { 3 } else { 1 };
        for _ in 0..2 {
            assert_eq!(backlogs.look(|_| false), expected);
            assert_eq!(backlogs.with_clients(), [1]);
        }
        assert!(backlogs.anybody_waits());
        let _server = two.accept().expect("one of them");
        let _client = connect(&one);
        assert_eq!(backlogs.look(|_| false), expected.max(2));
        assert_eq!(backlogs.with_clients(), [0, 1]);
        assert_eq!(backlogs.look(|index| index == 1), 1);
        assert_eq!(backlogs.with_clients(), [0]);
    }
}
