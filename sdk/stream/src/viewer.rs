//! One viewer: its peer connection, from the WHEP offer to the goodbye.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MediaEngine};
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder,
};

use crate::answer;
use crate::error::StreamError;
use crate::frame::Frame;
use crate::hub::{Hub, Seat};
use crate::input::{Held, InputEvent};
use crate::pipeline::IdrReason;

/// The data channel that the page opens for input and messages.
const INPUT_CHANNEL: &str = "input";
/// What browsers offer and we encode: constrained baseline, level by asymmetry.
const H264_FMTP: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
/// Host candidates come from this machine alone, so gathering takes milliseconds.
const GATHER_TIMEOUT: Duration = Duration::from_secs(5);
/// A viewer that has its answer but never connects frees its place after this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Without a sign of life ICE says disconnected after the first and failed after the second more.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(3);
const FAILED_AFTER: Duration = Duration::from_secs(5);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);
/// How long a page has to close its channel after "bye".
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes to a page that SCTP has not delivered yet; then messages are left out.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The first message of an IDR's reason, `{"t":"bye"}`: the page need not wait for ICE.
const BYE: &str = r#"{"t":"bye"}"#;

/// What WHEP answers with.
pub(crate) struct Admitted {
    pub(crate) id: String,
    pub(crate) answer: String,
}

/// What the connection tells its viewer's task.
struct Events {
    gathered: watch::Sender<bool>,
    state: watch::Sender<RTCPeerConnectionState>,
    channels: mpsc::Sender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        // One channel is all that a page needs; a flood of them finds no room.
        if let Err(refused) = self.channels.try_send(channel) {
            let _ = refused.into_inner().close().await;
        }
    }
}

/// Answers an offer and starts the viewer's task.
pub(crate) async fn admit(hub: &Arc<Hub>, offer: String) -> Result<Admitted, StreamError> {
    let seat = hub.seat()?;
    let offer =
        RTCSessionDescription::offer(offer).map_err(|error| StreamError::Offer(format!("it is no SDP: {error}")))?;
    let (gathered_sender, mut gathered) = watch::channel(false);
    let (state_sender, state) = watch::channel(RTCPeerConnectionState::New);
    let (channel_sender, channels) = mpsc::channel(1);
    let events = Events { gathered: gathered_sender, state: state_sender, channels: channel_sender };
    let connection = connect(hub.listen_ip, events).await?;
    let negotiated = async {
        let ssrc = random_ssrc()?;
        let track = video_track(ssrc);
        let sender = connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await.map_err(set_up)?;
        connection.set_remote_description(offer).await.map_err(refused)?;
        let answer = connection.create_answer(None).await.map_err(refused)?;
        connection.set_local_description(answer).await.map_err(refused)?;
        timeout(GATHER_TIMEOUT, gathered.wait_for(|done| *done))
            .await
            .map_err(|_| StreamError::WebRtc("no local address was found in time".to_owned()))?
            .map_err(|_| StreamError::Closed)?;
        let answer = connection.local_description().await.ok_or(StreamError::Closed)?.sdp;
        let parameters = sender.get_parameters().await.map_err(refused)?.rtp_parameters;
        let placed = answer::place_candidates(&answer).filter(|sdp| answer::accepts_video(sdp));
        let (Some(codec), Some(answer)) = (parameters.codecs.first(), placed) else {
            return Err(StreamError::Offer(format!("it has no video section that receives H.264 with `{H264_FMTP}`")));
        };
        let payload_type = codec.payload_type;
        Ok((track, ssrc, payload_type, answer))
    };
    let (track, ssrc, payload_type, answer) = match negotiated.await {
        Ok(negotiated) => negotiated,
        Err(error) => {
            let _ = connection.close().await;
            return Err(error);
        }
    };
    let id = seat.link.id.clone();
    let video = Video { track, ssrc, payload_type, sequence: ssrc as u16 };
    tokio::spawn(Viewer { seat, connection, video, state, channels }.run());
    Ok(Admitted { id, answer })
}

