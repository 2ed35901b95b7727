//! Compiled pipelines are kept where the options say, and a damaged cache only costs time.
mod small_scenes;

use rayloom_renderer::{Renderer, RendererOptions};
use small_scenes::assert_clean;

#[test]
fn a_warm_up_stores_the_cache_and_garbage_in_its_place_is_ignored() {
    let path = std::env::temp_dir().join(format!("rayloom-pipelines-{}", std::process::id()));
    let options = RendererOptions {
        allow_cpu: true,
        validation: true,
        pipeline_cache: Some(path.clone()),
        ..RendererOptions::default()
    };
    std::fs::write(&path, [0xab; 100]).expect("the temporary folder is writable");
    for _ in 0..2 {
        let renderer = Renderer::new(&options).expect("tests need a Vulkan device and the validation layer");
        renderer.warm_up().expect("it traces");
        assert_clean(&renderer);
        let stored = std::fs::read(&path).expect("it was stored");
        assert_ne!(stored, [0xab; 100]);
    }
    std::fs::remove_file(&path).expect("it is ours");
}
