// What all stages reach by address, and how values are packed. Mirrored by src/layout.rs; a unit test there holds the sizes.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require

// Axes are those of the cameras in world space, unit length; pixels have y down, NDC has y up.
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Frame {
    vec4 right; // xyz; w: tan of half the horizontal field of view
    vec4 up;    // xyz; w: the vertical one
    vec4 back;  // xyz; w: distance of the near plane
    vec4 lens;  // xy: centre in NDC; zw: jitter in pixels
    vec4 previous_right;
    vec4 previous_up;
    vec4 previous_back;
    vec4 previous_lens; // xy: centre in NDC
    vec4 extent;        // xy: pixels; z: radius of a pixel's cone at depth 1
};

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Vectors { vec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Mixes { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) restrict readonly buffer Joints { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer Floats { float v[]; };

// What brings an instance's vertices into the shape of its pose, now and in the frame before.
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Deformation {
    Vectors weights;          // of joints, four a vertex
    Joints joints;            // four of 16 bits a vertex
    Floats targets;           // nine a vertex and target: what it adds to position, normal, tangent
    Vectors palette;          // three rows a joint
    Vectors previous_palette;
    Mixes mixes;              // a target's index, its weight now and in the frame before
    int vertex_offset;        // of the mesh's first vertex among all
    uint vertex_count;
    uint mix_count;
    uint has_joints;
};

// Rows of object-to-world; translations are relative to the camera, so that large worlds keep their precision.
struct Instance {
    vec4 row0, row1, row2;
    vec4 previous0, previous1, previous2; // relative to the previous camera
    uint id;                              // index in the scene + 1
    uint deforms;                         // 1: its vertices are posed
    Deformation deformation;
};
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Instances { Instance v[]; };

const uint TRANSFORMED = 1u; // some slot transforms its texture coordinates
const uint COVERING = 2u; // alpha is a share of the surface
const uint NO_TEXTURE = 0xffffffffu;
// Slots: 0 base colour, 1 metalness-roughness, 2 normal, 3 emissive.
struct Material {
    vec4 base;              // linear, alpha
    vec4 emissive_metallic;
    float roughness, normal_scale, cutoff;
    uint flags;
    uvec4 textures;
    vec4 rotation_scale[4];
    vec2 offsets[4];
};
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Materials { Material v[]; };

layout(push_constant) uniform Push {
    Frame frame;
    Instances instances;
    Materials materials;
    uint material;
} push;

// Largest finite half float.
const float HALF_MAX = 65504.0;

// Where `was`, an offset from the previous camera along its axes, was seen, less where this fragment is, in pixels. Both are
// free of jitter.
vec2 motion(Frame f, vec3 was) {
    if (was.z >= 0.0) {
        // It was behind the previous camera: further off than any history reaches.
        return vec2(HALF_MAX);
    }
    vec2 ndc = was.xy / (-was.z * vec2(f.previous_right.w, f.previous_up.w)) + f.previous_lens.xy;
    vec2 then = vec2(ndc.x * 0.5 + 0.5, 0.5 - ndc.y * 0.5) * f.extent.xy;
    return clamp(then - (gl_FragCoord.xy + f.lens.zw), -HALF_MAX, HALF_MAX);
}
