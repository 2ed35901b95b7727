//! The committed SPIR-V is what the committed sources compile to.

use raster::shaders::{GLSLC_ARGUMENTS, SHADERS};
use std::path::Path;
use std::process::Command;

#[test]
fn sources_and_spirv_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let out = std::env::temp_dir().join(format!("raster-shaders-{}", std::process::id()));
    std::fs::create_dir_all(&out).expect("the temporary folder is writable");
    for shader in SHADERS {
        let spirv = out.join(shader.spirv_file);
        let run = Command::new("glslc")
            .current_dir(&folder)
            .args(GLSLC_ARGUMENTS)
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
        assert!(made == shader.spirv, "{} is not what {} compiles to: rebuild it", shader.spirv_file, shader.source);
    }
    std::fs::remove_dir_all(&out).expect("it is ours");
}
