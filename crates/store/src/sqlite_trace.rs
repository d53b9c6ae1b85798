//! Counts the statements that SQLite executes, for the benchmark; off unless the feature `count-statements` is on.
//!
//! SQLite itself is asked (`sqlite3_trace_v2`, <https://sqlite.org/c3ref/trace_v2.html>), so that BEGIN, COMMIT
//! and whatever sqlx sends by itself are counted as well. Statements within a trigger are not.

#![expect(unsafe_code, reason = "sqlx has no safe way to trace a connection; benchmarks only")]

use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use libsqlite3_sys::{SQLITE_OK, SQLITE_TRACE_STMT, sqlite3_trace_v2};
use sqlx::SqliteConnection;

static STATEMENTS: AtomicU64 = AtomicU64::new(0);

/// How many statements this process has had SQLite execute, on all stores together.
#[must_use]
pub fn statements() -> u64 {
    STATEMENTS.load(Ordering::Relaxed)
}

/// Counts the statements of `connection` from now on.
pub(crate) async fn count(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    // SAFETY: the handle is open and locked for us, so its worker thread does not use it meanwhile. The callback
    // has the signature that SQLite asks for, uses no context, and is a function, so it lives as long as any
    // connection.
    let code = unsafe {
        sqlite3_trace_v2(
            handle.as_raw_handle().as_ptr(),
            SQLITE_TRACE_STMT,
            Some(on_statement),
            ptr::null_mut(),
        )
    };
    if code == SQLITE_OK { Ok(()) } else { Err(sqlx::Error::Protocol("sqlite3_trace_v2 failed".to_owned())) }
}

/// For a statement within a trigger, SQLite passes a comment (`-- ..`) as the text of the statement.
extern "C" fn on_statement(_: c_uint, _: *mut c_void, _: *mut c_void, text: *mut c_void) -> c_int {
    let text = text.cast::<c_char>().cast_const().cast::<u8>();
    // SAFETY: for SQLITE_TRACE_STMT, SQLite passes a NUL-terminated string that is valid during the call. The
    // second byte is read only if the first is not the terminator.
    let is_within_trigger = !text.is_null() && unsafe { *text == b'-' && *text.add(1) == b'-' };
    if !is_within_trigger {
        STATEMENTS.fetch_add(1, Ordering::Relaxed);
    }
    0
}
