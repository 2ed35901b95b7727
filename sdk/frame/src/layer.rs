//! The layers that peers trace (signals, not colours) and the planes that slices carry.

/// A lighting layer: scene-linear, demodulated, four half floats a pixel.
///
/// With `albedo_divisor = max(diffuse albedo, 1/255)` and `specular_divisor` the preintegrated F0*A+B (see
/// [`crate::demodulate`]), the picture is
/// `(Direct + Indirect) * albedo_divisor + Specular * specular_divisor + Unlit + Path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum LayerKind {
    /// Diffuse light from lights and sun with shadow rays, divided by the albedo divisor. Alpha: 1 on surfaces, 0 on sky.
    Direct = 0,
    /// Specular highlights and reflections, divided by the specular divisor. Alpha: hit distance in metres (65504 = sky).
    Specular = 1,
    /// Diffuse global illumination and sky light, divided by the albedo divisor. Alpha: hit distance in metres.
    Indirect = 2,
    /// Emissive surfaces, what is seen through glass and blended surfaces, and the sky; not divided. Alpha: 1 on surfaces, 0 on sky.
    Unlit = 3,
    /// All light of the pixel by unbiased paths, not divided: the picture itself, asked for instead of the others. Alpha: the
    /// share of samples that met a surface.
    Path = 4,
}

impl LayerKind {
    /// All layers, in the order of their numbers.
    pub const ALL: [LayerKind; 5] =
        [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect, LayerKind::Unlit, LayerKind::Path];

    /// Those that make a real-time picture together.
    pub const REAL_TIME: [LayerKind; 4] =
        [LayerKind::Direct, LayerKind::Specular, LayerKind::Indirect, LayerKind::Unlit];

    /// The layer with this number, if it is known.
    pub const fn from_u8(value: u8) -> Option<LayerKind> {
        match value {
            0 => Some(LayerKind::Direct),
            1 => Some(LayerKind::Specular),
            2 => Some(LayerKind::Indirect),
            3 => Some(LayerKind::Unlit),
            4 => Some(LayerKind::Path),
            _ => None,
        }
    }

    /// Its name in messages to people.
    pub const fn name(self) -> &'static str {
        match self {
            LayerKind::Direct => "direct",
            LayerKind::Specular => "specular",
            LayerKind::Indirect => "indirect",
            LayerKind::Unlit => "unlit",
            LayerKind::Path => "path",
        }
    }
}

/// What to trace of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LayerRequest {
    /// Which layer.
    pub kind: LayerKind,
    /// Samples a traced pixel, 1 to 64.
    pub samples: u8,
    /// One traced pixel per `scale` x `scale` block: 1 or 2.
    pub scale: u8,
    /// Surfaces after the camera's at which light is gathered, 0 to 64; one ray more finds what its direction sees. Walks of
    /// the real-time layers end by chance once they can bring little more. Direct light has no bounces.
    pub bounces: u8,
}

impl LayerRequest {
    /// Bounces where nothing else is asked for.
    pub const BOUNCES: u8 = 4;

    /// One sample in every pixel.
    pub const fn new(kind: LayerKind) -> LayerRequest {
        LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES }
    }
}

/// A plane of a traced tile: a layer, or what the primary rays hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PlaneKind {
    /// Four half floats a pixel.
    Layer(LayerKind),
    /// f32: planar distance along the view axis in metres, [`crate::SKY_DEPTH`] on sky.
    Depth,
    /// u32: octahedral shading normal in world space, two 16-bit snorm (x low).
    Normal,
    /// u32: base colour, R in the lowest byte, sRGB-encoded; the highest byte is alpha.
    BaseColor,
    /// u32: roughness (lowest byte), metalness, zero, flags (bit 0: hit by a primary ray).
    Material,
    /// u32: two half floats: where this surface was in the previous frame minus where it is now, in pixels (+x right, +y down), jitter excluded.
    Motion,
    /// u32: index of the instance + 1; 0 on sky.
    InstanceId,
    /// u32: octahedral normal of the triangle in world space, as [`PlaneKind::Normal`]. From engines to peers only.
    GeometricNormal,
    /// u32: emitted light as RGB9E5, scene-linear. From engines to peers only.
    Emissive,
}

impl PlaneKind {
    /// The planes of primary hits, in the order in which they are sent.
    pub const PRIMARY: [PlaneKind; 6] = [
        PlaneKind::Depth,
        PlaneKind::Normal,
        PlaneKind::BaseColor,
        PlaneKind::Material,
        PlaneKind::Motion,
        PlaneKind::InstanceId,
    ];

    /// Number on the wire: layers 0..16, primary planes from 16.
    pub const fn to_u8(self) -> u8 {
        match self {
            PlaneKind::Layer(kind) => kind as u8,
            PlaneKind::Depth => 16,
            PlaneKind::Normal => 17,
            PlaneKind::BaseColor => 18,
            PlaneKind::Material => 19,
            PlaneKind::Motion => 20,
            PlaneKind::InstanceId => 21,
            PlaneKind::GeometricNormal => 22,
            PlaneKind::Emissive => 23,
        }
    }

    /// The plane with this number, if it is known.
    pub const fn from_u8(value: u8) -> Option<PlaneKind> {
        match value {
            16 => Some(PlaneKind::Depth),
            17 => Some(PlaneKind::Normal),
            18 => Some(PlaneKind::BaseColor),
            19 => Some(PlaneKind::Material),
            20 => Some(PlaneKind::Motion),
            21 => Some(PlaneKind::InstanceId),
            22 => Some(PlaneKind::GeometricNormal),
            23 => Some(PlaneKind::Emissive),
            n => match LayerKind::from_u8(n) {
                Some(kind) => Some(PlaneKind::Layer(kind)),
                None => None,
            },
        }
    }

    /// Bytes of one uncoded pixel.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            PlaneKind::Layer(_) => 8,
            _ => 4,
        }
    }
}
