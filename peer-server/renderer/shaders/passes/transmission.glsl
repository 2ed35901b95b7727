// What is seen through bodies of glass and blended surfaces, by walks: added to the unlit layer.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../walk.glsl"

void main() {
    Params p = Params(push.params);
    uvec2 pixel = layer_pixel(p);
    uvec4 rect = layer_rect(p);
    bool wanted = inside(pixel, rect);
    vec3 ray = pixel_ray(p, pixel);
    vec3 direction = normalize(ray);
    // The surface that the planes describe, unless an engine left glass out of them.
    coverage_seed = 0u;
    Hit hit;
    ray_count += wanted ? 1u : 0u;
    bool found = closest(p.tlas, p.ray_origin.xyz, ray, 0.0, wanted ? FAR : -1.0, hit) && wanted;
    if (found) {
        float depth = uintBitsToFloat(Words(p.depth).v[plane_index(p, pixel)]);
        found = abs(hit.t - depth) <= depth * (1e-4 + 2.0 * p.depth_error);
    }
    Scatter c;
    vec3 straight = vec3(0.0); // what goes on as if nothing were there
    float glass = 0.0;         // the share that scatters through
    vec3 beyond = vec3(0.0);
    Walk start = Walk(vec3(0.0), vec3(0.0), vec3(0.0), DELTA, 0.0, p.ray_origin.w, vec3(0.0), 0.0, false);
    if (found) {
        start.cone = p.ray_origin.w * hit.t;
        Surface s = surface_at(p, hit, p.ray_origin.xyz, ray, start.cone, true);
        c = scatter_at(p, s, -direction);
        start.origin = leave(s.position, -s.geometric, length(ray) * hit.t);
        uint m = s.material * MATERIAL_VECTORS;
        uint flags = floatBitsToUint(Vectors(p.materials).v[m + 2u].w);
        float met = 1.0;
        if ((flags & MATERIAL_COVERED) != 0u) {
            Triangle t = triangle_at(p, hit.instance, hit.primitive);
            met = clamp(alpha_at(p, t, m, flags, hit.barycentrics), 0.0, 1.0);
        }
        straight = vec3(1.0 - met);
        if (c.thin && is_delta(c)) {
            straight += c.tint * (met * c.glass * (1.0 - glass_reflectance(c, 0.0)));
        } else {
            glass = met * c.glass_factor;
        }
        if (!c.thin) {
            // A camera within the body looks through it.
            vec3 left = s.behind ? transmittance(s.absorption, length(ray) * hit.t) : vec3(1.0);
            c.tint *= left;
            beyond = s.behind ? vec3(0.0) : s.absorption;
        }
        found = glass > 0.0 || straight != vec3(0.0);
    }
    uint seed = pixel_seed(pixel, 3u);
    vec3 sum = vec3(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        uint index = p.view.z * push.samples + n;
        Walk w = start;
        bool through = false;
        // Where some goes straight and some is scattered, samples take turns.
        bool both = glass > 0.0 && straight != vec3(0.0);
        bool is_straight = straight != vec3(0.0) && (!both || (index & 1u) == 0u);
        float turns = both ? 2.0 : 1.0;
        if (is_straight) {
            // What is behind is the camera's surface.
            w.direction = direction;
            w.density = WITHOUT_DISCS;
            w.throughput = straight * turns;
            through = true;
        } else if (found) {
            vec3 h = is_delta(c) ? vec3(0.0, 0.0, 1.0) : visible_normal(c.v, c.alpha, sequence(index, seed));
            float vh = dot(c.v, h);
            vec3 l = through_facet(c, h);
            float shadowing = is_delta(c) ? 1.0 : (1.0 + c.lambda_v) / (1.0 + c.lambda_v + ggx_lambda(-l.z, c.alpha));
            w.direction = normalize(c.frame * l);
            // No light is gathered here: the walk finds them all.
            w.throughput = c.tint * (turns * glass * (1.0 - glass_reflectance(c, vh)) * shadowing);
            w.absorption = beyond;
            through = l.z < 0.0 && dot(w.direction, c.geometric) < 0.0 && w.throughput != vec3(0.0);
        }
        sum += walk(p, w, through, is_straight ? 0u : 1u, push.bounces, EARLY_ROULETTE + 2u, seed, index).rgb;
    }
    if (found) {
        uint i = plane_index(p, pixel);
        vec4 unlit = unpack_layer(Halves(p.unlit).v[i]);
        Halves(p.unlit).v[i] = pack_layer(unlit + pre_exposed(p, vec4(sum / float(push.samples), 0.0)));
    }
    count_rays(p, pixel);
}
