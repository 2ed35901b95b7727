// Highlights of the lights, and walks of reflected rays drawn from the facets that the camera sees.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../walk.glsl"

// Below this a highlight of a light without size would be too bright and too rare for any sampling.
const float MIN_HIGHLIGHT_ALPHA = 0.005;
// From this roughness on a dielectric's reflection is a few percent of its light and has no shape: one in so many samples
// is walked, and weighs as many.
const float DULL_ROUGHNESS = 0.7;
const uint DULL_SHARE = 4u;

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    uvec2 full = shaded_pixel(p, pixel);
    Primary s = primary_at(p, full, wanted);
    vec3 from = leave_primary(p, s);
    float alpha = s.roughness * s.roughness;
    mat3 frame = basis(s.normal);
    vec3 v = s.view * frame;
    // A shading normal may turn away from the viewer; grazing is the nearest that makes sense.
    v = normalize(vec3(v.xy, max(v.z, 1e-3)));
    float lambda_v = ggx_lambda(v.z, alpha);
    Shading shading = Shading(s.normal, s.view, max(alpha, MIN_HIGHLIGHT_ALPHA), s.f0);
    float cone = p.ray_origin.w * s.distance;
    float spread = p.ray_origin.w + alpha * 0.5;
    bool dull = s.roughness >= DULL_ROUGHNESS && s.metallic == 0.0;
    uint seed = pixel_seed(full, 2u);
    vec4 sum = vec4(0.0);
    float walked = 0.0;
    for (uint n = 0u; n < push.samples; n++) {
        uint index = p.view.z * push.samples + n;
        vec3 h = alpha < DELTA_ALPHA ? vec3(0.0, 0.0, 1.0) : visible_normal(v, alpha, sequence(index, seed));
        vec3 l = reflect(-v, h);
        vec3 direction = frame * l;
        bool turn = !dull || (index + mixed(seed)) % DULL_SHARE == 0u;
        bool reflected = s.hit && turn && l.z > 0.0 && dot(direction, s.geometric) > 0.0;
        vec3 weight = fresnel(s.f0, dot(v, h)) * ((1.0 + lambda_v) / (1.0 + lambda_v + ggx_lambda(l.z, alpha)));
        weight *= dull ? float(DULL_SHARE) : 1.0;
        // Highlights are gathered from lights without area, luminous triangles are found.
        Walk w = Walk(from, direction, weight, WITHOUT_DISCS, cone, spread, vec3(0.0), 0.0, false);
        sum += walk(p, w, reflected, 1u, push.bounces, EARLY_ROULETTE, seed, index);
        walked += reflected ? 1.0 : 0.0;
        ShadowRay ray = NO_RAY;
        if (s.hit) {
            vec3 u = vec3(sequence(index, seed ^ 5u), sequence(index, seed ^ 6u).x);
            ray = choose_light(p, shading, s.position, from, s.geometric, 0u, p.punctual_end, u);
        }
        sum.rgb += unshadowed(p, ray);
    }
    if (wanted) {
        vec4 result = vec4(0.0, 0.0, 0.0, HALF_MAX);
        if (s.hit) {
            vec3 light = sum.rgb / float(push.samples) * specular_over_divisor(s);
            result = vec4(light, walked > 0.0 ? sum.a / walked : 0.0);
        }
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(pre_exposed(p, result));
    }
    count_rays(p, pixel);
}
