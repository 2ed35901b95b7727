// Diffuse light that arrives straight from the sun, the lights and luminous triangles.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../gbuffer.glsl"

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
    Shading shading = Shading(s.normal, s.view, -1.0, vec3(0.0));
    vec3 sum = vec3(0.0);
    uint seed = pixel_seed(full, 4u);
    // Suns and other lights each get a shadow ray: neither waits for the other's luck.
    for (uint n = 0u; n < push.samples * 2u; n++) {
        coverage_seed = mixed(seed ^ mixed(p.view.z * push.samples * 2u + n)) | 1u;
        ShadowRay ray = NO_RAY;
        bool local = (n & 1u) == 1u;
        uint first = local ? p.view.w : 0u;
        uint end = local ? p.blocks.w : p.view.w;
        if (first == end) {
            continue;
        }
        if (lit) {
            Random r = random_at(full, p.view.z, push.samples, n >> 1u, 0u);
            vec4 u = unit(local ? r.high : r.low);
            ray = choose_light(p, shading, s.position, from, s.geometric, first, end, u.xyz);
        }
        sum += unshadowed(p, ray);
    }
    if (wanted) {
        vec4 result = vec4(sum * factor / float(push.samples), s.hit ? 1.0 : 0.0);
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(pre_exposed(p, result));
    }
    count_rays(p, pixel);
}
