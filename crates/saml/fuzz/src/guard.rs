//! What must not happen whatever is read: a system call that reaches another program or another host, a child, a long time.
//! Each is found out after the message that did it, which then counts as a crash.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    io::Errno,
    process::{WaitOptions, wait},
    time::{ClockId, clock_gettime},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// The most processor time that a message may cost, in milliseconds: a debug assertion here and there, and a sanitizer,
/// make everything several times as slow as a release.
const MAX_MILLIS: i64 = 1_000;

static CALLED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Has every later system call that could reach anybody trapped.
///
/// # Panics
///
/// If the kernel cannot do that.
pub fn set_up() {
    signal_hook::flag::register(libc::SIGSYS, Arc::clone(&CALLED)).expect("a signal can be caught");
    let mut calls =
        vec![libc::SYS_socket, libc::SYS_connect, libc::SYS_sendto, libc::SYS_execve, libc::SYS_execveat];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_fork, libc::SYS_vfork]);
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let architecture = std::env::consts::ARCH.try_into().expect("a known architecture");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trap, architecture);
    let filter: BpfProgram = filter.expect("a filter").try_into().expect("a filter");
    apply_filter(&filter).expect("the kernel takes filters");
}

/// Does `work`, and sees to it that none of that happened.
///
/// # Panics
///
/// If it did.
pub fn watch<T>(work: impl FnOnce() -> T) -> T {
    let before = millis();
    let done = work();
    let took = millis() - before;
    assert!(took <= MAX_MILLIS, "it took {took} ms of a processor");
    assert!(!CALLED.load(Ordering::Relaxed), "it called for another program or another host");
    assert!(matches!(wait(WaitOptions::NOHANG), Err(Errno::CHILD)), "it has a child");
    done
}

fn millis() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
