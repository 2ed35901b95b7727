// The whole light of a pixel by paths: what docs/shading.md specifies, without bias. Not demodulated.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../walk.glsl"

// From this bounce on, paths end by chance.
const uint ROULETTE_BOUNCE = 3u;

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    uvec2 full = shaded_pixel(p, pixel);
    uint seed = pixel_seed(full, 0u);
    vec4 sum = vec4(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        vec3 direction = normalize(pixel_ray(p, full));
        Walk w = Walk(p.ray_origin.xyz, direction, vec3(1.0), WITHOUT_DISCS, 0.0, 0.0, vec3(0.0), 0.0, true);
        vec4 light = walk(p, w, wanted, 0u, push.bounces, ROULETTE_BOUNCE, seed, p.view.z * push.samples + n);
        sum += vec4(light.rgb, light.a < HALF_MAX ? 1.0 : 0.0);
    }
    if (wanted) {
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(pre_exposed(p, sum / float(push.samples)));
    }
    count_rays(p, pixel);
}
