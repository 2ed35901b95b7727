//! `include/rayloom.h` is what ffi/src says; RAYLOOM_UPDATE_HEADER=1 writes it anew.

use crate::toolchain::{assert_committed, root};
use std::path::Path;

/// Files that export, in the header's order.
pub(crate) const SOURCES: [&str; 18] = [
    "result",
    "log",
    "convention",
    "camera",
    "session",
    "view",
    "frame",
    "plane",
    "output",
    "scene",
    "animation",
    "texture",
    "material",
    "mesh",
    "deformation",
    "instance",
    "light",
    "stream",
];

#[test]
fn the_committed_header_is_the_generated_one() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(room.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(room.join(format!("src/{name}.rs")));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    let generated = String::from_utf8(bytes).unwrap();
    assert_committed(&root().join("include/rayloom.h"), &generated, "ffi/src");
}

#[test]
fn every_exporting_file_is_in_the_header() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut exporting: Vec<String> = std::fs::read_dir(room.join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| std::fs::read_to_string(path).unwrap().contains("#[unsafe(no_mangle)]"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    // They hold structs alone.
    exporting.extend(["camera", "deformation", "plane"].map(str::to_owned));
    exporting.sort();
    let mut listed = SOURCES;
    listed.sort_unstable();
    assert_eq!(exporting, listed);
}
