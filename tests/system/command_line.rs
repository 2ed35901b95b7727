//! `rayloom-peer` as an operator meets it: flags that can't be used, a port in use, the end by signal.

use crate::fleet::{Peer, command};

/// Exit code and stderr of a peer that does not start.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command().args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn flags_that_can_not_be_used_are_named() {
    for (arguments, words) in [
        (&["--frobnicate"][..], &["--frobnicate"][..]),
        (&["--listen", "localhost"], &["--listen", "localhost"]),
        (&["--cache-size", "3 parsecs"], &["--cache-size", "parsecs", "GiB"]),
        (&["--max-sessions", "0"], &["--max-sessions", "at least 1"]),
        (&["--log", "info,foo=bar=baz"], &["--log", "\"foo=bar=baz\" is no filter", "info,rayloom_peer=debug"]),
        (
            &["--allow-cpu", "--cache-dir", "none", "--listen", "127.0.0.1:0", "--memory-limit", "1"],
            &["limit of 1 bytes"],
        ),
        (&["--token", "with space", "--allow-cpu"], &["--token", "spaces"]),
        (
            &["--allow-cpu", "--listen", "127.0.0.1:0", "--cache-dir", "/dev/null/cache"],
            &["/dev/null/cache", "--cache-dir"],
        ),
    ] {
        let (code, text) = fails(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    }
}

#[test]
fn a_port_is_taken_until_its_peer_is_told_to_end() {
    let mut peer = Peer::start();
    let addr = peer.url.strip_prefix("http://").unwrap().to_owned();
    let (code, text) = fails(&["--allow-cpu", "--cache-dir", "none", "--listen", &addr]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&addr) && text.contains("another process"), "{text}");
    assert_eq!(peer.terminate(), Some(0));
    peer.restart();
    assert_eq!(peer.terminate(), Some(0));
}
