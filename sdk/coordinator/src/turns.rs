//! In what order a peer is at its tiles: as they came, but that one overtakes those that are due clearly later.

use crate::coordinator::Coordinator;
use crate::flight::Task;
use crate::{PeerId, TaskId, Time};
use rayloom_wire::OVERTAKES_BY;
use std::collections::BTreeMap;
use std::time::Duration;

impl Coordinator {
    /// A peer's tiles that it has not answered, in the order in which it is at them.
    pub(crate) fn outstanding(&self, peer: PeerId) -> impl Iterator<Item = (TaskId, &Task)> {
        let queue = self.peers.get(&peer).into_iter().flat_map(|peer| &peer.queue);
        queue.filter_map(|id| Some((*id, self.tasks.get(id).filter(|task| task.is_outstanding())?)))
    }

    /// Predicted time until each peer is through with what it has and would not put off for a tile that is due then.
    pub(crate) fn queues(&self, due: Time) -> BTreeMap<PeerId, f64> {
        let queue_ns = |peer: &PeerId| Some((*peer, self.queue_ns(*peer, due)?));
        self.peers.keys().filter_map(queue_ns).collect()
    }

    fn queue_ns(&self, peer: PeerId, due: Time) -> Option<f64> {
        let known = self.peers.get(&peer)?;
        let before = self.place(peer, due);
        let queue = self.outstanding(peer).take(before).map(|(_, task)| task);
        // The first is what it works on.
        queue.fold(None, |queue, task| {
            Some(queue.map_or_else(|| known.remaining_ns(task, self.now), |queue| queue + task.stage_ns()))
        })
    }

    /// How many of a peer's tiles come before one that is due then. Its first has begun.
    fn place(&self, peer: PeerId, due: Time) -> usize {
        let turns: Vec<Time> = self.outstanding(peer).map(|(_, task)| task.turn).collect();
        let overtaken = turns.iter().skip(1).rev().take_while(|turn| **turn > due + OVERTAKES_BY).count();
        turns.len() - overtaken
    }

    /// Puts a task into its peer's queue. What it overtakes comes later by as much as it takes; a peer that traces two tiles at a time
    /// may have begun one of them.
    pub(crate) fn queue_up(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (peer, stage) = (task.peer, Duration::from_nanos(task.stage_ns() as u64));
        let place = self.place(peer, task.turn);
        let mut queue: Vec<TaskId> = self.outstanding(peer).map(|(id, _)| id).collect();
        let mut begun_ns = 0.0_f64;
        for overtaken in &queue[place..] {
            let Some(task) = self.tasks.get_mut(overtaken) else { continue };
            begun_ns = begun_ns.max(task.stage_ns());
            task.comes_later(stage);
        }
        if let Some(task) = self.tasks.get_mut(&id) {
            task.behind_ns = begun_ns;
            task.comes_later(Duration::from_nanos(begun_ns as u64));
        }
        queue.insert(place, id);
        if let Some(peer) = self.peers.get_mut(&peer) {
            // Those that are no longer in it go on this occasion.
            peer.queue = queue;
        }
    }
}
