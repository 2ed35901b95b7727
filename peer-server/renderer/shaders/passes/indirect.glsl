// Diffuse light that other surfaces and the sky bring: walks of cosine-distributed rays.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../walk.glsl"

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    uvec2 full = shaded_pixel(p, pixel);
    Primary s = primary_at(p, full, wanted);
    vec3 factor = diffuse_over_divisor(s);
    bool lit = s.hit && any(greaterThan(factor, vec3(0.0)));
    vec3 from = leave_primary(p, s);
    float cone = p.ray_origin.w * s.distance;
    uint seed = pixel_seed(full, 1u);
    vec4 sum = vec4(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        uint index = p.view.z * push.samples + n;
        vec3 direction = cosine_direction(s.normal, sequence(index, seed));
        bool bounced = lit && dot(direction, s.geometric) > 0.0;
        // The direct layer has gathered all lights.
        Walk w = Walk(from, direction, vec3(1.0), BESIDE_GATHERED, cone, DIFFUSE_SPREAD, vec3(0.0), 0.0, false);
        sum += walk(p, w, bounced, 1u, push.bounces, EARLY_ROULETTE, seed, index);
    }
    if (wanted) {
        vec4 result = sum / float(push.samples) * vec4(factor, 1.0);
        vec4 light = s.hit ? pre_exposed(p, result) : vec4(0.0, 0.0, 0.0, HALF_MAX);
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(light);
    }
    count_rays(p, pixel);
}
