//! A tile under examination: what was delivered, what was committed to, who traced it again, and what follows from that.

use rayloom_coordinator::PeerId;
use rayloom_frame::{Tolerance, TracedTile, deviation, digest};

/// A peer as an examination knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Party {
    pub(crate) peer: PeerId,
    /// Peers of one class give the same bits.
    pub(crate) class: [u8; 32],
    /// The embedded one, and those that the engine trusts: they are believed, and never caught.
    pub(crate) is_trusted: bool,
    /// Device and address.
    pub(crate) description: String,
}

/// Why a peer traces a tile again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It traced the tile first, and shows now what it committed to.
    Accused,
    /// It is the first to trace it again.
    Checker,
    /// The other two disagree.
    Arbiter,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Role::Accused => "accused",
            Role::Checker => "checker",
            Role::Arbiter => "arbiter",
        }
    }
}

/// A tile that was traced again, lossless.
pub(crate) struct Answer {
    pub(crate) role: Role,
    pub(crate) party: Party,
    pub(crate) tile: TracedTile,
    /// What the peer says the tile's digest is.
    pub(crate) digest: [u8; 32],
}

impl Answer {
    fn is_consistent(&self) -> bool {
        digest(&self.tile) == self.digest
    }
}

/// See the file's head.
pub(crate) struct Case {
    pub(crate) accused: Party,
    /// What the frame was made with, as it came through the codec.
    pub(crate) delivered: TracedTile,
    /// What coding may have changed of it.
    pub(crate) coding: Tolerance,
    /// The digest that came with it.
    pub(crate) commitment: [u8; 32],
    pub(crate) answers: Vec<Answer>,
    /// Who was asked already, with an answer or without.
    pub(crate) asked: Vec<(Role, PeerId)>,
    /// Roles for which nobody is left that could be asked.
    pub(crate) given_up: Vec<Role>,
}

/// What follows from a case.
#[derive(Debug, PartialEq)]
pub(crate) enum Finding {
    /// Everything fits.
    Agrees,
    /// More must be known.
    Ask(Role),
    /// This peer did not trace what it was asked for. Not certain where only pixels from other hardware say so: that may happen to
    /// an honest peer now and then.
    Caught { peer: PeerId, cause: String, is_certain: bool },
    /// Somebody is wrong, and it can't be told who.
    Disputed(String),
}

