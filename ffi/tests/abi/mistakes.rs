//! The same mistakes made with every function that the header declares: handles that are none, that are stale, or another
//! kind's, and descriptors of an unknown type, of another size, with something on `next`, or where none can lie.

use crate::toolchain::{Link, compile_with, folder, root, run};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const HANDLES: [&str; 6] = ["session", "scene", "view", "frame", "output", "stream"];

/// Writes a table of all functions for tests/c/mistakes.c.
fn write_calls(folder: &Path) {
    let header = std::fs::read_to_string(root().join("include/rayloom.h")).unwrap();
    let (mut functions, mut entries, mut descriptors) = (String::new(), String::new(), 0);
    for declaration in header.split("\nrayloom_result ").skip(1) {
        let (declaration, _) = declaration.split_once(");").unwrap();
        let (name, parameters) = declaration.split_once('(').unwrap();
        let (mut arguments, mut handle, mut descriptor) = (Vec::new(), None, None);
        for parameter in parameters.split(',') {
            let parameter = parameter.split_whitespace().collect::<Vec<_>>().join(" ");
            let of_type = parameter.strip_prefix("const ").unwrap_or(&parameter);
            let of_type = of_type.strip_prefix("struct ").unwrap_or(of_type).split([' ', '*']).next().unwrap();
            let short = of_type.strip_prefix("rayloom_").unwrap_or_default();
            let is_handle = parameter.matches('*').count() == 1 && HANDLES.contains(&short);
            let constant = short.to_uppercase();
            arguments.push(if is_handle {
                handle = handle.or(Some(constant.clone()));
                format!("call->handles[{constant}]")
            } else if header.contains(&format!("#define RAYLOOM_STRUCT_{constant} ")) {
                descriptor = Some((of_type.to_owned(), constant));
                "call->descriptor".into()
            } else if parameter.starts_with("const char *") {
                "call->text".into()
            } else if parameter.contains('*') {
                "call->memory".into()
            } else if parameter.ends_with(" count") {
                "1".into()
            } else {
                "0".into()
            });
        }
        let arguments = arguments.join(", ");
        writeln!(
            functions,
            "static rayloom_result do_{name}(const Call *call) {{ (void)call; return {name}({arguments}); }}"
        )
        .unwrap();
        let kind = handle.unwrap_or_else(|| "NONE".into());
        let good = match descriptor {
            Some((of_type, constant)) => {
                descriptors += 1;
                writeln!(functions, "static const {of_type} good_{name} = RAYLOOM_{constant}_INIT;").unwrap();
                format!("&good_{name}, sizeof good_{name}")
            }
            None => "NULL, 0".into(),
        };
        writeln!(entries, "  {{ \"{name}\", {kind}, do_{name}, {good} }},").unwrap();
    }
    assert!(descriptors > 15, "the header was not understood: {functions}");
    let table = format!("{functions}static const Function functions[] = {{\n{entries}}};\n");
    std::fs::write(folder.join("calls.h"), table).unwrap();
}

#[test]
fn every_function_refuses_them() {
    let folder = folder("mistakes");
    write_calls(&folder);
    let include = format!("-I{}", folder.display());
    run(&mut Command::new(compile_with("mistakes", Link::Shared, &folder, &[&include])));
}
