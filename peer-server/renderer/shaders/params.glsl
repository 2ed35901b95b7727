// What every shader reaches: the parameter block behind one address, and how values are packed.
// Mirrored by src/layout.rs; a unit test there holds the sizes.

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, std430, buffer_reference_align = 4) restrict buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) restrict readonly buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) restrict readonly buffer Pairs { vec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) restrict buffer Halves { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quads { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Vectors { vec4 v[]; };

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Params {
    uint64_t tlas;
    uint64_t instances;
    uint64_t materials;
    uint64_t textures;
    uint64_t lights;
    uint64_t tables;
    // Planes of primary hits over `rect`.
    uint64_t depth;
    uint64_t normal;
    uint64_t base_color;
    uint64_t material;
    uint64_t motion;
    uint64_t instance_id;
    uint64_t geometric_normal;
    uint64_t unlit; // 0: not wanted
    uint64_t block_rays;
    uint punctual_end; // lights before this one have no area; directional ones come first, luminous triangles last
    float depth_error; // of planes that the engine gave, as a share of depth; 0 where primary rays were traced
    uint64_t light_tree; // over all lights but directional ones (light_tree.glsl)
    float sun_luminance; // irradiance of all directional lights together
    uint tree_lights; // lights in the tree
    uvec4 rect;   // x, y, width, height in pixels, even on the left and top: whole 2x2 blocks
    uvec4 view;   // width, height, frame id (low 32 bits), directional lights
    uvec4 blocks; // first 16x16 block x, y, blocks a row, all lights
    vec4 ray_origin; // xyz; w: radius of a pixel's cone at depth 1
    vec4 ray_base;   // direction (depth 1) through the view's corner, jitter included; w: pre-exposure
    vec4 ray_dx;     // its change per pixel
    vec4 ray_dy;
    vec4 previous_position;
    vec4 previous_right; // xyz; w: tan of half the horizontal field of view
    vec4 previous_up;    // xyz; w: the vertical one
    vec4 previous_back;  // xyz
    vec4 previous_lens;  // xy: centre in NDC; zw: this frame's jitter in pixels
    vec4 zenith;
    vec4 horizon;
    vec4 ground;
};

layout(push_constant) uniform Push {
    uint64_t params;
    uint64_t target; // the layer that this dispatch writes, four halves a pixel
    uint64_t source; // what a filter pass reads
    uint samples;
    uint scale;
    uint sample_offset_x; // which pixel of a scale x scale block is shaded
    uint sample_offset_y;
    uint radius; // of a filter pass, in the layer's pixels
    uint axis;   // of a filter pass: 0 horizontal, 1 vertical
    uint kind;   // of a filtered layer: 1 specular, 2 indirect
    uint bounces; // of a path, after the camera's surface
} push;

// Largest finite half float.
const float HALF_MAX = 65504.0;

// Light as layers hold it; alpha is none.
vec4 pre_exposed(Params p, vec4 light) {
    return vec4(light.rgb * p.ray_base.w, light.a);
}

uvec2 pack_layer(vec4 value) {
    // Written so that NaN becomes 0.
    vec4 v = mix(vec4(0.0), min(value, vec4(HALF_MAX)), greaterThan(value, vec4(0.0)));
    return uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw));
}

vec4 unpack_layer(uvec2 value) {
    return vec4(unpackHalf2x16(value.x), unpackHalf2x16(value.y));
}

vec2 octahedral_sign(vec2 v) {
    return mix(vec2(-1.0), vec2(1.0), greaterThanEqual(v, vec2(0.0)));
}

uint encode_normal(vec3 n) {
    vec2 v = n.xy / (abs(n.x) + abs(n.y) + abs(n.z));
    if (n.z < 0.0) {
        v = (1.0 - abs(v.yx)) * octahedral_sign(v);
    }
    return packSnorm2x16(v);
}

vec3 decode_normal(uint packed) {
    vec2 v = unpackSnorm2x16(packed);
    float z = 1.0 - abs(v.x) - abs(v.y);
    v -= max(-z, 0.0) * octahedral_sign(v);
    return normalize(vec3(v, z));
}