impl Case {
    fn answer(&self, role: Role) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.role == role)
    }

    fn caught(&self, party: &Party, cause: String) -> Finding {
        match party.is_trusted {
            true => Finding::Disputed(format!("{}, which is trusted: {cause}", party.description)),
            false => {
                let cause = format!("{}: {cause}", party.description);
                Finding::Caught { peer: party.peer, cause, is_certain: true }
            }
        }
    }

    /// By pixels of other hardware.
    fn caught_by_pixels(&self, party: &Party, cause: String) -> Finding {
        match self.caught(party, cause) {
            Finding::Caught { peer, cause, .. } => Finding::Caught { peer, cause, is_certain: false },
            other => other,
        }
    }

    /// What was delivered, against an exact tile of the same class.
    fn against_exact(&self, exact: &TracedTile) -> Finding {
        let found = deviation(exact, &self.delivered, self.coding);
        if found.is_within(self.coding) {
            return Finding::Agrees;
        }
        let plane = found.plane.map_or_else(|| "its planes".into(), |plane| format!("{plane:?}"));
        let of = format!("{} of {} pixels of {plane}", found.outside, found.pixels);
        self.caught(&self.accused, format!("what it delivered is not what it committed to: {of} differ"))
    }

    /// Decides from what is known.
    pub(crate) fn judge(&self) -> Finding {
        let Some(checker) = self.answer(Role::Checker) else { return self.ask(Role::Checker) };
        if !checker.is_consistent() {
            return self.caught(&checker.party, "it answers with a tile that its digest is not of".into());
        }
        let is_same_class = checker.party.class == self.accused.class;
        if is_same_class && checker.digest == self.commitment {
            return self.against_exact(&checker.tile);
        }
        let found = deviation(&checker.tile, &self.delivered, Tolerance::Classes);
        match (found.is_within(Tolerance::Classes), is_same_class) {
            (true, false) => return Finding::Agrees,
            (false, _) if checker.party.is_trusted => {
                let by = &checker.party.description;
                let of = format!("{} of {} pixels", found.outside, found.pixels);
                let cause = format!("{of} are not those that {by} traces");
                return match is_same_class {
                    true => self.caught(&self.accused, cause),
                    false => self.caught_by_pixels(&self.accused, cause),
                };
            }
            (_, true) if !self.is_settled(Role::Accused) => return Finding::Ask(Role::Accused),
            _ => {}
        }
        if let Some(own) = self.answer(Role::Accused)
            && (own.digest != self.commitment || !own.is_consistent())
        {
            return self.caught(&self.accused, "asked again, it does not give the tile that it committed to".into());
        }
        match self.answer(Role::Arbiter) {
            Some(arbiter) => self.arbitrate(checker, arbiter),
            None => self.ask(Role::Arbiter),
        }
    }

    /// It has answered, or will not.
    fn is_settled(&self, role: Role) -> bool {
        self.given_up.contains(&role) || self.answer(role).is_some()
    }

    fn ask(&self, role: Role) -> Finding {
        match self.is_settled(role) {
            false => Finding::Ask(role),
            true => Finding::Disputed(format!("there is no {} that answers", role.name())),
        }
    }

    fn arbitrate(&self, checker: &Answer, arbiter: &Answer) -> Finding {
        if !arbiter.is_consistent() {
            return self.caught(&arbiter.party, "it answers with a tile that its digest is not of".into());
        }
        let with = |other: &str| format!("two others agree on another tile: {other} and {}", arbiter.party.description);
        if arbiter.party.class == self.accused.class && arbiter.digest == self.commitment {
            return match self.against_exact(&arbiter.tile) {
                Finding::Agrees => self.caught(&checker.party, with(&self.accused.description)),
                other => other,
            };
        }
        if arbiter.party.class == checker.party.class && arbiter.digest == checker.digest {
            return self.caught(&self.accused, with(&checker.party.description));
        }
        let fits = |tile: &TracedTile| deviation(&arbiter.tile, tile, Tolerance::Classes).is_within(Tolerance::Classes);
        match (fits(&self.delivered), fits(&checker.tile)) {
            (true, false) => self.caught_by_pixels(&checker.party, with(&self.accused.description)),
            (false, true) => self.caught_by_pixels(&self.accused, with(&checker.party.description)),
            (true, true) => Finding::Disputed("all agree within what hardware may change, and not bit for bit".into()),
            (false, false) => Finding::Disputed("three peers trace three different tiles".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::{LayerKind, LayerPlane, Rect};

    const RECT: Rect = Rect::new(0, 0, 64, 32);
    const ACCUSED: u32 = 1;
    const CHECKER: u32 = 2;
    const ARBITER: u32 = 3;

    /// One, and its first pixels times `factor`.
    fn tile(factor: f32) -> TracedTile {
        let mut pixels = vec![[half::f16::ONE.to_bits(); 4]; RECT.pixels()];
        pixels[..200].fill([half::f16::from_f32(factor).to_bits(); 4]);
        let layer = LayerPlane { kind: LayerKind::Direct, scale: 1, rect: RECT, pixels };
        TracedTile { rect: RECT, layers: vec![layer], primary: None, block_rays: Vec::new() }
    }

    fn party(peer: u32, class: u8) -> Party {
        Party { peer: PeerId(peer), class: [class; 32], is_trusted: false, description: format!("peer {peer}") }
    }

    fn answer(role: Role, party: Party, tile: TracedTile) -> Answer {
        Answer { role, party, digest: digest(&tile), tile }
    }

    fn checked(delivered: TracedTile, committed: &TracedTile, checker: Party, checked: TracedTile) -> Case {
        Case {
            accused: party(ACCUSED, 7),
            delivered,
            coding: Tolerance::Coded,
            commitment: digest(committed),
            answers: vec![answer(Role::Checker, checker, checked)],
            asked: Vec::new(),
            given_up: Vec::new(),
        }
    }

    fn also(mut case: Case, answers: impl IntoIterator<Item = Answer>) -> Case {
        case.answers.extend(answers);
        case
    }

    fn caught(case: &Case) -> u32 {
        match case.judge() {
            Finding::Caught { peer, .. } => peer.0,
            other => panic!("{other:?}"),
        }
    }

    fn same(tile: TracedTile) -> Case {
        let committed = tile.clone();
        checked(tile, &committed, party(CHECKER, 7), self::tile(1.0))
    }

    #[test]
    fn what_fits_agrees() {
        assert_eq!(same(tile(1.0)).judge(), Finding::Agrees);
        let slightly_off = checked(tile(1.01), &tile(1.01), party(CHECKER, 8), tile(1.0));
        assert_eq!(slightly_off.judge(), Finding::Agrees, "between classes");
        let committed = tile(1.0);
        let mut coded = tile(1.0);
        coded.layers[0].pixels[0][0] += 1;
        assert_eq!(checked(coded, &committed, party(CHECKER, 7), tile(1.0)).judge(), Finding::Agrees);
    }

    #[test]
    fn who_delivers_other_pixels_than_it_committed_to_is_caught_at_once() {
        assert_eq!(caught(&checked(tile(0.5), &tile(1.0), party(CHECKER, 7), tile(1.0))), ACCUSED);
    }

    #[test]
    fn a_dispute_of_one_class_is_settled_by_what_the_accused_shows_and_by_a_third() {
        assert_eq!(same(tile(0.5)).judge(), Finding::Ask(Role::Accused));
        let shows_another = answer(Role::Accused, party(ACCUSED, 7), tile(1.0));
        assert_eq!(caught(&also(same(tile(0.5)), [shows_another])), ACCUSED);
        let shown = || also(same(tile(0.5)), [answer(Role::Accused, party(ACCUSED, 7), tile(0.5))]);
        assert_eq!(shown().judge(), Finding::Ask(Role::Arbiter));
        for class in [7, 9] {
            let third = |tile| also(shown(), [answer(Role::Arbiter, party(ARBITER, class), tile)]);
            assert_eq!(caught(&third(tile(1.0))), ACCUSED);
            assert_eq!(caught(&third(tile(0.5))), CHECKER);
            assert!(matches!(third(tile(0.1)).judge(), Finding::Disputed(_)));
        }
        // Nobody else is there.
        let mut alone = shown();
        alone.given_up.push(Role::Arbiter);
        assert!(matches!(alone.judge(), Finding::Disputed(_)));
        // An accused that does not answer gets away with nothing.
        let mut silent = same(tile(0.5));
        silent.given_up.push(Role::Accused);
        assert_eq!(caught(&also(silent, [answer(Role::Arbiter, party(ARBITER, 7), tile(1.0))])), ACCUSED);
    }

    #[test]
    fn a_liar_who_checks_is_caught_itself() {
        let mut forged = same(tile(1.0));
        forged.answers[0].digest[0] ^= 1;
        assert_eq!(caught(&forged), CHECKER);
        let honest = |checked: f32| {
            let case = also(same(tile(1.0)), []);
            let mut case = Case { answers: Vec::new(), ..case };
            case.answers.push(answer(Role::Checker, party(CHECKER, 7), tile(checked)));
            also(case, [answer(Role::Accused, party(ACCUSED, 7), tile(1.0))])
        };
        assert_eq!(caught(&also(honest(0.5), [answer(Role::Arbiter, party(ARBITER, 7), tile(1.0))])), CHECKER);
        let mut arbiter = answer(Role::Arbiter, party(ARBITER, 7), tile(0.5));
        arbiter.digest[0] ^= 1;
        assert_eq!(caught(&also(honest(0.5), [arbiter])), ARBITER);
    }

    #[test]
    fn whom_the_engine_trusts_is_believed_whatever_its_class() {
        let trusted = Party { is_trusted: true, ..party(CHECKER, 9) };
        assert_eq!(caught(&checked(tile(0.5), &tile(0.5), trusted.clone(), tile(1.0))), ACCUSED);
        let ordinary = checked(tile(0.5), &tile(0.5), party(CHECKER, 9), tile(1.0));
        assert_eq!(ordinary.judge(), Finding::Ask(Role::Arbiter));
        let akin = Party { class: [7; 32], ..trusted.clone() };
        assert_eq!(caught(&checked(tile(0.5), &tile(0.5), akin, tile(1.0))), ACCUSED);
        let mut forged = checked(tile(1.0), &tile(1.0), trusted, tile(1.0));
        forged.answers[0].digest[0] ^= 1;
        assert!(matches!(forged.judge(), Finding::Disputed(_)), "and never caught");
    }
}
