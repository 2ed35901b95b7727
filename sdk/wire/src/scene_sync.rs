//! How a peer comes to hold a scene: an offer, the blobs that it lacks, and small changes from frame to frame.

use crate::cursor::{Reader, Writer, bounded, out_of_range, unknown};
use crate::{WireError, limits, pose};
use bytes::Bytes;
use glam::Affine3A;
use rayloom_scene::{Light, Pose};

/// Engine to peer: a scene revision whose root blob has this name. The peer answers with [`BlobNeed`] and [`SceneStatus`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SceneOffer {
    /// The session's number for the scene.
    pub scene: u32,
    /// Its revision.
    pub revision: u64,
    /// BLAKE3 of the root blob.
    pub root: [u8; 32],
    /// Bytes of the root blob.
    pub root_bytes: u64,
}

/// Peer to engine: blobs that it lacks, each with the offset from which to (re)start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobNeed {
    /// BLAKE3 of each, and how many of its bytes the peer has.
    pub blobs: Vec<([u8; 32], u64)>,
}

/// Engine to peer: a piece of a blob. Pieces of one blob come in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPart {
    /// BLAKE3 of the whole blob.
    pub id: [u8; 32],
    /// Bytes of the whole blob.
    pub total_bytes: u64,
    /// Where this piece begins.
    pub offset: u64,
    /// The piece.
    pub data: Bytes,
}

/// How far a peer is with a scene revision.
#[derive(Clone, Debug, PartialEq)]
pub enum SceneStage {
    /// Receiving blobs: bytes had, bytes needed in all (what the peer kept from before counts as had).
    Receiving {
        /// Bytes had.
        have: u64,
        /// Bytes needed in all.
        total: u64,
    },
    /// Building acceleration structures and uploading to the device.
    Building {
        /// Done, in [0, 1].
        fraction: f32,
    },
    /// Tasks for this revision are accepted.
    Ready,
    /// It can't be traced here; the last ready revision stays.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

/// Peer to engine: progress of a scene revision.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneStatus {
    /// The scene.
    pub scene: u32,
    /// The revision.
    pub revision: u64,
    /// How far it is.
    pub stage: SceneStage,
}

/// What moved between a base revision (offered with its blobs) and the frame's; always against the base, so that no
/// delta depends on another one.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StateDelta {
    /// Instance index and its transform.
    pub transforms: Vec<(u32, Affine3A)>,
    /// Light index and the light; user ids are not sent (they read as 0).
    pub lights: Vec<(u32, Light)>,
    /// Poses of instances that are shaped otherwise. Turns of joints are rounded (within 1e-4 radians) on the way.
    pub poses: Vec<Pose>,
}

impl SceneOffer {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u32(self.scene);
        w.u64(self.revision);
        w.raw(&self.root);
        w.u64(self.root_bytes);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<SceneOffer, WireError> {
        Ok(SceneOffer {
            scene: r.u32("offer.scene")?,
            revision: r.u64("offer.revision")?,
            root: r.hash("offer.root")?,
            root_bytes: blob_bytes("offer.root_bytes", r.u64("offer.root_bytes")?)?,
        })
    }
}

impl BlobNeed {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.count(self.blobs.len());
        for (id, have) in &self.blobs {
            w.raw(id);
            w.u64(*have);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<BlobNeed, WireError> {
        let count = r.count("need.blobs", limits::BLOBS_PER_NEED, 40)?;
        let mut blobs = Vec::with_capacity(count);
        for _ in 0..count {
            blobs.push((r.hash("need.id")?, r.u64("need.have")?));
        }
        Ok(BlobNeed { blobs })
    }
}

impl BlobPart {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.raw(&self.id);
        w.u64(self.total_bytes);
        w.u64(self.offset);
        w.raw(&self.data);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<BlobPart, WireError> {
        let id = r.hash("part.id")?;
        let total_bytes = blob_bytes("part.total_bytes", r.u64("part.total_bytes")?)?;
        let offset = r.u64("part.offset")?;
        let data = r.rest("part.data", limits::BLOB_PART_BYTES)?;
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > total_bytes) {
            return Err(out_of_range("part.offset", offset, format!("within {total_bytes} bytes")));
        }
        Ok(BlobPart { id, total_bytes, offset, data })
    }
}

impl SceneStatus {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u32(self.scene);
        w.u64(self.revision);
        match &self.stage {
            SceneStage::Receiving { have, total } => {
                w.u8(0);
                w.u64(*have);
                w.u64(*total);
            }
            SceneStage::Building { fraction } => {
                w.u8(1);
                w.f32(*fraction);
            }
            SceneStage::Ready => w.u8(2),
            SceneStage::Failed { reason } => {
                w.u8(3);
                w.text(reason);
            }
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<SceneStatus, WireError> {
        let (scene, revision) = (r.u32("status.scene")?, r.u64("status.revision")?);
        let stage = match r.u8("status.stage")? {
            0 => SceneStage::Receiving { have: r.u64("status.have")?, total: r.u64("status.total")? },
            1 => SceneStage::Building { fraction: r.finite("status.fraction")?.clamp(0.0, 1.0) },
            2 => SceneStage::Ready,
            3 => SceneStage::Failed { reason: r.text("status.reason")? },
            value => return Err(unknown("scene stage", value)),
        };
        Ok(SceneStatus { scene, revision, stage })
    }
}

impl StateDelta {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.count(self.transforms.len());
        for (instance, transform) in &self.transforms {
            w.u32(*instance);
            w.transform(transform);
        }
        w.count(self.lights.len());
        for (index, light) in &self.lights {
            w.u32(*index);
            w.light(light);
        }
        w.count(self.poses.len());
        self.poses.iter().for_each(|p| pose::write(w, p));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<StateDelta, WireError> {
        let count = r.count("delta.transforms", limits::TRANSFORMS_PER_DELTA, 52)?;
        let mut transforms = Vec::with_capacity(count);
        for _ in 0..count {
            transforms.push((r.u32("delta.instance")?, r.transform("delta.transform")?));
        }
        let count = r.count("delta.lights", limits::LIGHTS_PER_DELTA, 25)?;
        let mut lights = Vec::with_capacity(count);
        for _ in 0..count {
            lights.push((r.u32("delta.light")?, r.light("delta.light")?));
        }
        let count = r.count("delta.poses", limits::POSES_PER_DELTA, 9)?;
        let poses = (0..count).map(|_| pose::read(r)).collect::<Result<Vec<_>, _>>()?;
        Ok(StateDelta { transforms, lights, poses })
    }
}

fn blob_bytes(field: &'static str, bytes: u64) -> Result<u64, WireError> {
    bounded(field, usize::try_from(bytes).unwrap_or(usize::MAX), limits::BLOB_BYTES as usize)?;
    Ok(bytes)
}
