//! Tiles cover the view exactly and without overlap, whatever the view, the peers, their speeds and the costs.

use proptest::prelude::*;
use rayloom_coordinator::{Config, Coordinator, CostMap, FramePlan, FrameRequest, PeerId, PeerPrior, TileReport, Time};
use rayloom_frame::{Extent, Rect};
use std::time::Duration;

fn assert_covers(plan: &FramePlan, extent: Extent) {
    let mut covered = vec![0_u8; extent.pixels()];
    for tile in &plan.tiles {
        assert!(!tile.rect.is_empty() && extent.rect().contains_rect(tile.rect), "{tile:?}");
        assert!(tile.ghost_rect.contains_rect(tile.rect) && extent.rect().contains_rect(tile.ghost_rect), "{tile:?}");
        for y in tile.rect.y..tile.rect.bottom() {
            for x in tile.rect.x..tile.rect.right() {
                covered[y as usize * extent.width as usize + x as usize] += 1;
            }
        }
    }
    assert!(covered.iter().all(|count| *count == 1), "{plan:?}");
}

fn cost() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0_f32..100.0,
        1 => Just(0.0),
        1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(-1.0), Just(1e38), Just(1e-38)],
    ]
}

fn request(frame_id: u64, extent: Extent, ghost_px: u32, cost: Option<CostMap>) -> FrameRequest {
    FrameRequest {
        frame_id,
        scene: 1,
        revision: 1,
        extent,
        ghost_px,
        deadline: Time(frame_id * 50_000_000),
        cost,
        ..FrameRequest::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exact_and_without_overlap(
        (width, height) in prop_oneof![(1_u32..40, 1_u32..40), (1_u32..700, 1_u32..500)],
        speeds in prop::collection::vec(prop_oneof![Just(0.0_f32), Just(f32::NAN), 1e-30_f32..1e12], 1..64),
        ghost_px in 0_u32..300,
        costs in prop::collection::vec(cost(), 64),
        services in prop::collection::vec(prop_oneof![Just(0_u64), Just(u64::MAX), 1_u64..100_000_000], 16),
    ) {
        let extent = Extent::new(width, height);
        let blocks = extent.scaled(16);
        let mut coordinator = Coordinator::new(Config::default());
        for (peer, rays_per_second) in speeds.iter().enumerate() {
            let id = PeerId(peer as u32);
            coordinator.peer_joined(id, PeerPrior { rays_per_second: *rays_per_second, ..PeerPrior::default() }, Time(0));
            coordinator.peer_ready(id, 1, 1, Time(0));
            coordinator.link_measured(id, Duration::from_micros(peer as u64 * 300), Time(0));
        }
        for frame in 1..5 {
            let cost = costs.iter().cycle().skip(frame as usize).take(blocks.pixels()).copied().collect();
            let map = CostMap { blocks_x: blocks.width, blocks_y: blocks.height, cost };
            let now = Time(frame * 30_000_000);
            let plan = coordinator.begin_frame(request(frame, extent, ghost_px, Some(map)), now);
            assert_covers(&plan, extent);
            for (i, tile) in plan.tiles.iter().enumerate() {
                let service_ns = services[i % services.len()];
                let rays = vec![service_ns as u32; tile.ghost_rect.scaled(16).pixels()];
                let report = TileReport { block_rays: &rays, ..TileReport::new(service_ns, tile.ghost_rect) };
                coordinator.tile_done(tile.task, report, Time(now.0 + 1_000_000 * i as u64));
            }
        }
    }
}

#[test]
fn a_small_view_is_cut_sensibly_for_four_peers() {
    let mut coordinator = Coordinator::new(Config::default());
    for peer in 0..4 {
        coordinator.peer_joined(PeerId(peer), PeerPrior { rays_per_second: 1e6, ..PeerPrior::default() }, Time(0));
        coordinator.peer_ready(PeerId(peer), 1, 1, Time(0));
    }
    let extent = Extent::new(256, 144);
    let plan = coordinator.begin_frame(request(1, extent, 8, None), Time(0));
    assert_covers(&plan, extent);
    assert_eq!(plan.tiles.len(), 4, "two tiles a peer would trace half of the pixels twice");
    assert!(plan.ghost_share < 0.2, "{}", plan.ghost_share);
}

#[test]
fn a_view_too_large_for_one_message_a_tile_comes_in_more_tiles() {
    let mut coordinator = Coordinator::new(Config::default());
    coordinator.peer_joined(PeerId(0), PeerPrior::default(), Time(0));
    coordinator.peer_ready(PeerId(0), 1, 1, Time(0));
    let plan = coordinator.begin_frame(request(1, Extent::new(7680, 4320), 8, None), Time(0));
    let most = rayloom_wire::limits::BLOCKS_PER_TILE;
    assert!(plan.tiles.iter().all(|tile| tile.ghost_rect.scaled(16).pixels() <= most));
    assert_eq!(plan.tiles.iter().map(|tile| tile.rect.pixels()).sum::<usize>(), 7680 * 4320);
    let overlap = |a: Rect, b: Rect| a.intersection(b).pixels();
    for (i, a) in plan.tiles.iter().enumerate() {
        assert!(plan.tiles[i + 1..].iter().all(|b| overlap(a.rect, b.rect) == 0));
    }
}
