//! Viewers on our own WebRTC stack: an IDR at the start and on request, places that are limited,
//! and places that come free when a viewer vanishes without a word.
#![cfg(feature = "h264")]

mod served_picture;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rayloom_stream::StreamDesc;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use served_picture::{Served, runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCSessionDescription,
    Registry, SettingEngineBuilder,
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Events {
    gathered: watch::Sender<bool>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.tracks.send(track).await.expect("the test listens");
    }
}

/// A viewer that receives RTP and decodes nothing.
struct Watcher {
    track: Arc<dyn TrackRemote>,
    _connection: Arc<dyn PeerConnection>,
}

impl Watcher {
    /// Joins over WHEP; the status and body of the answer if it is refused.
    async fn join(addr: SocketAddr) -> Result<Self, (u16, String)> {
        let mut media = MediaEngine::default();
        media.register_default_codecs().expect("known codecs");
        let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
        let (gathered_sender, mut gathered) = watch::channel(false);
        let (track_sender, mut tracks) = mpsc::channel(1);
        let settings = SettingEngineBuilder::new().with_include_loopback_candidate(true).build();
        let connection: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::<SocketAddr>::new()
                .with_media_engine(media)
                .with_interceptor_registry(registry)
                .with_setting_engine(settings)
                .with_handler(Arc::new(Events { gathered: gathered_sender, tracks: track_sender }))
                .with_udp_addrs(vec!["127.0.0.1:0".parse().unwrap()])
                .build()
                .await
                .expect("a UDP socket"),
        );
        let receive = RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
        connection.add_transceiver_from_kind(RtpCodecKind::Video, Some(receive)).await.unwrap();
        let offer = connection.create_offer(None).await.unwrap();
        connection.set_local_description(offer).await.unwrap();
        gathered.wait_for(|done| *done).await.unwrap();
        let offer = connection.local_description().await.unwrap().sdp;
        let answer = tokio::task::spawn_blocking(move || post(addr, &offer)).await.unwrap()?;
        let answer = RTCSessionDescription::answer(answer).expect("SDP");
        connection.set_remote_description(answer).await.unwrap();
        let track = timeout(PATIENCE, tracks.recv()).await.expect("a track comes").unwrap();
        Ok(Self { track, _connection: connection })
    }

    /// The NAL types of the next frame's packets.
    async fn frame(&self) -> Vec<u8> {
        let mut types = Vec::new();
        loop {
            let event = timeout(PATIENCE, self.track.poll()).await.expect("frames come");
            if let TrackRemoteEvent::OnRtpPacket(packet) = event.expect("the track lives") {
                types.push(match packet.payload[0] & 0x1f {
                    // FU-A carries the type of what it is a piece of.
                    28 => packet.payload[1] & 0x1f,
                    whole => whole,
                });
                if packet.header.marker {
                    return types;
                }
            }
        }
    }

    async fn send_pli(&self) {
        let media_ssrc = *self.track.ssrcs().await.first().expect("one stream");
        let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc };
        self.track.write_rtcp(vec![Box::new(pli)]).await.expect("connected");
    }
}

fn post(addr: SocketAddr, offer: &str) -> Result<String, (u16, String)> {
    let mut connection = TcpStream::connect(addr).expect("the server listens");
    let request = format!(
        "POST /whep HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
        offer.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("HTTP");
    let status: u16 = head[9..12].parse().expect("HTTP");
    if status == 201 { Ok(body.to_owned()) } else { Err((status, body.to_owned())) }
}

const STAP_A: u8 = 24;
const IDR: u8 = 5;

#[test]
fn a_viewer_starts_with_an_idr_and_gets_another_for_a_pli() {
    let served = Served::start(StreamDesc::default());
    served.runtime.block_on(async {
        let watcher = Watcher::join(served.stream.local_addr()).await.expect("a place is free");
        let first = watcher.frame().await;
        assert_eq!(first[..2], [STAP_A, IDR], "parameter sets, then an IDR");
        // One IDR for the start; the rest are P slices until asked.
        let mut quiet = 0;
        while quiet < 20 {
            quiet = if watcher.frame().await.contains(&IDR) { 0 } else { quiet + 1 };
        }
        watcher.send_pli().await;
        let mut frames = 0;
        while !watcher.frame().await.contains(&IDR) {
            frames += 1;
            assert!(frames < 90, "no IDR within 90 frames of a PLI");
        }
    });
}

#[test]
fn places_are_limited_and_a_vanished_viewer_frees_its_own() {
    let served = Served::start(StreamDesc { max_viewers: 1, ..StreamDesc::default() });
    let addr = served.stream.local_addr();
    let elsewhere = runtime();
    let watcher = elsewhere.block_on(Watcher::join(addr)).expect("a place is free");
    elsewhere.block_on(watcher.frame());
    let refused = served.runtime.block_on(Watcher::join(addr)).err().expect("no place is left");
    assert_eq!(refused.0, 503);
    assert!(refused.1.contains("1 of 1 viewers"), "{}", refused.1);
    // The machine of the first viewer goes away: nothing says goodbye.
    std::mem::forget(watcher);
    elsewhere.shutdown_background();
    served.runtime.block_on(async {
        let again = timeout(PATIENCE, async {
            loop {
                if let Ok(watcher) = Watcher::join(addr).await {
                    return watcher;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let watcher = again.await.expect("the place comes free");
        assert_eq!(watcher.frame().await[..2], [STAP_A, IDR]);
    });
}
