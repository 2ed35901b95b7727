//! parking_lot's interface over Shuttle's locks: every lock, wait and wake is a place where another thread may go on.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync;

/// Schedules of each test, half of them random, half by priorities that change a few times.
const SCHEDULES: usize = 2_000;
/// One more than priorities change: bugs that need no more turns than that are found soon.
const TURNS: usize = 4;

const HELD: &str = "a guard holds its lock but while its own thread waits";
const BROKEN: &str = "a thread of a test panicked";

/// Runs `test` under many schedules; its threads are `shuttle::thread`'s. What fails prints the schedule that it failed under.
pub fn try_schedules(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), SCHEDULES / 2);
    shuttle::check_pct(test, SCHEDULES / 2, TURNS);
}

/// See `parking_lot::Mutex`.
#[derive(Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// See `parking_lot::MutexGuard`; empty only while its thread waits.
pub struct MutexGuard<'a, T> {
    lock: &'a sync::Mutex<T>,
    held: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: &self.0, held: Some(self.0.lock().expect(BROKEN)) }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

/// See `parking_lot::Condvar`.
#[derive(Default)]
pub struct Condvar(sync::Condvar);

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

/// See `parking_lot::WaitTimeoutResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// One that nobody waits on.
    pub fn new() -> Condvar {
        Condvar::default()
    }

    /// Wakes one thread that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits until it is woken.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).expect(BROKEN));
    }

    /// Waits while something holds.
    pub fn wait_while<T>(&self, guard: &mut MutexGuard<'_, T>, mut holds: impl FnMut(&mut T) -> bool) {
        while holds(guard) {
            self.wait(guard);
        }
    }

    /// There are no clocks in schedules: the time is over at any moment, and threads wake for nothing, as they may. That a wake is lost
    /// is seen by those alone who wait for ever.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _: Instant) -> WaitTimeoutResult {
        self.passes(guard)
    }

    /// See [`Condvar::wait_until`].
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut holds: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        if timeout == Duration::MAX {
            self.wait_while(guard, holds);
            return WaitTimeoutResult(false);
        }
        while holds(guard) {
            if self.passes(guard).timed_out() {
                return WaitTimeoutResult(holds(guard));
            }
        }
        WaitTimeoutResult(false)
    }

    /// Lets others go on, with the lock free.
    fn passes<T>(&self, guard: &mut MutexGuard<'_, T>) -> WaitTimeoutResult {
        drop(guard.held.take());
        shuttle::thread::yield_now();
        guard.held = Some(guard.lock.lock().expect(BROKEN));
        WaitTimeoutResult(thread_rng().gen_bool(0.5))
    }
}