/// Sets a peer connection up that can send H.264 and has sockets where the server listens.
async fn connect(listen_ip: IpAddr, events: Events) -> Result<Arc<dyn PeerConnection>, StreamError> {
    let mut media = MediaEngine::default();
    media
        .register_codec(RTCRtpCodecParameters { rtp_codec: h264(), payload_type: 102 }, RtpCodecKind::Video)
        .map_err(set_up)?;
    let registry = register_default_interceptors(Registry::new(), &mut media).map_err(set_up)?;
    let registry = registry.with(Slot::from(14_000), crate::keyframe::KeyframeRequests::default());
    let settings = SettingEngineBuilder::new()
        .with_include_loopback_candidate(true)
        .with_ice_timeouts(Some(DISCONNECTED_AFTER), Some(FAILED_AFTER), Some(KEEPALIVE_EVERY))
        .build();
    let connection = PeerConnectionBuilder::<SocketAddr>::new()
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_setting_engine(settings)
        .with_handler(Arc::new(events))
        .with_udp_addrs(media_addresses(listen_ip))
        .with_data_channel_send_buffer_limit(SEND_BUFFER_BYTES)
        .build()
        .await
        .map_err(set_up)?;
    Ok(Arc::new(connection))
}

/// Where media sockets open. The crate leaves loopback out of a wildcard; a page on this machine
/// may have no other way.
fn media_addresses(listen_ip: IpAddr) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::new(listen_ip, 0)];
    if listen_ip.is_unspecified() {
        addresses.push((Ipv4Addr::LOCALHOST, 0).into());
    }
    addresses
}

fn h264() -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: H264_FMTP.to_owned(),
        rtcp_feedback: vec![feedback("nack", ""), feedback("nack", "pli"), feedback("ccm", "fir")],
    }
}

fn video_track(ssrc: u32) -> Arc<TrackLocalStaticRTP> {
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "rayloom".to_owned(),
        "video".to_owned(),
        "video".to_owned(),
        RtpCodecKind::Video,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec: h264(),
            ..Default::default()
        }],
    )))
}

fn random_ssrc() -> Result<u32, StreamError> {
    getrandom::u32().map_err(|error| StreamError::System { what: "random numbers", reason: error.to_string() })
}

fn set_up(error: webrtc::error::Error) -> StreamError {
    StreamError::WebRtc(error.to_string())
}

fn refused(error: webrtc::error::Error) -> StreamError {
    StreamError::Offer(error.to_string())
}

/// The outgoing video of one viewer.
struct Video {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
}

impl Video {
    /// Sends a frame; an error means that the connection is gone.
    async fn send(&mut self, frame: &Frame) -> Result<(), webrtc::error::Error> {
        let last = frame.payloads.len().saturating_sub(1);
        for (index, payload) in frame.payloads.iter().enumerate() {
            let header = rtp::Header {
                version: 2,
                marker: index == last,
                payload_type: self.payload_type,
                sequence_number: self.sequence,
                timestamp: frame.rtp_time,
                ssrc: self.ssrc,
                ..Default::default()
            };
            self.sequence = self.sequence.wrapping_add(1);
            self.track.write_rtp(rtp::Packet { header, payload: payload.clone() }).await?;
        }
        Ok(())
    }
}

/// A viewer's task.
struct Viewer {
    seat: Seat,
    connection: Arc<dyn PeerConnection>,
    video: Video,
    state: watch::Receiver<RTCPeerConnectionState>,
    channels: mpsc::Receiver<Arc<dyn DataChannel>>,
}

impl Viewer {
    async fn run(mut self) {
        let number = self.seat.link.number;
        // Ends with this function, whatever they wait for.
        let mut tasks = JoinSet::new();
        tasks.spawn(answer_key_frame_requests(Arc::clone(&self.seat.hub), Arc::clone(&self.video.track)));
        let mut page: Option<Page> = None;
        let reason = self.watch(&mut page).await;
        tracing::info!(viewer = number, reason, "a viewer left");
        if let Some(page) = page {
            page.say_goodbye().await;
        }
        let _ = self.connection.close().await;
    }

