//! One `RTCPeerConnection`: how it is configured, and the way to its three open data channels.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use ::webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::transport::RTCIceCandidateType;
use tokio::sync::{mpsc, watch};

use super::IceConfig;
use super::candidates::{Offered, addresses, without_tcp};
use super::port::SharedPort;
use super::sockets::Sockets;
use crate::error::TransportError;
use crate::link::Channel;

/// What SCTP may hold per channel beyond our own queue: a window's worth keeps the path full.
const SCTP_SEND_BYTES: usize = 1 << 20;
/// Advertised receive window: 24 MB/s at 40 ms need 1 MiB; the kernel's 4 MB must hold it with its bookkeeping.
const SCTP_RECEIVE_BYTES: u32 = 2 << 20;
/// Size of an SCTP packet that never leaves the machine, below a DTLS record's 16 KiB; elsewhere the stack's own, which fits
/// any path. Each packet costs the same, however long.
const LOOPBACK_PACKET_BYTES: u32 = 16_000;
/// Connectivity checks come this often: the default of 200 ms is most of the time that opening a session takes.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per pair before it is given up: 4 s.
const ICE_CHECKS: u16 = 200;
/// A path by UDP that is not found by then may not exist: TCP is tried beside it.
const TCP_AFTER: Duration = Duration::from_secs(1);
/// Channels that a dialler may open beyond ours before it is ignored.
const INCOMING_CHANNELS: usize = 8;

pub(super) type Channels = [Arc<dyn DataChannel>; 3];

/// A connection that is closed with this, unless it was taken out.
struct Unfinished(Option<Arc<dyn PeerConnection>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { connection.close().await });
        }
    }
}

/// Owns the connection until it is handed over; closes it when an attempt is given up on the way.
pub(super) struct Peer {
    connection: Unfinished,
    pub(super) sockets: Arc<Sockets>,
    ice: IceConfig,
    /// Where the other side waits for connections of ICE over TCP.
    passive: Vec<SocketAddr>,
    pub(super) state: watch::Receiver<RTCPeerConnectionState>,
    gathered: watch::Receiver<bool>,
    incoming: mpsc::Receiver<Arc<dyn DataChannel>>,
}

struct Handler {
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<bool>,
    incoming: mpsc::Sender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        // A full queue means more channels than the protocol has: those beyond are dropped, which ends them.
        let _ = self.incoming.try_send(channel);
    }
}

fn local(error: impl std::fmt::Display) -> TransportError {
    TransportError::Local { reason: error.to_string() }
}

