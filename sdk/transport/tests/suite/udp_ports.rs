//! A listener that may use certain UDP ports only: it does, says when none is left, and takes them up again.

use std::net::UdpSocket;
use std::time::Duration;

use crate::pair::{Server, within};
use rayloom_transport::TransportError;
use rayloom_transport::signalling::SignallingConfig;
use rayloom_transport::webrtc::{DialOptions, UdpPorts, dial};

#[tokio::test]
async fn a_session_takes_a_port_of_the_range_and_gives_it_back() {
    // One that nobody else has just now.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = SignallingConfig::new(None, 4);
    config.acceptor.ice.udp_ports = Some(UdpPorts::new(port..=port));
    let mut server = Server::start(config).await;
    let options = DialOptions::default();
    let first = within(dial(&server.url, None, &options)).await.expect("the port is free");
    let accepted = server.accepted().await;
    assert!(first.link.description().contains(&format!("127.0.0.1:{port}")), "{}", first.link.description());
    let error = within(dial(&server.url, None, &options)).await.err().expect("the port is taken");
    let TransportError::Capacity { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains(&port.to_string()) && reason.contains("--udp-ports"), "{reason}");
    drop((first, accepted));
    let again = async {
        loop {
            match dial(&server.url, None, &options).await {
                Ok(connection) => break connection,
                Err(TransportError::Capacity { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    within(again).await;
}
