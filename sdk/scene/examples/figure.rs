//! Writes the generated figure that walks: `cargo run -p rayloom-scene --example figure -- figure.glb`.

fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "figure.glb".into());
    std::fs::write(path, rayloom_scene::figure::glb())
}
