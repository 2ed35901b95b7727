//! Gives the shared library its SONAME: a 0.x minor version may break, so the loader must tell them apart. It is marked as never
//! to be unloaded: its threads and what they leave at their ends would outlive its code.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{}", soname());
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

/// `librayloom.so.0.MINOR` before version 1.0, `librayloom.so.MAJOR` from then on. Said here, in `xtask` (which packs the
/// library) and in the tests' expectation.
fn soname() -> String {
    let version = |part| std::env::var(part).expect("cargo sets the package's version");
    let (major, minor) = (version("CARGO_PKG_VERSION_MAJOR"), version("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("librayloom.so.0.{minor}") } else { format!("librayloom.so.{major}") }
}
