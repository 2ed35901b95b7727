//! Forecasts of fleets: they follow what they are made of, and refuse what makes no sense.

use rayloom_coordinator::sim::forecast::{Forecast, ForecastRequest, Limit, PlannedPeer, forecast};
use rayloom_coordinator::sim::gpus;
use rayloom_frame::{Extent, LayerKind, LayerRequest};
use std::time::Duration;

fn peers(count: usize, rays_per_second: f64, rtt_ms: u64) -> Vec<PlannedPeer> {
    let rtt = Duration::from_millis(rtt_ms);
    vec![PlannedPeer { name: "a test".into(), rays_per_second, rtt }; count]
}

fn request(peers: Vec<PlannedPeer>) -> ForecastRequest {
    let late = |kind| if kind == LayerKind::Indirect { 100 } else { 50 };
    ForecastRequest {
        extent: Extent::new(320, 180),
        fps: 30.0,
        layers: LayerKind::REAL_TIME.map(|kind| (LayerRequest::new(kind), Duration::from_millis(late(kind)))).to_vec(),
        has_planes: false,
        peers,
        up_bits_per_second: f64::INFINITY,
        down_bits_per_second: f64::INFINITY,
        ghost_px: 0,
    }
}

fn of(request: &ForecastRequest) -> Forecast {
    forecast(request, 1).expect("it makes sense")
}

#[test]
fn twice_the_peers_trace_almost_twice_the_frames() {
    let slow = ForecastRequest { fps: 1000.0, ..request(peers(1, 1e7, 10)) };
    let (one, two) = (of(&slow), of(&ForecastRequest { peers: peers(2, 1e7, 10), ..slow }));
    assert_eq!((one.limit, two.limit), (Limit::Tracing, Limit::Tracing));
    // Alone: rays a second over rays of a frame, but for fixed costs.
    assert!((one.allowed[0] * one.rays / 1e7 - 0.95).abs() < 0.05, "{one:?}");
    assert!((1.7..=2.05).contains(&(two.fps / one.fps)), "{} and {}", one.fps, two.fps);
}

#[test]
fn a_far_peer_answers_later_by_its_round_trip() {
    let (near, far) = (of(&request(peers(2, 1e9, 2))), of(&request(peers(2, 1e9, 82))));
    assert_eq!((near.limit, far.limit), (Limit::Wanted, Limit::Wanted));
    let later = far.latency_ms[0] - near.latency_ms[0];
    assert!((75.0..=105.0).contains(&later), "{later}");
    let in_time = |forecast: &Forecast, kind: LayerKind| {
        forecast.layers.iter().find(|layer| layer.request.kind == kind).map(|layer| layer.in_time)
    };
    assert_eq!(in_time(&near, LayerKind::Direct), Some(1.0));
    assert_eq!(in_time(&far, LayerKind::Direct), Some(0.0), "50 ms are less than the way there and back");
    assert!(in_time(&far, LayerKind::Indirect) > Some(0.5), "{far:?}");
}

#[test]
fn a_thin_line_is_the_limit_and_is_used_within_it() {
    let thin = of(&ForecastRequest { down_bits_per_second: 20e6, ..request(peers(4, 1e9, 10)) });
    assert_eq!(thin.limit, Limit::Downlink);
    let [_, down] = thin.mbit_per_second();
    assert!(down <= 20.0 && down > 14.0, "{down} Mbit/s");
    let up = ForecastRequest { up_bits_per_second: 1e6, has_planes: true, ..request(peers(4, 1e9, 10)) };
    assert_eq!(of(&up).limit, Limit::Uplink);
    let hours = thin.gigabytes_per_hour();
    assert!((hours - down * 3600.0 / 8000.0).abs() < 0.2 * hours, "{hours} GB");
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let good = request(peers(2, 1e8, 10));
    let refused = |change: &dyn Fn(&mut ForecastRequest)| {
        let mut request = good.clone();
        change(&mut request);
        forecast(&request, 1).expect_err("it makes no sense")
    };
    assert!(refused(&|r| r.peers.clear()).contains("0 peers"));
    assert!(refused(&|r| r.peers = peers(65, 1e8, 1)).contains("65 peers"));
    assert!(refused(&|r| r.layers.clear()).contains("no layers"));
    assert!(refused(&|r| r.fps = f64::NAN).contains("NaN"));
    assert!(refused(&|r| r.extent = Extent::new(0, 10)).contains("0x10"));
    assert!(refused(&|r| r.peers[1].rays_per_second = -1.0).contains("-1 rays"));
    assert!(refused(&|r| r.peers[1].rtt = Duration::from_secs(60)).contains("60s"));
    assert!(refused(&|r| r.up_bits_per_second = 0.0).contains("up"));
}

#[test]
fn gpus_are_found_by_what_only_they_are_called() {
    for name in ["4090", "RTX 4090", "rtx4090", "L40S", "a6000"] {
        assert!(gpus::rays_per_second(name).is_some(), "{name}");
    }
    assert_ne!(gpus::rays_per_second("4070"), gpus::rays_per_second("4070 Ti"));
    for name in ["", "RTX", "ti", "90", "GTX 1080"] {
        assert_eq!(gpus::rays_per_second(name), None, "{name}");
    }
}
