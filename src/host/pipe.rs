//! Pipes by which the parent and its children, and the threads of a child, wake each other.

use super::status::Status;
use std::ffi::c_int;

pub(super) fn set_nonblocking(fd: c_int) -> Status {
    // SAFETY: fcntl on a descriptor touches no memory.
    let rv = unsafe {
        match libc::fcntl(fd, libc::F_GETFL) {
            -1 => -1,
            flags => libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK),
        }
    };
    if rv == -1 {
        Status::last_os_error()
    } else {
        Status::SUCCESS
    }
}

pub(super) fn open_pipe() -> Result<[c_int; 2], Status> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } == -1 {
        return Err(Status::last_os_error());
    }
    Ok(ends)
}

/// Writes a byte into a pipe that says one thing only; a full one says what it has to say already.
pub(super) fn set_pipe(write_end: c_int) {
    write_byte(write_end, 1);
}

pub(super) fn write_byte(write_end: c_int, byte: u8) {
    // SAFETY: one byte from a live buffer.
    unsafe { libc::write(write_end, [byte].as_ptr().cast(), 1) };
}

pub(super) fn duplicate(fd: c_int) -> Result<c_int, Status> {
    // SAFETY: touches no memory.
    match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) } {
        -1 => Err(Status::last_os_error()),
        new => Ok(new),
    }
}

pub(super) fn close_descriptor(fd: c_int) {
    // SAFETY: closes a descriptor of ours, once.
    unsafe { libc::close(fd) };
}
