//! A panic in any function is a result: the host lives, the session is not used any more, others work.

use crate::toolchain::{Link, compile, declared, folder, run};
use std::process::Command;

#[test]
fn a_panic_in_any_function_leaves_the_host_alive() {
    let program = compile("panics", Link::Shared, &folder("panics"));
    for function in declared() {
        run(Command::new(&program).arg(&function).env("RAYLOOM_TEST_PANIC", &function));
    }
}
