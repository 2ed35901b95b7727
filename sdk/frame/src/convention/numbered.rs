//! The choices that a convention has, each with the number and the name that C uses for it.

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal, $constant:literal;)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The one with this number, if there is one.
            pub const fn from_u32(number: u32) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// Its name in `rayloom.h`.
            pub const fn constant(self) -> &'static str {
                match self {
                    $($name::$variant => $constant,)+
                }
            }
        }
    )+};
}

numbered! {
    /// Which axis of the world points up.
    UpAxis {
        /// +Y: glTF, Unity, Maya.
        Y = 0, "RAYLOOM_UP_Y";
        /// +Z: Unreal, Blender, CAD.
        Z = 1, "RAYLOOM_UP_Z";
    }

    /// Whether x, y, z are thumb, index and middle finger of the right or of the left hand.
    Handedness {
        /// glTF, OpenGL, Blender.
        Right = 0, "RAYLOOM_HANDEDNESS_RIGHT";
        /// Unreal, Unity, Direct3D.
        Left = 1, "RAYLOOM_HANDEDNESS_LEFT";
    }

    /// Which axes of camera space point right, up and forward.
    CameraAxes {
        /// Right +X, up +Y, forward -Z: glTF, OpenGL, Blender, Unity's `cameraToWorldMatrix`.
        BackZ = 0, "RAYLOOM_CAMERA_BACK_Z";
        /// Right +X, up +Y, forward +Z: Direct3D, Unity's transforms.
        ForwardZ = 1, "RAYLOOM_CAMERA_FORWARD_Z";
        /// Right +Y, up +Z, forward +X: Unreal's transforms.
        ForwardX = 2, "RAYLOOM_CAMERA_FORWARD_X";
        /// Right +X, up -Y, forward +Z: OpenCV.
        ForwardZDownY = 3, "RAYLOOM_CAMERA_FORWARD_Z_DOWN_Y";
    }

    /// How the 16 floats of a matrix lie in memory.
    MatrixStorage {
        /// Column after column: glTF, OpenGL, Unity.
        ColumnMajor = 0, "RAYLOOM_MATRIX_COLUMN_MAJOR";
        /// Row after row: Unreal, Direct3D.
        RowMajor = 1, "RAYLOOM_MATRIX_ROW_MAJOR";
    }

    /// On which side of a matrix vectors stand.
    VectorSide {
        /// `matrix * vector`, the translation in the last column: glTF, OpenGL, Unity.
        Column = 0, "RAYLOOM_VECTOR_COLUMN";
        /// `vector * matrix`, the translation in the last row: Unreal, DirectXMath.
        Row = 1, "RAYLOOM_VECTOR_ROW";
    }

    /// In which order the corners of a triangle that faces the viewer are seen.
    Winding {
        /// glTF, OpenGL, Unreal.
        CounterClockwise = 0, "RAYLOOM_WINDING_COUNTER_CLOCKWISE";
        /// Unity.
        Clockwise = 1, "RAYLOOM_WINDING_CLOCKWISE";
    }

    /// Where texture coordinates (0, 0) are.
    UvOrigin {
        /// Top left, v grows downwards: glTF, Unreal, Direct3D, Vulkan.
        TopLeft = 0, "RAYLOOM_UV_TOP_LEFT";
        /// Bottom left, v grows upwards: Unity, OpenGL, Blender.
        BottomLeft = 1, "RAYLOOM_UV_BOTTOM_LEFT";
    }

    /// Where the green channel of normal maps points in the texture.
    NormalMapGreen {
        /// Up ("OpenGL"): glTF, Unity, Blender.
        Up = 0, "RAYLOOM_NORMAL_MAP_GREEN_UP";
        /// Down ("DirectX"): Unreal.
        Down = 1, "RAYLOOM_NORMAL_MAP_GREEN_DOWN";
    }

    /// Space of the normals in a G-buffer.
    NormalSpace {
        /// The world's.
        World = 0, "RAYLOOM_NORMAL_WORLD";
        /// The camera's, with the convention's camera axes.
        View = 1, "RAYLOOM_NORMAL_VIEW";
    }

    /// How normals are stored in a G-buffer.
    NormalEncoding {
        /// x, y, z as they are, in a signed format.
        Signed = 0, "RAYLOOM_NORMAL_SIGNED";
        /// x, y, z * 0.5 + 0.5.
        Biased = 1, "RAYLOOM_NORMAL_BIASED";
        /// Octahedral in the first two channels; formats without sign hold * 0.5 + 0.5. Formats of two channels always are.
        Octahedral = 2, "RAYLOOM_NORMAL_OCTAHEDRAL";
    }

    /// How depth is stored in a G-buffer.
    DepthEncoding {
        /// Distance along the view axis in units; what is not finite or not above 0 is sky.
        Linear = 0, "RAYLOOM_DEPTH_LINEAR";
        /// 0 at the near plane, 1 at the far plane (sky).
        Forward = 1, "RAYLOOM_DEPTH_FORWARD";
        /// 1 at the near plane, 0 at the far plane (sky).
        Reversed = 2, "RAYLOOM_DEPTH_REVERSED";
        /// 0 at the near plane, 1 at infinity (sky).
        ForwardInfinite = 3, "RAYLOOM_DEPTH_FORWARD_INFINITE";
        /// 1 at the near plane, 0 at infinity (sky).
        ReversedInfinite = 4, "RAYLOOM_DEPTH_REVERSED_INFINITE";
        /// -1 at the near plane, 1 at the far plane (sky): OpenGL's device coordinates. OpenGL's depth buffers are `Forward`.
        ForwardSigned = 5, "RAYLOOM_DEPTH_FORWARD_SIGNED";
    }

    /// How motion is stored in a G-buffer.
    MotionEncoding {
        /// x, y as they are.
        Plain = 0, "RAYLOOM_MOTION_PLAIN";
        /// x, y * 0.5 + 0.5.
        Biased = 1, "RAYLOOM_MOTION_BIASED";
        /// Unreal Engine 4's `EncodeVelocityToTexture`: v * 0.2495 + 32767 / 65535.
        Unreal4 = 2, "RAYLOOM_MOTION_UNREAL4";
        /// Unreal Engine 5's, of sign(v) * sqrt(2 |v|) (`VELOCITY_ENCODE_GAMMA`).
        Unreal5 = 3, "RAYLOOM_MOTION_UNREAL5";
    }

    /// Unit of motion.
    MotionUnit {
        /// Pixels.
        Pixels = 0, "RAYLOOM_MOTION_PIXELS";
        /// Shares of the view's width and height.
        TextureCoordinates = 1, "RAYLOOM_MOTION_UV";
        /// Shares of half of the view's width and height.
        NormalizedDevice = 2, "RAYLOOM_MOTION_NDC";
    }

    /// From where to where motion points.
    MotionDirection {
        /// Where a surface was minus where it is.
        PreviousMinusCurrent = 0, "RAYLOOM_MOTION_PREVIOUS_MINUS_CURRENT";
        /// Where a surface is minus where it was.
        CurrentMinusPrevious = 1, "RAYLOOM_MOTION_CURRENT_MINUS_PREVIOUS";
    }

    /// Which way positive motion is.
    MotionY {
        /// Down the screen.
        Down = 0, "RAYLOOM_MOTION_Y_DOWN";
        /// Up the screen.
        Up = 1, "RAYLOOM_MOTION_Y_UP";
    }

    /// Whether the cameras' jitter is part of motion.
    MotionJitter {
        /// It was taken out.
        Excluded = 0, "RAYLOOM_MOTION_JITTER_EXCLUDED";
        /// Positions were projected by jittered cameras.
        Included = 1, "RAYLOOM_MOTION_JITTER_INCLUDED";
    }

    /// Whether the camera's own motion is part of motion.
    MotionContent {
        /// All motion on the screen.
        CameraAndObjects = 0, "RAYLOOM_MOTION_CAMERA_AND_OBJECTS";
        /// What is left without the camera's.
        ObjectsOnly = 1, "RAYLOOM_MOTION_OBJECTS_ONLY";
    }

    /// What the roughness channel holds.
    RoughnessKind {
        /// Perceptual roughness (glTF's).
        Roughness = 0, "RAYLOOM_ROUGHNESS";
        /// 1 - roughness.
        Smoothness = 1, "RAYLOOM_SMOOTHNESS";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_others_are_none() {
        for (number, encoding) in DepthEncoding::ALL.iter().enumerate() {
            assert_eq!(DepthEncoding::from_u32(number as u32), Some(*encoding));
        }
        assert_eq!(DepthEncoding::from_u32(DepthEncoding::ALL.len() as u32), None);
    }
}
