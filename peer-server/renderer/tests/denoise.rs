//! The filter on the GPU gives the picture that the filter on the CPU gives.
mod small_scenes;

use rayloom_frame::{
    Extent, LayerKind,
    filter::{FILTERED, Filter},
    merge::{FrameInputs, Merger, PlannedTile},
    metrics::psnr_layer,
};
use rayloom_renderer::TraceJob;
use small_scenes::*;

#[test]
fn the_gpus_filter_is_the_cpus() {
    // Neither side is a multiple of a workgroup's.
    for extent in [Extent::new(75, 51), Extent::new(130, 34)] {
        for renderer in renderers() {
            let scene = cluttered();
            let layers = all_layers(1);
            let mut merger = Merger::new(extent);
            let tiles = [PlannedTile { rect: extent.rect(), ghost: 0 }];
            let mut denoiser = renderer.denoiser();
            let mut filter = Filter::default();
            for frame_id in 0..3 {
                let job = TraceJob { frame_id, ..TraceJob::whole_view(extent, cluttered_camera(), &layers) };
                let traced = trace(&renderer, &scene, &job);
                merger.begin(FrameInputs::new(frame_id, job.camera, &layers, &tiles)).unwrap();
                merger.add_tile(frame_id, 0, 0, &traced).unwrap();
                let merged = merger.finish().unwrap();
                let by_cpu = filter.run(&merged);
                let by_gpu = denoiser.run(&merged).unwrap();
                for kind in FILTERED {
                    let [plain, cpu, gpu] = [&merged, &by_cpu, &by_gpu].map(|frame| frame.layer(kind).unwrap());
                    let (apart, done) = (psnr_layer(gpu, cpu, 1.0), psnr_layer(plain, cpu, 1.0));
                    assert!(
                        apart > 60.0 && apart > done + 15.0,
                        "{kind:?}: {apart:.1} dB apart, {done:.1} dB filtered"
                    );
                    let alphas = |layer: &[[u16; 4]]| layer.iter().map(|pixel| pixel[3]).collect::<Vec<_>>();
                    assert_eq!(alphas(gpu), alphas(plain), "{kind:?}");
                }
                assert_eq!(by_gpu.layer(LayerKind::Unlit), merged.layer(LayerKind::Unlit));
            }
            assert_clean(&renderer);
        }
    }
}
