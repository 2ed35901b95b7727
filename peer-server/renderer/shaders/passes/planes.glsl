// Instead of primary rays: takes the planes of the engine's own G-buffer, and makes the unlit layer of what they say.
// push.source: depth, normal, base colour, material, then what push.kind announces, each over the whole of `rect`.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../params.glsl"
#include "../invocation.glsl"
#include "../environment.glsl"

const uint GEOMETRIC_NORMAL = 1u;
const uint EMISSIVE = 2u;

vec3 rgb9e5(uint packed) {
    float scale = exp2(float(packed >> 27u) - 24.0);
    return vec3(packed & 511u, (packed >> 9u) & 511u, (packed >> 18u) & 511u) * scale;
}

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    if (!inside(pixel, p.rect)) {
        return;
    }
    uint i = plane_index(p, pixel);
    uint pixels = p.rect.z * p.rect.w;
    Words given = Words(push.source);
    uint next = 4u * pixels + i;
    uint normal = given.v[pixels + i];
    uint geometric = normal;
    if ((push.kind & GEOMETRIC_NORMAL) != 0u) {
        geometric = given.v[next];
        next += pixels;
    }
    uint depth = given.v[i];
    Words(p.depth).v[i] = depth;
    Words(p.normal).v[i] = normal;
    Words(p.geometric_normal).v[i] = geometric;
    Words(p.base_color).v[i] = given.v[2u * pixels + i];
    Words(p.material).v[i] = given.v[3u * pixels + i];
    Words(p.motion).v[i] = 0u;
    Words(p.instance_id).v[i] = 0u;
    if (p.unlit != 0ul) {
        bool hit = !isinf(uintBitsToFloat(depth));
        vec3 emitted = (push.kind & EMISSIVE) != 0u ? rgb9e5(given.v[next]) : vec3(0.0);
        // What the engine gave is pre-exposed.
        vec4 light = hit ? vec4(emitted, 1.0) : pre_exposed(p, vec4(environment(p, pixel_ray(p, pixel)), 0.0));
        Halves(p.unlit).v[i] = pack_layer(light);
    }
}
