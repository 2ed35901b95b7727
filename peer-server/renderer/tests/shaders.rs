//! The committed SPIR-V is what the committed sources compile to.

use rayloom_renderer::shaders::{GLSLC_ARGUMENTS, SHADERS};
use std::path::Path;
use std::process::Command;

#[test]
fn sources_and_spirv_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let out = std::env::temp_dir().join(format!("rayloom-shaders-{}", std::process::id()));
    std::fs::create_dir_all(&out).expect("the temporary folder is writable");
    for shader in SHADERS {
        let spirv = out.join("made.spv");
        let run = Command::new("glslc")
            .current_dir(&folder)
            .args(GLSLC_ARGUMENTS)
            .args(shader.arguments)
            .arg("-o")
            .args([spirv.as_os_str(), shader.source.as_ref()])
            .output();
        let run = match run {
            Ok(run) => run,
            // Present wherever the shaders are changed, which is where this matters.
            Err(e) if std::env::var_os("CI").is_none() => {
                println!("skipped: glslc does not run ({e}); apt-get install glslc");
                return;
            }
            Err(e) => panic!("glslc does not run ({e}); apt-get install glslc"),
        };
        assert!(run.status.success(), "{}: {}", shader.source, String::from_utf8_lossy(&run.stderr));
        let made = std::fs::read(&spirv).expect("glslc wrote it");
        if std::env::var_os("RAYLOOM_REBUILD_SHADERS").is_some() {
            std::fs::write(folder.join(shader.spirv_file), &made).expect("the checkout is writable");
            continue;
        }
        let valid = Command::new("spirv-val").args(["--target-env", "vulkan1.2"]).arg(&spirv).output();
        let valid = valid.expect("spirv-val comes with glslc's packages: apt-get install spirv-tools");
        assert!(valid.status.success(), "{}: {}", shader.source, String::from_utf8_lossy(&valid.stderr));
        assert!(
            made == shader.spirv,
            "{} is not what {} compiles to: run this test with RAYLOOM_REBUILD_SHADERS=1",
            shader.spirv_file,
            shader.source
        );
    }
    std::fs::remove_dir_all(&out).expect("it is ours");
}
