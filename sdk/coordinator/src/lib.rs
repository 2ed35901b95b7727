//! Decisions: how a frame is cut, who traces what, when a peer counts as lost. A sans-IO state machine in the manner of
//! quinn-proto: events and `now` in, actions out.
//!
//! **The tiles of a plan cover the view exactly and without overlap, and every frame that begins ends**: by
//! [`Action::FrameComplete`] or, at its deadline at the latest, by [`Action::FrameExpired`]. Nothing a peer reports, and
//! no clock, can break that; there is no socket, no thread, no clock and no unseeded randomness in here, so the same
//! events always give the same actions. `docs/coordinator.md` has the whole on one page.
//!
//! ```
//! use rayloom_coordinator::{Action, Config, Coordinator, FrameRequest, PeerId, PeerPrior, Time};
//! use rayloom_frame::Extent;
//!
//! let mut coordinator = Coordinator::new(Config::default());
//! coordinator.peer_joined(PeerId(1), PeerPrior::default(), Time(0));
//! coordinator.peer_ready(PeerId(1), 7, 1, Time(1_000));
//! let plan = coordinator.begin_frame(
//!     FrameRequest {
//!         frame_id: 1,
//!         scene: 7,
//!         revision: 1,
//!         extent: Extent::new(256, 144),
//!         ghost_px: 8,
//!         deadline: Time(100_000_000),
//!         ..FrameRequest::default()
//!     },
//!     Time(2_000),
//! );
//! assert_eq!(plan.tiles.iter().map(|tile| tile.rect.pixels()).sum::<usize>(), 256 * 144);
//! assert!(matches!(coordinator.poll_action(), Some(Action::PeerChanged(_))), "peer 1 is ready");
//! assert!(matches!(coordinator.poll_action(), Some(Action::Assign { peer: PeerId(1), .. })));
//! ```
#![forbid(unsafe_code)]

mod action;
mod blame;
mod camera;
mod config;
mod constraints;
mod coordinator;
mod event;
mod faults;
mod filling;
mod flight;
mod foresight;
mod layout;
mod least_squares;
mod link;
mod membership;
mod model;
mod passed;
mod peer;
mod planning;
mod quality;
mod share;
#[cfg(feature = "sim")]
pub mod sim;
mod speed;
mod split;
mod standing;
mod time;
mod turns;
mod work_map;
mod work_sum;

pub use action::{Action, FramePlan, PeerView, PlannedTile, TileAssignment};
pub use camera::{CameraErrors, CameraModel, CameraPredictor, Guess, MAX_AHEAD, Observation, displacement_px, is_near};
pub use config::Config;
pub use constraints::{Constraints, ExpiryCause, PeerTraits, Requirement};
pub use coordinator::Coordinator;
pub use event::{CostMap, FrameRequest, GROUPS, PeerId, PeerPrior, TaskId, TileReport};
pub use foresight::Foresight;
pub use model::CostModelView;
pub use quality::Lowering;
pub use standing::{ChangeCause, Flaw, PeerChange, PeerState, Refusal};
pub use time::Time;
