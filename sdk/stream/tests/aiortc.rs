//! aiortc, a WebRTC stack that shares no code with ours or Chromium's, watches over WHEP.

mod common;

use std::path::Path;
use std::process::Command;

use common::{HEIGHT, Served, WIDTH, available, psnr_db, repository};
use rayloom_stream::StreamDesc;

#[test]
fn aiortc_decodes_the_picture_and_leaves() {
    let python = repository().join("target/aiortc/bin/python");
    let how = "python3 -m venv target/aiortc && \
               target/aiortc/bin/pip install -r sdk/stream/tests/requirements.txt";
    if !available("aiortc", python.exists(), how) {
        return;
    }
    let served = Served::start(StreamDesc::default());
    let pixels = std::env::temp_dir().join(format!("rayloom-aiortc-{}.rgba", std::process::id()));
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aiortc_whep.py"))
        .args([served.url().as_str(), pixels.to_str().expect("ASCII"), "45"])
        .output()
        .expect("python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON line");
    println!("{seen}");
    assert_eq!((&seen["status"], &seen["deleted"]), (&201.into(), &200.into()));
    assert_eq!((&seen["width"], &seen["height"]), (&WIDTH.into(), &HEIGHT.into()));
    assert_eq!(seen["increasing"], true);
    let picture = std::fs::read(&pixels).expect("the script wrote it");
    std::fs::remove_file(&pixels).expect("it is ours");
    let psnr = psnr_db(&served.picture, &picture);
    println!("PSNR: {psnr:.1} dB");
    assert!(psnr > 35.0, "aiortc did not see the picture: PSNR {psnr:.1} dB");
}
