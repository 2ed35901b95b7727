//! Gives the shared library its SONAME: a 0.x minor version may break, so the loader must tell them apart.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,librayloom.so.0");
    }
}
