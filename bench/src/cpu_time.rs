//! CPU time that this process has used, all its threads together.
#![allow(unsafe_code)]

/// User and system time in seconds since the process began.
pub(crate) fn cpu_seconds() -> f64 {
    // SAFETY: rusage is plain old data for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage, and RUSAGE_SELF is a valid target.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(result, 0, "getrusage of the own process fails only for bad pointers");
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
