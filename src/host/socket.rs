//! Client sockets.

use super::status::Status;
use crate::sys;
use std::ptr::NonNull;

/// A socket of APR: lives in the pool of its connection.
#[derive(Clone, Copy)]
pub struct Socket(NonNull<sys::apr_socket_t>);

// SAFETY: a name; APR sockets may be used by any one thread at a time, which
// the owner of the connection guarantees.
unsafe impl Send for Socket {}

/// What is known of the peer's end without waiting.
pub enum Drained {
    /// Enough for now: come back when readable.
    WouldBlock,
    /// The peer has closed, or the connection failed.
    Closed,
}

impl Socket {
    /// Names a socket.
    ///
    /// # Safety
    /// `socket` is live for as long as the name is used.
    pub unsafe fn from_raw(socket: *mut sys::apr_socket_t) -> Option<Socket> {
        NonNull::new(socket).map(Socket)
    }

    /// The C socket.
    pub fn as_ptr(self) -> *mut sys::apr_socket_t {
        self.0.as_ptr()
    }

    /// The descriptor; -1 when closed.
    pub fn descriptor(self) -> i32 {
        let mut fd = -1;
        // SAFETY: the socket is live, the result has a place.
        let rv = unsafe { sys::apr_os_sock_get(&mut fd, self.as_ptr()) };
        if rv == 0 {
            fd
        } else {
            -1
        }
    }

    /// Microseconds that a read or write may wait; 0 means not at all.
    pub fn set_timeout_us(self, us: i64) {
        // SAFETY: the socket is live; failure leaves the old value, which is safe.
        unsafe { sys::apr_socket_timeout_set(self.as_ptr(), us) };
    }

    /// Every read goes to the kernel: no guess that a short read emptied it.
    pub fn read_to_the_end(self) {
        // SAFETY: the socket is live.
        unsafe { sys::apr_socket_opt_set(self.as_ptr(), sys::APR_INCOMPLETE_READ as i32, 0) };
    }

    /// Whether something can be read now; the end of the stream doesn't count.
    pub fn has_input(self) -> bool {
        let mut byte = 0u8;
        // SAFETY: the buffer has the length given; a closed descriptor fails.
        let got = unsafe {
            libc::recv(
                self.descriptor(),
                (&raw mut byte).cast(),
                1,
                libc::MSG_PEEK | libc::MSG_DONTWAIT,
            )
        };
        got > 0
    }

    /// Reads and discards until nothing is left, or a few megabytes, so that
    /// the limit on lingering holds for a peer that never pauses. The socket
    /// must not wait.
    pub fn drain(self) -> Drained {
        // 32 KiB keeps up with a fast upload. Most have nothing to drain: so no array, each page of
        // which would be touched, and stay with the worker's stack.
        let mut scratch = Vec::<u8>::with_capacity(32 * 1024);
        for _ in 0..128 {
            let mut len = scratch.capacity() as sys::apr_size_t;
            // SAFETY: there is room for as much as `len` says, and nobody reads it.
            let rv = unsafe {
                sys::apr_socket_recv(self.as_ptr(), scratch.as_mut_ptr().cast(), &mut len)
            };
            if rv != 0 {
                return if Status(rv).would_block() {
                    Drained::WouldBlock
                } else {
                    Drained::Closed
                };
            }
        }
        Drained::WouldBlock
    }

    /// Closes without waiting. A socket closed already is left alone.
    pub fn close(self) -> Status {
        if self.descriptor() == -1 {
            return Status::SUCCESS;
        }
        self.set_timeout_us(0);
        // SAFETY: the socket is live and open.
        Status(unsafe { sys::apr_socket_close(self.as_ptr()) })
    }
}

/// Ends both directions of a descriptor that another thread is blocked on:
/// the thread wakes with an error. Any descriptor may be given; one that is
/// not a socket, or none, is left as it is.
pub fn shut_down_descriptor(fd: i32) {
    if fd >= 0 {
        // SAFETY: shutdown(2) touches no memory.
        unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
    }
}