impl Peer {
    pub(super) async fn new(ice: &IceConfig) -> Result<Self, TransportError> {
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let (gathered_tx, gathered) = watch::channel(false);
        let (incoming_tx, incoming) = mpsc::channel(INCOMING_CHANNELS);
        let sockets = Arc::new(match &ice.port {
            Some(port) => Sockets::shared(port.lease()?),
            None => Sockets::own(ice.socket_buffer_bytes),
        });
        let mut settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_sctp_max_receive_buffer_size(SCTP_RECEIVE_BYTES)
            .with_ice_timeouts(Some(Duration::from_secs(5)), Some(Duration::from_secs(5)), Some(Duration::from_secs(1)))
            .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_CHECKS));
        let relays = ice.port.as_ref().is_some_and(SharedPort::has_relay);
        if ice.stays_on_this_machine() && !relays && sockets.takes_long_datagrams() {
            settings = settings.with_sctp_mtu(LOOPBACK_PACKET_BYTES);
        }
        if let Some((ufrag, password)) = sockets.credentials() {
            settings = settings.with_ice_credentials(ufrag, password);
        }
        let settings = settings.build();
        let addresses: Vec<SocketAddr> = ice.bind.iter().map(|ip: &IpAddr| SocketAddr::new(*ip, 0)).collect();
        let builder = PeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_runtime(sockets.clone())
            .with_handler(Arc::new(Handler { state: state_tx, gathered: gathered_tx, incoming: incoming_tx }))
            .with_udp_addrs(addresses)
            .with_data_channel_send_buffer_limit(SCTP_SEND_BYTES);
        // A task of its own: given up half-built, a connection would leave its driver and its socket behind for ever.
        let build = async move { builder.build().await.map(|built| Unfinished(Some(Arc::new(built)))) };
        let connection = tokio::spawn(build).await.map_err(local)?.map_err(local)?;
        Ok(Self { connection, sockets, ice: ice.clone(), passive: Vec::new(), state, gathered, incoming })
    }

    fn connection(&self) -> &Arc<dyn PeerConnection> {
        self.connection.0.as_ref().expect("taken only by into_connection, which consumes the peer")
    }

    /// The dialler opens the channels. Returns them with the offer, all candidates in it.
    pub(super) async fn offer(&mut self) -> Result<(Channels, String), TransportError> {
        let mut channels = Vec::with_capacity(Channel::ALL.len());
        for channel in Channel::ALL {
            let init = RTCDataChannelInit { ordered: channel.ordered(), ..Default::default() };
            channels.push(self.connection().create_data_channel(channel.name(), Some(init)).await.map_err(local)?);
        }
        let channels = Channels::try_from(channels).unwrap_or_else(|_| unreachable!("one per channel was pushed"));
        let offer = self.connection().create_offer(None).await.map_err(local)?;
        self.connection().set_local_description(offer).await.map_err(local)?;
        Ok((channels, self.gathered_description().await?))
    }

    pub(super) async fn take_answer(&mut self, sdp: String) -> Result<(), String> {
        let (sdp, passive) = without_tcp(&sdp);
        self.passive = passive;
        let answer = RTCSessionDescription::answer(sdp).map_err(|error| error.to_string())?;
        self.connection().set_remote_description(answer).await.map_err(|error| error.to_string())
    }

    /// `from` is where the offer itself came from: a dialler behind a NAT may not know its own address outside.
    pub(super) async fn answer(&mut self, offer_sdp: &str, from: Option<IpAddr>) -> Result<String, TransportError> {
        self.sockets.permit(from.into_iter().chain(addresses(offer_sdp)));
        let bad = |error: ::webrtc::error::Error| TransportError::BadOffer { reason: error.to_string() };
        let offer = RTCSessionDescription::offer(offer_sdp.to_owned()).map_err(bad)?;
        self.connection().set_remote_description(offer).await.map_err(bad)?;
        let answer = self.connection().create_answer(None).await.map_err(bad)?;
        self.connection().set_local_description(answer).await.map_err(bad)?;
        self.gathered_description().await
    }

    async fn gathered_description(&mut self) -> Result<String, TransportError> {
        self.gathered.wait_for(|done| *done).await.map_err(|_| local("gathering of addresses was given up"))?;
        let description = self.connection().local_description().await;
        let sdp = description.ok_or_else(|| local("there is no local description"))?.sdp;
        let port = self.ice.port.as_ref();
        let offered = Offered {
            udp_port: port.map(SharedPort::port),
            tcp_port: port.and_then(SharedPort::tcp_port),
            advertise: &self.ice.advertise,
            reflexive: port.and_then(SharedPort::reflexive),
            relayed: port.and_then(SharedPort::allocation),
        };
        Ok(offered.applied(sdp))
    }

    /// Dialler: waits until all of its channels are open.
    pub(super) async fn opened(&mut self, channels: &Channels, remote: &str) -> Result<(), TransportError> {
        let open = async {
            for channel in channels {
                loop {
                    match channel.poll().await {
                        Some(DataChannelEvent::OnOpen) => break,
                        Some(_) => {}
                        None => return Err(no_path(remote, "a data channel ended before it opened")),
                    }
                }
            }
            Ok(())
        };
        let mut state = self.state.clone();
        tokio::select! {
            result = open => result?,
            error = failed(&mut state, remote) => return Err(error),
            error = self.fall_back() => return Err(no_path(remote, error)),
        }
        let chosen = self.chosen().await;
        self.sockets.tcp().inspect(|tcp| tcp.keep(chosen));
        Ok(())
    }

    /// Offers TCP to ICE too where UDP takes long. Returns only when that fails.
    async fn fall_back(&self) -> String {
        let mut state = self.state.clone();
        let connected = async { _ = state.wait_for(|state| *state == RTCPeerConnectionState::Connected).await };
        let by_udp = tokio::time::timeout(TCP_AFTER, connected).await.is_ok();
        if let Some(tcp) = self.sockets.tcp().filter(|_| !by_udp && !self.passive.is_empty()) {
            let ipv4 = self.ice.bind.iter().any(IpAddr::is_ipv4);
            for (priority, stands_in) in tcp.add(&self.passive, ipv4).into_iter().enumerate() {
                let candidate = RTCIceCandidateInit {
                    candidate: format!(
                        "candidate:tcp{priority} 1 udp {} {} {} typ host",
                        100 - priority,
                        stands_in.ip(),
                        stands_in.port()
                    ),
                    sdp_mline_index: Some(0),
                    ..Default::default()
                };
                if let Err(error) = self.connection().add_ice_candidate(candidate).await {
                    return error.to_string();
                }
            }
        }
        std::future::pending().await
    }

    /// The other side: waits until the dialler has opened all three.
    pub(super) async fn accepted(&mut self, remote: &str) -> Result<Channels, TransportError> {
        let mut found: [Option<Arc<dyn DataChannel>>; 3] = [None, None, None];
        let incoming = &mut self.incoming;
        let arrive = async {
            while found.iter().any(Option::is_none) {
                let Some(channel) = incoming.recv().await else {
                    return Err(no_path(remote, "the connection ended before its channels were open"));
                };
                let label = channel.label().await.map_err(|error| no_path(remote, error))?;
                match Channel::from_name(&label) {
                    Some(name) if found[name.index()].is_none() => found[name.index()] = Some(channel),
                    _ => tracing::debug!(label, "a data channel that the protocol does not know is ignored"),
                }
            }
            Ok(())
        };
        tokio::select! {
            result = arrive => result?,
            error = failed(&mut self.state, remote) => return Err(error),
        }
        Ok(found.map(|channel| channel.expect("the loop ends when none is missing")))
    }

    /// The remote address that ICE chose, and whether it is a relay's.
    async fn chosen_pair(&self) -> Option<(SocketAddr, bool)> {
        let sctp = self.connection().sctp().await?;
        let pair = sctp.transport().ice_transport().get_selected_candidate_pair().await.ok()??;
        let remote = pair.remote();
        let relayed = remote.typ == RTCIceCandidateType::Relay;
        Some((SocketAddr::new(remote.address.parse().ok()?, remote.port), relayed))
    }

    async fn chosen(&self) -> Option<SocketAddr> {
        self.chosen_pair().await.map(|(chosen, _)| chosen)
    }

    /// The same for logs.
    pub(super) async fn remote_address(&self) -> Option<String> {
        let (chosen, is_relay) = self.chosen_pair().await?;
        let shown = || if is_relay { format!("relay {chosen}") } else { chosen.to_string() };
        Some(self.sockets.stood_in_for(chosen).unwrap_or_else(shown))
    }

    pub(super) fn into_connection(mut self) -> Arc<dyn PeerConnection> {
        self.connection.0.take().expect("taken only here")
    }
}

fn no_path(remote: &str, reason: impl std::fmt::Display) -> TransportError {
    TransportError::NoPath { remote: remote.to_owned(), reason: reason.to_string() }
}

/// Resolves when ICE or DTLS has given up.
async fn failed(state: &mut watch::Receiver<RTCPeerConnectionState>, remote: &str) -> TransportError {
    let over = |state: &RTCPeerConnectionState| {
        matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
    };
    match state.wait_for(over).await {
        Ok(state) => no_path(remote, format!("the connection is {}", *state)),
        Err(_) => no_path(remote, "the connection ended"),
    }
}
