//! What a worker can see of itself better than others can see it.

use std::os::fd::{BorrowedFd, RawFd};

/// Descriptors above this are not counted.
const HIGHEST: RawFd = 16 * 1024;

/// How many descriptors are open. Others may not look into a worker, and a worker may not be able
/// to look into `/proc`, so each number is tried.
pub(super) fn descriptors() -> u64 {
    let is_open = |fd: &RawFd| {
        // SAFETY: the number is only asked whether it stands for something; nothing is done with
        // what it stands for.
        #[expect(unsafe_code, reason = "whether a number is an open descriptor can only be asked with the number")]
        unsafe {
            rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(*fd)).is_ok()
        }
    };
    (0..HIGHEST).filter(is_open).count() as u64
}
