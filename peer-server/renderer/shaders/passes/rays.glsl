// Traces stored rays and stores what they hit: the front end alone, without shading.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../params.glsl"
#include "../invocation.glsl"
#include "../material.glsl"
#include "../front_end.glsl"

const uint OCCLUSION = 1u;

void main() {
    Params p = Params(push.params);
    uint i = invocation_index();
    bool wanted = i < push.samples;
    vec4 start = Vectors(push.source).v[wanted ? i * 2u : 0u];      // origin, t_min
    vec4 direction = Vectors(push.source).v[wanted ? i * 2u + 1u : 1u]; // direction, t_max
    float t_max = wanted ? direction.w : -1.0;
    Hit hit = Hit(0.0, 0u, 0u, vec2(0.0));
    bool found;
    if (push.kind == OCCLUSION) {
        found = occluded(p.tlas, start.xyz, direction.xyz, start.w, t_max);
    } else {
        found = closest(p.tlas, start.xyz, direction.xyz, start.w, t_max, hit);
    }
    if (wanted) {
        Halves hits = Halves(push.target);
        hits.v[i * 3u] = uvec2(found ? floatBitsToUint(hit.t) : 0xffffffffu, hit.instance);
        hits.v[i * 3u + 1u] = uvec2(hit.primitive, floatBitsToUint(hit.barycentrics.x));
        hits.v[i * 3u + 2u] = uvec2(floatBitsToUint(hit.barycentrics.y), 0u);
    }
}
