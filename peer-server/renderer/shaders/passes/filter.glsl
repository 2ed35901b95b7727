// One axis of an edge-aware Gaussian over a demodulated layer: a cross bilateral filter guided by depth, normal and, for
// reflections, roughness. It reads no further than `radius` layer pixels and keeps no history, so a ghost zone of that
// width makes tiles meet without a seam.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../params.glsl"
#include "../invocation.glsl"

const uint SPECULAR = 1u;

struct Guide {
    float depth;
    vec3 normal;
    float roughness;
};

Guide guide_at(Params p, uvec2 pixel) {
    uint i = plane_index(p, shaded_pixel(p, pixel));
    Guide g;
    g.depth = uintBitsToFloat(Words(p.depth).v[i]);
    g.normal = decode_normal(Words(p.normal).v[i]);
    g.roughness = float(Words(p.material).v[i] & 255u) / 255.0;
    return g;
}

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    if (inside(pixel, rect)) {
        uint here = layer_index(pixel, rect);
        uvec2 packed = Halves(push.source).v[here];
        Guide g = guide_at(p, pixel);
        // A mirror's picture must stay sharp: its filter shrinks with roughness.
        float sigma = float(push.radius) * 0.5;
        if (push.kind == SPECULAR) {
            sigma *= smoothstep(0.05, 0.4, g.roughness);
        }
        if (!isinf(g.depth) && sigma > 0.25) {
            vec4 center = unpack_layer(packed);
            vec3 sum = center.rgb;
            float total = 1.0;
            uvec2 shaded = shaded_pixel(p, pixel);
            vec3 position = pixel_ray(p, shaded) * g.depth;
            // A pixel's width on the surface at this depth, which planes seen at an angle stretch.
            float tolerance = max(g.depth * p.ray_origin.w * 2.0 * float(push.scale), 1e-6);
            ivec2 step_by = push.axis == 0u ? ivec2(1, 0) : ivec2(0, 1);
            for (int k = -int(push.radius); k <= int(push.radius); k++) {
                ivec2 at = ivec2(pixel) + step_by * k;
                if (k == 0 || !inside(uvec2(max(at, ivec2(0))), rect) || any(lessThan(at, ivec2(0)))) {
                    continue;
                }
                Guide o = guide_at(p, uvec2(at));
                if (isinf(o.depth)) {
                    continue;
                }
                vec3 other = pixel_ray(p, shaded_pixel(p, uvec2(at))) * o.depth;
                float off_plane = abs(dot(other - position, g.normal)) / tolerance;
                float alike = max(dot(g.normal, o.normal), 0.0);
                alike *= alike;
                alike *= alike;
                alike *= alike;
                alike *= alike;
                float weight = exp(-float(k * k) / (2.0 * sigma * sigma) - off_plane) * alike * alike;
                if (push.kind == SPECULAR) {
                    weight *= max(1.0 - abs(g.roughness - o.roughness) * 8.0, 0.0);
                }
                sum += weight * unpack_layer(Halves(push.source).v[layer_index(uvec2(at), rect)]).rgb;
                total += weight;
            }
            packed = pack_layer(vec4(sum / total, center.w));
        }
        Halves(push.target).v[here] = packed;
    }
}
