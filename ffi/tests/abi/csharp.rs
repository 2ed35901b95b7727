//! `bindings/csharp/Rayloom.cs`, declarations for C#, is what ffi/src says; a C# program calls through it under Mono.

use crate::header::SOURCES;
use crate::toolchain::{assert_committed, folder, root, run, shared_library};
use std::fmt::Write;
use std::process::Command;

const FIRST_LINE: &str = "// Declarations of the C ABI for C# (Unity, Mono, .NET): P/Invoke, generated from ffi/src.\n";

#[test]
fn the_committed_declarations_are_the_generated_ones() {
    let mut builder = csbindgen::Builder::default();
    let (folder, mut constants, mut negative) = (folder("csharp"), Vec::new(), String::new());
    for name in SOURCES {
        let source = std::fs::read_to_string(root().join(format!("ffi/src/{name}.rs"))).unwrap();
        for line in source.lines().filter_map(|line| line.strip_prefix("pub const ")) {
            let (name, value) = line.split_once(':').unwrap();
            constants.push(name.to_owned());
            // The generator leaves them out.
            if let Some(value) = value.strip_prefix(" rayloom_result = -") {
                writeln!(negative, "        public const int {name} = -{value}").unwrap();
            }
        }
        let path = folder.join(format!("{name}.rs"));
        std::fs::write(&path, with_plain_lengths(&source)).unwrap();
        builder = builder.input_extern_file(path);
    }
    let path = folder.join("Rayloom.cs");
    builder
        .csharp_dll_name("rayloom")
        .csharp_namespace("Rayloom")
        .csharp_class_name("Native")
        .csharp_class_accessibility("public")
        // Function pointers and nuint are newer than what Mono and Unity's oldest supported releases compile.
        .csharp_use_function_pointer(false)
        .csharp_use_nint_types(false)
        // Reached through `next` alone, which names no type.
        .always_included_types(["rayloom_mesh_deformation_desc", "rayloom_morph_target"])
        .csharp_generate_const_filter(|name| name.starts_with("RAYLOOM_"))
        .generate_csharp_file(&path)
        .unwrap();
    let mut generated = FIRST_LINE.to_owned() + std::fs::read_to_string(&path).unwrap().trim_end();
    write!(
        generated,
        "\n\nnamespace Rayloom\n{{\n    public static unsafe partial class Native\n    {{\n{negative}    }}\n}}\n"
    )
    .unwrap();
    let missing: Vec<_> = constants.iter().filter(|name| !generated.contains(&format!(" {name} = "))).collect();
    assert_eq!(missing, Vec::<&String>::new());
    assert_committed(&root().join("bindings/csharp/Rayloom.cs"), &generated, "ffi/src");
}

/// The generator knows no lengths of arrays that are constants, and C# no constants of pointers' size.
fn with_plain_lengths(source: &str) -> String {
    let mut plain = source.to_owned();
    for line in source.lines() {
        let length =
            line.strip_prefix("pub const ").and_then(|rest| rest.trim_end_matches(';').split_once(": usize = "));
        if let Some((name, value)) = length {
            plain = plain.replace(&format!("; {name}]"), &format!("; {value}]"));
        }
    }
    plain.replace(": usize = ", ": u32 = ")
}

#[test]
fn a_program_in_csharp_runs() {
    let folder = folder("csharp-smoke");
    shared_library(&folder);
    let link = folder.join("librayloom.so");
    // Of an earlier run.
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("librayloom.so.0.1", &link).unwrap();
    let program = folder.join("smoke.exe");
    let mut compiler = Command::new("mcs");
    compiler.args(["-unsafe", "-warnaserror"]).arg(format!("-out:{}", program.display()));
    run(compiler.arg(root().join("bindings/csharp/Rayloom.cs")).arg(root().join("ffi/tests/csharp/Smoke.cs")));
    let output = run(Command::new("mono").arg(&program).env("LD_LIBRARY_PATH", &folder));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "an engine in C# ran\n");
}