    /// Serves the viewer until it leaves; returns why.
    async fn watch(&mut self, page: &mut Option<Page>) -> &'static str {
        let Seat { hub, link, frames, messages, stop, .. } = &mut self.seat;
        let mut connected = false;
        let too_late = tokio::time::sleep(CONNECT_TIMEOUT);
        tokio::pin!(too_late);
        loop {
            tokio::select! {
                biased;
                () = stopped(stop) => return "the stream was closed",
                () = link.leave.notified() => return "it said goodbye",
                changed = self.state.changed() => {
                    if changed.is_err() {
                        return "its connection ended";
                    }
                    match *self.state.borrow_and_update() {
                        RTCPeerConnectionState::Connected if !connected => {
                            connected = true;
                            tracing::info!(viewer = link.number, "a viewer joined");
                            hub.connected(link);
                        }
                        RTCPeerConnectionState::Failed => return "it fell silent",
                        RTCPeerConnectionState::Closed => return "it closed the connection",
                        _ => {}
                    }
                }
                Some(channel) = self.channels.recv() => {
                    if page.is_none() && channel.label().await.is_ok_and(|label| label == INPUT_CHANNEL) {
                        *page = Some(Page::open(channel, Arc::clone(hub), link.number));
                    } else {
                        let _ = channel.close().await;
                    }
                }
                Some(text) = messages.recv() => {
                    if let Some(page) = &page
                        && let Err(error) = page.channel.try_send_text(&text).await
                    {
                        tracing::debug!(%error, "a message was left out");
                    }
                }
                Some(frame) = frames.recv() => {
                    // The error's text may hold a whole packet: not for the log.
                    if self.video.send(&frame).await.is_err() {
                        return "its connection ended";
                    }
                }
                () = &mut too_late, if !connected => return "it never connected",
            }
        }
    }
}

/// Ends when the stream is closed. (The value that `wait_for` gives holds a lock: not to be kept.)
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Turns PLI and FIR into requests for an IDR.
async fn answer_key_frame_requests(hub: Arc<Hub>, track: Arc<TrackLocalStaticRTP>) {
    // Only key-frame requests pass the interceptor.
    while track.poll().await.is_some() {
        hub.pipeline.request_idr(IdrReason::Loss);
    }
}

/// The page's data channel.
struct Page {
    channel: Arc<dyn DataChannel>,
    reader: JoinSet<()>,
}

impl Page {
    fn open(channel: Arc<dyn DataChannel>, hub: Arc<Hub>, viewer: u64) -> Self {
        let mut reader = JoinSet::new();
        reader.spawn(read_input(Arc::clone(&channel), hub, viewer));
        Self { channel, reader }
    }

    /// Tells the page that it is over and waits until the page has closed the channel.
    async fn say_goodbye(mut self) {
        if self.channel.try_send_text(BYE).await.is_ok() {
            let _ = timeout(GOODBYE_TIMEOUT, self.reader.join_next()).await;
        }
    }
}

/// Releases whatever a viewer holds, also when its reader is cut off.
struct Hands {
    held: Held,
    hub: Arc<Hub>,
    viewer: u64,
}

impl Drop for Hands {
    fn drop(&mut self) {
        for kind in self.held.release() {
            self.hub.input.push(InputEvent { viewer: self.viewer, kind });
        }
    }
}

/// Passes a page's messages on until its channel closes.
async fn read_input(channel: Arc<dyn DataChannel>, hub: Arc<Hub>, viewer: u64) {
    let mut hands = Hands { held: Held::default(), hub: Arc::clone(&hub), viewer };
    while let Some(event) = channel.poll().await {
        match event {
            DataChannelEvent::OnMessage(message) => {
                let kind = message.is_string.then(|| crate::input::parse(&message.data)).flatten();
                match kind {
                    Some(kind) if hands.held.follow(&kind) => {
                        hub.input.push(InputEvent { viewer, kind });
                    }
                    _ => hub.input.reject(),
                }
            }
            DataChannelEvent::OnClose => break,
            _ => {}
        }
    }
}
