//! Header, C++ layer and samples compile in every version of both languages, without a warning.

use crate::toolchain::{exists, folder, root, run};
use std::process::Command;

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];

fn compile(compiler: &str, standard: &str, arguments: &[&str]) {
    if exists(compiler) {
        let mut command = Command::new(compiler);
        command.arg(format!("-std={standard}")).args(STRICT).arg("-Iinclude").args(arguments).current_dir(root());
        run(&mut command);
    }
}

#[test]
fn the_header_and_its_initialisers_are_c() {
    let source = initialisers("c");
    for compiler in ["gcc", "clang"] {
        for standard in ["c99", "c11", "c17"] {
            compile(compiler, standard, &[&source]);
        }
    }
}

#[test]
fn the_header_and_its_initialisers_are_cpp() {
    let source = initialisers("cpp");
    for compiler in ["g++", "clang++"] {
        for standard in ["c++11", "c++14", "c++17", "c++20"] {
            compile(compiler, standard, &[&source]);
        }
    }
}

#[test]
fn the_samples_compile() {
    for (compiler, standard) in [("gcc", "c99"), ("gcc", "c17"), ("clang", "c11")] {
        compile(compiler, standard, &["samples/c/main.c"]);
    }
    for (compiler, standard) in [("g++", "c++11"), ("g++", "c++20"), ("clang++", "c++17")] {
        compile(compiler, standard, &["samples/cpp/main.cpp"]);
    }
}

/// A source file that includes the header twice and uses every _INIT macro.
fn initialisers(extension: &str) -> String {
    let header = std::fs::read_to_string(root().join("include/rayloom.h")).unwrap();
    let mut source = String::from("#include <rayloom.h>\n#include <rayloom.h>\n");
    if extension == "cpp" {
        source += "#include <rayloom.hpp>\n";
    }
    let mut count = 0;
    for line in header.lines().filter(|line| line.starts_with("#define RAYLOOM_") && line.contains("_INIT ")) {
        let name = line.split(' ').nth(1).unwrap();
        let kind = name.trim_end_matches("_INIT").to_lowercase();
        source += &format!(
            "{kind} {kind}_value(void);\n{kind} {kind}_value(void) {{ {kind} value = {name}; return value; }}\n"
        );
        count += 1;
    }
    let types = header.matches("uint32_t struct_type;").count();
    assert!(count >= types, "{types} descriptors, {count} _INIT macros");
    let path = folder("languages").join(format!("initialisers.{extension}"));
    std::fs::write(&path, source).unwrap();
    path.to_string_lossy().into_owned()
}
