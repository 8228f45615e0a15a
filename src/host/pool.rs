//! APR memory pools.

use super::blocks::limit;
use super::status::Status;
use crate::sys;
use std::ffi::{c_void, CStr};
use std::ptr::{self, NonNull};

/// A pool of APR. A copyable name for it: who owns the pool is each user's contract.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pool(NonNull<sys::apr_pool_t>);

// SAFETY: a name can be moved to another thread; what may be done with the
// pool there is the contract of the functions below.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Names a pool that httpd handed out.
    ///
    /// # Safety
    /// `pool` is live for as long as the name is used.
    pub unsafe fn from_raw(pool: *mut sys::apr_pool_t) -> Option<Pool> {
        NonNull::new(pool).map(Pool)
    }

    /// The C pool.
    pub fn as_ptr(self) -> *mut sys::apr_pool_t {
        self.0.as_ptr()
    }

    /// httpd's pool that lives as long as the process.
    pub fn global() -> Option<Pool> {
        // SAFETY: set once before any module is loaded, never cleared.
        NonNull::new(unsafe { sys::ap_pglobal }).map(Pool)
    }

    /// A sub-pool of this one.
    pub fn subpool(self, tag: &'static CStr) -> Option<Pool> {
        let mut new = ptr::null_mut();
        // SAFETY: the parent is live; APR locks it against other threads' sub-pools.
        let rv = unsafe { sys::apr_pool_create_ex(&mut new, self.as_ptr(), None, ptr::null_mut()) };
        let new = (rv == 0).then(|| NonNull::new(new)).flatten()?;
        // SAFETY: just created; the tag is static.
        unsafe { sys::apr_pool_tag(new.as_ptr(), tag.as_ptr()) };
        Some(Pool(new))
    }

    /// Runs `body` with a sub-pool that ends with it: what was allocated there
    /// is gone afterwards. `None` without memory.
    pub fn with_subpool<R>(self, tag: &'static CStr, body: impl FnOnce(Pool) -> R) -> Option<R> {
        let pool = self.subpool(tag)?;
        let result = body(pool);
        // SAFETY: nothing else was given the name.
        unsafe { pool.destroy() };
        Some(result)
    }

    /// Runs the cleanups and ends the pool.
    ///
    /// # Safety
    /// Neither the name nor anything allocated in the pool is used afterwards,
    /// and no other thread uses the pool now.
    pub unsafe fn destroy(self) {
        // SAFETY: the caller's.
        unsafe { sys::apr_pool_destroy(self.as_ptr()) }
    }

    /// Ends the pool of a process that is about to exit: cleanups run, and
    /// only they, since all other threads have ended or the process must go.
    pub fn end_of_process(self) {
        // SAFETY: the process exits next and uses the pool no more.
        unsafe { self.destroy() }
    }

    /// Memory for one `T` that lives until the pool is cleared. `T` is not
    /// dropped, so it must own nothing.
    pub fn alloc<T>(self, value: T) -> NonNull<T> {
        const { assert!(!std::mem::needs_drop::<T>()) };
        const { assert!(std::mem::align_of::<T>() <= 8) }; // what apr_palloc aligns to
                                                           // SAFETY: apr_palloc returns memory of that size, aligned for any C
                                                           // type, or ends the process through the pool's abort function.
        unsafe {
            let place = sys::apr_palloc(self.as_ptr(), std::mem::size_of::<T>() as sys::apr_size_t)
                .cast::<T>();
            ptr::write(place, value);
            NonNull::new_unchecked(place)
        }
    }

    /// Zeroed memory for `count` values of plain data.
    ///
    /// # Safety
    /// All-zero bytes are a valid `T`.
    pub unsafe fn alloc_zeroed<T>(self, count: usize) -> NonNull<T> {
        const { assert!(!std::mem::needs_drop::<T>()) };
        const { assert!(std::mem::align_of::<T>() <= 8) };
        let bytes = count.saturating_mul(std::mem::size_of::<T>()).max(1);
        // SAFETY: as in `alloc`; the bytes are zeroed at once.
        unsafe {
            let place = sys::apr_palloc(self.as_ptr(), bytes as sys::apr_size_t);
            ptr::write_bytes(place.cast::<u8>(), 0, bytes);
            NonNull::new_unchecked(place.cast())
        }
    }

    /// Runs `cleanup(data)` when the pool is cleared or destroyed.
    ///
    /// # Safety
    /// `data` is valid for `cleanup` at that time.
    pub unsafe fn on_clear(
        self,
        data: *const c_void,
        cleanup: unsafe extern "C" fn(*mut c_void) -> sys::apr_status_t,
    ) {
        // SAFETY: the caller's; a forked CGI must not run it, hence the null cleanup.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.as_ptr(),
                data,
                Some(cleanup),
                Some(sys::apr_pool_cleanup_null),
            );
        }
    }

    /// As `on_clear`, before the sub-pools are destroyed.
    ///
    /// # Safety
    /// As `on_clear`.
    pub unsafe fn before_clear(
        self,
        data: *const c_void,
        cleanup: unsafe extern "C" fn(*mut c_void) -> sys::apr_status_t,
    ) {
        // SAFETY: the caller's.
        unsafe { sys::apr_pool_pre_cleanup_register(self.as_ptr(), data, Some(cleanup)) }
    }
}

/// A connection's pool, owned: who has it as a value has the pool to himself,
/// and nothing in it is in use.
pub struct TransactionPool(Pool);

impl TransactionPool {
    /// A sub-pool of `parent` with an allocator of its own that keeps at most
    /// `max_free` bytes of freed memory (MaxMemFree; 0 means no limit): used by
    /// one thread at a time, it needs no lock.
    pub fn create(parent: Pool, max_free: usize) -> Result<TransactionPool, Status> {
        let mut allocator = ptr::null_mut();
        let mut new = ptr::null_mut();
        // SAFETY: results go to valid places; on success the pool becomes the
        // allocator's owner and frees it, on failure it is freed here.
        unsafe {
            Status(sys::apr_allocator_create(&mut allocator)).ok()?;
            sys::apr_allocator_max_free_set(allocator, limit(max_free) as sys::apr_size_t);
            let rv = sys::apr_pool_create_ex(&mut new, parent.as_ptr(), None, allocator);
            if rv != 0 {
                sys::apr_allocator_destroy(allocator);
                return Err(Status(rv));
            }
            sys::apr_pool_tag(new, c"transaction".as_ptr());
            sys::apr_allocator_owner_set(allocator, new);
        }
        NonNull::new(new)
            .map(|p| TransactionPool(Pool(p)))
            .ok_or_else(Status::general)
    }

    /// Its name, to allocate in it.
    pub fn name(&self) -> Pool {
        self.0
    }

    /// Gives ownership to what is allocated in the pool.
    pub fn into_name(self) -> Pool {
        let name = self.0;
        std::mem::forget(self);
        name
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `name` came from `into_name`, and nothing in the pool is used any more.
    pub unsafe fn from_name(name: Pool) -> TransactionPool {
        TransactionPool(name)
    }

    /// Runs the cleanups and frees what was allocated.
    pub fn clear(&mut self) {
        // SAFETY: owned, so nothing in it is in use.
        unsafe { sys::apr_pool_clear(self.0.as_ptr()) }
    }
}

impl Drop for TransactionPool {
    fn drop(&mut self) {
        // SAFETY: owned, so nothing in it is in use.
        unsafe { self.0.destroy() }
    }
}
