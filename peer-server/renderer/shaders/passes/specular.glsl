// Highlights of the lights, and one reflected ray per sample drawn from the facets that the camera sees.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "../gbuffer.glsl"

// Below this a highlight of a light without size would be too bright and too rare for any sampling.
const float MIN_HIGHLIGHT_ALPHA = 0.005;
// Below this a surface is a mirror.
const float MIRROR_ALPHA = 0.0015;
// From this roughness on a dielectric's reflection is a few percent of its light and has no shape: it is the sky where the
// reflected ray leaves the scene, and nothing else. That takes one shadow ray instead of up to three rays and a shading.
const float CHEAP_ROUGHNESS = 0.7;

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
    bool cheap = s.roughness >= CHEAP_ROUGHNESS && s.metallic == 0.0;
    vec4 sum = vec4(0.0);
    for (uint n = 0u; n < push.samples; n++) {
        Random r = random_at(full, p.view.z, push.samples, n, 1u);
        vec4 u = unit(r.low);
        vec4 w = unit(r.high);
        // The highlight, and at the reflected ray's end one light and the sky.
        ShadowRay rays[3] = ShadowRay[3](NO_RAY, NO_RAY, NO_RAY);
        vec3 h = alpha < MIRROR_ALPHA ? vec3(0.0, 0.0, 1.0) : visible_normal(v, alpha, u.xy);
        vec3 l = reflect(-v, h);
        vec3 direction = frame * l;
        bool reflected = s.hit && l.z > 0.0 && dot(direction, s.geometric) > 0.0;
        Bounce b = bounce(p, reflected && !cheap, from, direction, cone, spread, true, vec3(u.zw, w.x), fract(w.zw + 0.5));
        if (reflected) {
            vec3 weight = fresnel(s.f0, dot(v, h)) * ((1.0 + lambda_v) / (1.0 + lambda_v + ggx_lambda(l.z, alpha)));
            if (cheap) {
                b.sky = ShadowRay(from, direction, FAR, environment(p, direction));
                b.distance = HALF_MAX;
            }
            sum += vec4(weight * b.radiance, b.distance);
            b.light.value *= weight;
            b.sky.value *= weight;
            rays[1] = b.light;
            rays[2] = b.sky;
        }
        if (s.hit) {
            rays[0] = choose_light(p, shading, s.position, from, s.geometric, 0u, p.punctual_end, vec3(w.zw, w.y));
        }
        for (uint k = 0u; k < 3u; k++) {
            sum.rgb += unshadowed(p, rays[k]);
        }
    }
    if (wanted) {
        vec4 result = vec4(0.0, 0.0, 0.0, HALF_MAX);
        if (s.hit) {
            result = sum / float(push.samples) * vec4(specular_over_divisor(s), 1.0);
        }
        Halves(push.target).v[layer_index(pixel, rect)] = pack_layer(result);
    }
    count_rays(p, pixel);
}
