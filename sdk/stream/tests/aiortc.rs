//! aiortc, a WebRTC stack that shares no code with ours or Chromium's, watches over WHEP.
#![cfg(feature = "h264")]

mod served_picture;

use rayloom_stream::StreamDesc;
use rayloom_test_clients::watch_with_aiortc;
use served_picture::{HEIGHT, Served, WIDTH, psnr_db};

#[test]
fn aiortc_decodes_the_picture_and_leaves() {
    let served = Served::start(StreamDesc::default());
    let Some((seen, picture)) = watch_with_aiortc(&served.url(), 45) else { return };
    assert_eq!((&seen["status"], &seen["deleted"]), (&201.into(), &200.into()));
    assert_eq!((&seen["width"], &seen["height"]), (&WIDTH.into(), &HEIGHT.into()));
    assert_eq!(seen["increasing"], true);
    let psnr = psnr_db(&served.picture, &picture);
    println!("PSNR: {psnr:.1} dB");
    assert!(psnr > 35.0, "aiortc did not see the picture: PSNR {psnr:.1} dB");
}
