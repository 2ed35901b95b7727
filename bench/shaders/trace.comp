// Traces stored rays and stores their hits: traversal alone, without shading.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_GOOGLE_include_directive : require

layout(local_size_x = 64) in;
layout(constant_id = 0) const bool ANY_HIT = false;

bool accept_hit(uint instance, uint primitive, vec2 barycentrics) {
    return true;
}

#include "traverse.glsl"

struct StoredRay {
    vec3 origin;
    float t_min;
    vec3 direction;
    float t_max;
};
layout(buffer_reference, buffer_reference_align = 16, scalar) readonly buffer Rays { StoredRay at[]; };
layout(buffer_reference, buffer_reference_align = 16, scalar) writeonly buffer Hits { uvec4 at[]; };

layout(push_constant, scalar) uniform Push {
    uint64_t tlas;
    Rays rays;
    Hits hits;
    uint count;
} push;

void main() {
    uint i = gl_GlobalInvocationID.x;
    bool has_ray = i < push.count;
    StoredRay ray = push.rays.at[has_ray ? i : 0u];
    float t_max = has_ray ? ray.t_max : -1.0;
    uvec4 result;
    if (ANY_HIT) {
        result = uvec4(occluded(push.tlas, ray.origin, ray.direction, ray.t_min, t_max) ? 1u : 0u, 0u, 0u, 0u);
    } else {
        Hit hit;
        bool found = closest(push.tlas, ray.origin, ray.direction, ray.t_min, t_max, hit);
        result = uvec4(found ? 1u : 0u, floatBitsToUint(hit.t), hit.instance, hit.primitive);
    }
    if (has_ray) {
        push.hits.at[i] = result;
    }
}
