//! How far the peers are with the scene, in one line.

use rayloom::{SceneProgress, SceneStage};

/// The furthest peer's stage, such as `uploading 43 %`, and whether one can trace.
pub(crate) fn line(progress: &SceneProgress) -> (String, bool) {
    let rank = |stage: &SceneStage| match stage {
        SceneStage::Failed { .. } => (0, 0.0),
        SceneStage::Receiving { have, total } => (1, *have as f32 / (*total).max(1) as f32),
        SceneStage::Building { fraction } => (2, *fraction),
        SceneStage::Ready => (3, 1.0),
    };
    let furthest = progress.peers.values().map(rank).max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let Some((stage, fraction)) = furthest else { return ("waiting for a peer 0 %".into(), false) };
    let name = ["failed", "uploading", "building", "ready"][stage];
    (format!("{name} {:.0} %", fraction * 100.0), stage == 3)
}
