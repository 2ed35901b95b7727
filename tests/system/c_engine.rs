//! The engine in C (`samples/c`), compiled by the system's compiler against the header and the library, on two peer
//! processes: it writes pictures, tells how it goes, and ends at Ctrl-C.

use crate::fleet::{Fleet, TOKEN, binary, fresh_folder};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the engine was compiled; removed when dropped.
pub(crate) struct Built {
    pub(crate) folder: PathBuf,
}

impl Built {
    pub(crate) fn new() -> Built {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = fresh_folder();
        // The loader asks for the SONAME.
        let library = folder.join("librayloom.so.0.1");
        std::os::unix::fs::symlink(binary("librayloom.so"), &library).unwrap();
        let output = Command::new("cc")
            .args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
            .arg(root.join("include"))
            .arg(root.join("samples/c/main.c"))
            .arg("-o")
            .arg(folder.join("engine"))
            .arg(&library)
            .arg("-Wl,--disable-new-dtags")
            .arg(format!("-Wl,-rpath,{}", folder.display()))
            .arg("-lm")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Built { folder }
    }

    pub(crate) fn engine(&self, fleet: &Fleet) -> Command {
        let mut command = Command::new(self.folder.join("engine"));
        command.args(["--embedded", "never", "--token", TOKEN, "--listen", "127.0.0.1:0", "--city", "20000", "--half"]);
        command.args(["--size", "160x90", "--deadline-ms", "1000"]);
        for peer in &fleet.peers {
            command.args(["--peer", &peer.url]);
        }
        command
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A running engine; killed when the test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn frames_become_pictures_and_the_engine_ends() {
    let (fleet, built) = (Fleet::start(2), Built::new());
    let pictures = built.folder.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let output = built.engine(&fleet).args(["--frames", "3", "--png"]).arg(&pictures).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("page on http://127.0.0.1:"), "{text}");
    let mut count = 0;
    for entry in std::fs::read_dir(&pictures).unwrap() {
        let picture = image::open(entry.unwrap().path()).unwrap().into_rgba8();
        assert_eq!(picture.dimensions(), (160, 90));
        let colors: std::collections::BTreeSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
        assert!(colors.len() > 500, "a city has more than {} colours", colors.len());
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn flags_that_make_no_sense_are_refused_before_anything_starts() {
    let built = Built::new();
    let run = |flags: &[&str]| {
        let output = Command::new(built.folder.join("engine")).args(flags).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, usage, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    // Each of them is told with what was given, and what may be given instead.
    for (flags, told) in [
        (&["--frames", "abc"][..], "--frames abc: it must be a whole number up to "),
        (&["--frames", "-1"], "--frames -1: it must be a whole number up to "),
        (&["--size", "640"], "--size 640: it must be WxH, both up to 16384"),
        (&["--size", "640x"], "--size 640x: it must be WxH, both up to 16384"),
        (&["--size", "640x99999"], "--size 640x99999: it must be WxH, both up to 16384"),
        (&["--deadline-ms", "60001"], "--deadline-ms 60001: it must be a whole number up to 60000"),
        (&["--city", "4294967296"], "--city 4294967296: it must be a whole number up to 4294967295"),
        (&["--at", "soon"], "--at soon: it must be a number of seconds"),
        (&["--view", "left"], "--view left: it may be remote, local or diff"),
        (&["--denoise=much"], "--denoise=much: it may be cpu, gpu or open-image"),
        (&["--pin", "sha256:00"], "--pin sha256:00: it belongs behind its --peer"),
        (&["--token"], "--token needs a value"),
        (&["--token", "--half"], "--token needs a value"),
        (&["--hlaf"], "--hlaf is not understood"),
    ] {
        let (code, shown, errors) = run(flags);
        assert_eq!((code, shown.as_str()), (Some(2), ""), "{flags:?}: {errors}");
        assert!(errors.starts_with(told), "{flags:?} told {errors:?}");
        let flag = flags[0].split('=').next().unwrap();
        assert!(flag == "--hlaf" || usage.contains(flag), "{flag} is in no line of --help");
    }
}

#[test]
fn both_peers_work_until_the_engine_is_interrupted() {
    let (fleet, built) = (Fleet::start(2), Built::new());
    let mut engine = Running(built.engine(&fleet).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(engine.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let is_it = |line: &String| line.starts_with("fresh ") && line.contains(" p0 ") && line.contains(" p1 ");
    let line = lines.by_ref().inspect(|line| println!("{line}")).find(is_it);
    assert!(line.is_some(), "the engine ended before it told of both peers");
    let status = Command::new("kill").args(["-INT", &engine.0.id().to_string()]).status().unwrap();
    assert!(status.success());
    // Whatever it still says, to the end.
    lines.for_each(drop);
    assert_eq!(engine.0.wait().unwrap().code(), Some(0));
}
