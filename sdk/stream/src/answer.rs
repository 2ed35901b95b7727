//! Repairs one thing in an SDP answer: the WebRTC crate writes its candidates into the first media
//! section, even if it refuses that one, and a player that asks for sound first never connects.

/// Moves the candidates to the first section that is not refused, which carries the bundle's
/// transport (RFC 9143, section 7.3). Returns `None` if every section is refused.
pub(crate) fn place_candidates(answer: &str) -> Option<String> {
    let is_candidate = |line: &&str| line.starts_with("a=candidate:") || *line == "a=end-of-candidates";
    let lines: Vec<&str> = answer.lines().collect();
    let candidates: Vec<&str> = lines.iter().copied().filter(is_candidate).collect();
    let is_section = |line: &&str| line.starts_with("m=");
    let accepted = lines.iter().position(|line| is_section(line) && !is_refused(line))?;
    let end = lines[accepted + 1..].iter().position(is_section).map_or(lines.len(), |after| accepted + 1 + after);
    let keep = |part: &[&str]| -> String {
        part.iter().filter(|line| !is_candidate(line)).map(|line| format!("{line}\r\n")).collect()
    };
    let moved: String = candidates.iter().map(|line| format!("{line}\r\n")).collect();
    Some(keep(&lines[..end]) + &moved + &keep(&lines[end..]))
}

/// Whether the answer takes the video section.
pub(crate) fn accepts_video(answer: &str) -> bool {
    answer.lines().any(|line| line.starts_with("m=video ") && !is_refused(line))
}

/// A refused section has port 0.
fn is_refused(section: &str) -> bool {
    section.split(' ').nth(1) == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_leave_a_refused_section() {
        let answer = "v=0\r\nm=audio 0 A 0\r\na=candidate:1 x\r\na=end-of-candidates\r\n\
                      m=video 9 A 102\r\na=mid:1\r\nm=application 9 B c\r\na=mid:2\r\n";
        let wanted = "v=0\r\nm=audio 0 A 0\r\nm=video 9 A 102\r\na=mid:1\r\na=candidate:1 x\r\n\
                      a=end-of-candidates\r\nm=application 9 B c\r\na=mid:2\r\n";
        assert_eq!(place_candidates(answer).as_deref(), Some(wanted));
        // Where they are right they stay.
        assert_eq!(place_candidates(wanted).as_deref(), Some(wanted));
    }

    #[test]
    fn an_answer_that_refuses_everything_has_no_place_for_them() {
        assert_eq!(place_candidates("v=0\r\nm=video 0 A 0\r\na=candidate:1 x\r\n"), None);
        assert!(!accepts_video("m=audio 9 A 0\r\nm=video 0 A 0\r\n"));
        assert!(accepts_video("m=audio 0 A 0\r\nm=video 9 A 0\r\n"));
    }
}
