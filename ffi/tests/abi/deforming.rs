//! Skinned and morphed meshes from C, in every convention, and animations of a glTF file.

use crate::toolchain::{Link, compile, folder, run};
use std::process::Command;

#[test]
fn meshes_deform_alike_in_every_convention_and_files_play() {
    let folder = folder("deforming");
    let file = folder.join("figure.glb");
    std::fs::write(&file, sdk::scene::figure::glb()).unwrap();
    run(Command::new(compile("deforming", Link::Shared, &folder)).arg(file));
}
