//! What a built library says of itself: its name, what it exports, which system it needs.

use crate::run;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// Read from an ELF file by binutils.
pub(crate) struct Library {
    soname: Option<String>,
    /// Functions, sorted.
    pub(crate) exported: Vec<String>,
    /// Versions of glibc's symbols, ascending.
    versions: Vec<Vec<u32>>,
}

impl Library {
    pub(crate) fn read(file: &Path) -> Result<Library, String> {
        let file = file.to_string_lossy();
        let read = |program: &str, arguments: &[&str]| {
            let arguments = [arguments, &[&file]].concat();
            run::captured(program, &arguments).ok_or_else(|| format!("`{program} {}` failed", arguments.join(" ")))
        };
        let (headers, symbols) = (read("objdump", &["-p"])?, read("nm", &["-D", "--defined-only"])?);
        Ok(Library { soname: soname(&headers), exported: exported(&symbols), versions: versions(&headers) })
    }

    /// The oldest glibc that has every symbol this asks for.
    pub(crate) fn glibc(&self) -> String {
        let newest = self.versions.last().map(Vec::as_slice).unwrap_or_default();
        newest.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
    }

    /// An error where the file is not the library that the header declares.
    pub(crate) fn check(&self, soname: &str) -> Result<(), String> {
        if self.soname.as_deref() != Some(soname) {
            return Err(format!("the library's SONAME is {:?}, not {soname}: see ffi/build.rs", self.soname));
        }
        let header = run::root().join("include/rayloom.h");
        let header = std::fs::read_to_string(&header).map_err(|error| format!("{}: {error}", header.display()))?;
        let declared = declared(&header);
        let differ =
            |a: &[String], b: &[String]| a.iter().filter(|name| !b.contains(name)).cloned().collect::<Vec<_>>();
        let (extra, missing) = (differ(&self.exported, &declared), differ(&declared, &self.exported));
        if extra.is_empty() && missing.is_empty() && !declared.is_empty() {
            return Ok(());
        }
        Err(format!("the library exports {extra:?}, which the header does not declare, and lacks {missing:?}"))
    }
}

/// What the static library needs of the system, in rustc's own words: "-lstdc++ -lm ...". Asked of a library made of the
/// SDK's crates as they are built: `cargo rustc` would build them for one package, with other features, and so anew.
pub(crate) fn native_libraries(folder: &Path) -> Result<String, String> {
    let probe = folder.join("native-libraries.a");
    let mut command =
        run::command("rustc", &["--crate-name", "probe", "--edition", "2024", "--crate-type", "staticlib"]);
    command.args(["--print", "native-static-libs", "--extern"]);
    command.arg(format!("rayloom={}", folder.join("librayloom.rlib").display()));
    command.arg("-L").arg(format!("dependency={}", folder.join("deps").display())).arg("-o").arg(&probe).arg("-");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let text = run::describe(&command);
    let mut child = command.spawn().map_err(|error| format!("`{text}` could not be started: {error}"))?;
    let written = child.stdin.take().map(|mut input| input.write_all(b"extern crate rayloom;"));
    let output = child.wait_with_output().map_err(|error| format!("`{text}`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("native-static-libs: "));
    let found = line.map(|(_, libraries)| libraries.trim().to_owned());
    let removed = std::fs::remove_file(&probe);
    match (found, written, removed) {
        (Some(libraries), Some(Ok(())), Ok(())) => Ok(libraries),
        _ => Err(format!("`{text}` names no libraries:\n{said}")),
    }
}

fn soname(headers: &str) -> Option<String> {
    headers.lines().find_map(|line| line.trim().strip_prefix("SONAME")).map(|name| name.trim().to_owned())
}

fn exported(symbols: &str) -> Vec<String> {
    let mut names: Vec<String> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect();
    names.sort();
    names
}

/// Of "0x09691972 0x00 20 GLIBC_2.3.2": 2, 3, 2.
fn versions(headers: &str) -> Vec<Vec<u32>> {
    let words = headers.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_"));
    let mut versions: Vec<Vec<u32>> =
        words.filter_map(|text| text.split('.').map(|number| number.parse().ok()).collect()).collect();
    versions.sort();
    versions
}

/// The functions that a header declares, sorted.
fn declared(header: &str) -> Vec<String> {
    let starts = |line: &&str| line.starts_with("rayloom_result rayloom_") || line.starts_with("const char *rayloom_");
    let name =
        |line: &str| line.split('(').next().and_then(|head| head.split([' ', '*']).next_back()).map(str::to_owned);
    let mut names: Vec<String> = header.lines().filter(starts).filter_map(name).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_binutils_print_is_read() {
        let headers = "  NEEDED   libc.so.6\n  SONAME               librayloom.so.0.1\n\
                       0x1 0x00 08 GLIBC_2.27\n0x2 0x00 20 GLIBC_2.3.2\n0x3 0x00 11 GLIBC_PRIVATE\n";
        assert_eq!(soname(headers).as_deref(), Some("librayloom.so.0.1"));
        assert_eq!(versions(headers), [vec![2, 3, 2], vec![2, 27]]);
        let library = Library { soname: None, exported: Vec::new(), versions: versions(headers) };
        assert_eq!(library.glibc(), "2.27");
        assert_eq!(exported("0000 T rayloom_b\n0001 T rayloom_a\n"), ["rayloom_a", "rayloom_b"]);
    }

    #[test]
    fn a_library_that_is_not_the_header_s_is_refused() {
        let named = |soname: &str| Library {
            soname: Some(soname.into()),
            exported: vec!["rust_eh_personality".into()],
            versions: Vec::new(),
        };
        assert!(named("librayloom.so").check("librayloom.so.0.1").unwrap_err().contains("SONAME"));
        let error = named("librayloom.so.0.1").check("librayloom.so.0.1").unwrap_err();
        assert!(error.contains("rust_eh_personality") && error.contains("rayloom_session_create"), "{error}");
    }

    #[test]
    fn declarations_are_functions() {
        let header =
            "rayloom_result rayloom_b(int x);\nconst char *rayloom_a(void);\ntypedef int32_t rayloom_result;\n";
        assert_eq!(declared(header), ["rayloom_a", "rayloom_b"]);
    }
}
