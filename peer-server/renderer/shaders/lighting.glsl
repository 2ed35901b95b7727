// Light: the sky, the lights, shadow rays, and what a bounced ray brings back. Everything goes through closest() and
// occluded(), so a front end is a file with these two.

#include "surface.glsl"
#include "environment.glsl"
#include "light_tree.glsl"

// One light: 4 vec4. 0: colour, shape (0 directional, 1 point, 2 spot, 3 triangle); 1: position, range;
// 2: direction in which it travels, cosine of the disc's half angle; 3: spot's scale and offset of the cosine.
// A triangle: colour is radiance (4: times its material's texture); 1: a corner, its index in the mesh; 2, 3: the edges
// from the corner, its instance and its way down the tree (light_tree.glsl)
const uint LIGHT_VECTORS = 4u;
// Lights that one reservoir looks at; of more, the tree draws so many: each walks down it, which on a CPU
// costs as much as half a ray.
const uint MAX_CANDIDATES = 32u;
const uint DRAWN_CANDIDATES = 1u;

// Radiance from where no surface is: linear in the height of the direction.
float luminance(vec3 c) {
    return dot(c, vec3(0.2126, 0.7152, 0.0722));
}

// Where a ray that leaves a surface starts: off the surface by what the position's own rounding may be.
vec3 leave(vec3 position, vec3 geometric, float camera_distance) {
    float size = max(max(abs(position.x), abs(position.y)), max(abs(position.z), camera_distance));
    return position + geometric * (size * 2e-5 + 1e-6);
}

// The texture of a luminous triangle, at its full resolution.
vec3 emission_texture(Params p, uint instance, uint primitive, vec2 bary) {
    Triangle t = triangle_at(p, instance, primitive);
    uint m = t.indices.w * MATERIAL_VECTORS;
    uint texture = Quads(p.materials).v[m + 3u].w;
    uint flags = floatBitsToUint(Vectors(p.materials).v[m + 2u].w);
    vec2 uv = vertex_uv(t.vertices, t.indices.x) * (1.0 - bary.x - bary.y)
        + vertex_uv(t.vertices, t.indices.y) * bary.x + vertex_uv(t.vertices, t.indices.z) * bary.y;
    return texture_at(p, texture, slot_uv(p, t.indices.w, flags, 3u, uv), 0.0, true).rgb;
}

struct LightSample {
    vec3 direction;   // towards the light
    float distance;   // in metres; large for the sun
    vec3 facing;      // unit normal of a triangle on the position's side; 0 where the light has no area
    vec3 irradiance;  // on a surface that faces it, unshadowed
};

const float FAR = 1e30;

LightSample sample_light(Params p, uint index, vec3 position, vec2 u) {
    uint at = index * LIGHT_VECTORS;
    vec4 color = Vectors(p.lights).v[at];
    vec4 direction = Vectors(p.lights).v[at + 2u];
    LightSample s;
    s.facing = vec3(0.0);
    if (color.w == 0.0) {
        s.direction = direction.w < 1.0 ? cone_direction(-direction.xyz, direction.w, u) : -direction.xyz;
        s.distance = FAR;
        s.irradiance = color.rgb;
        return s;
    }
    vec4 place = Vectors(p.lights).v[at + 1u];
    if (color.w >= 3.0) {
        vec3 edge = Vectors(p.lights).v[at + 3u].xyz;
        float root = sqrt(u.x);
        vec2 bary = vec2(root * (1.0 - u.y), root * u.y);
        if (color.w == 4.0) {
            color.rgb *= emission_texture(p, floatBitsToUint(direction.w), floatBitsToUint(place.w), bary);
        }
        vec3 to = place.xyz + direction.xyz * bary.x + edge * bary.y - position;
        float d2 = max(dot(to, to), 1e-8);
        s.distance = sqrt(d2);
        s.direction = to / s.distance;
        // Half the cross product is area times normal; both sides shine.
        vec3 doubled = cross(direction.xyz, edge);
        float cosine = dot(doubled, s.direction);
        s.facing = doubled * ((cosine > 0.0 ? -1.0 : 1.0) * inversesqrt(max(dot(doubled, doubled), 1e-30)));
        s.irradiance = color.rgb * (0.5 * abs(cosine) / d2);
        return s;
    }
    vec3 to = place.xyz - position;
    float d2 = max(dot(to, to), 1e-8);
    s.distance = sqrt(d2);
    s.direction = to / s.distance;
    float fade = 1.0 / d2;
    if (place.w > 0.0) {
        // glTF's KHR_lights_punctual window.
        float q = d2 / (place.w * place.w);
        fade *= clamp(1.0 - q * q, 0.0, 1.0);
    }
    if (color.w == 2.0) {
        vec4 cone = Vectors(p.lights).v[at + 3u];
        float c = clamp(-dot(s.direction, direction.xyz) * cone.x + cone.y, 0.0, 1.0);
        fade *= c * c;
    }
    s.irradiance = color.rgb * fade;
    return s;
}

// What a light's sample is worth: the weight by which one of several is chosen. Kernels choose by different reflection.
struct Shading {
    vec3 normal;
    vec3 view;    // towards the viewer
    float alpha;  // GGX; negative: diffuse only
    vec3 f0;
};

float ggx_lambda(float cosine, float alpha) {
    float c2 = max(cosine * cosine, 1e-8);
    return 0.5 * (sqrt(1.0 + alpha * alpha * (1.0 - c2) / c2) - 1.0);
}

vec3 fresnel(vec3 f0, float cosine) {
    float m = clamp(1.0 - cosine, 0.0, 1.0);
    float m2 = m * m;
    return f0 + (1.0 - f0) * (m2 * m2 * m);
}

// GGX reflection times the cosine at the surface.
vec3 specular_response(Shading s, vec3 light) {
    float nl = dot(s.normal, light);
    float nv = max(dot(s.normal, s.view), 1e-3);
    if (nl <= 0.0) {
        return vec3(0.0);
    }
    vec3 h = normalize(s.view + light);
    float nh = clamp(dot(s.normal, h), 0.0, 1.0);
    float a2 = s.alpha * s.alpha;
    // 1 - (1 - a2) nh^2, without its cancellation near nh = 1.
    vec3 off = cross(s.normal, h);
    float q = dot(off, off) + a2 * nh * nh;
    float d = a2 / (PI * q * q);
    float g = 1.0 / (1.0 + ggx_lambda(nv, s.alpha) + ggx_lambda(nl, s.alpha));
    return fresnel(s.f0, dot(s.view, h)) * (d * g / (4.0 * nv));
}

vec3 response(Shading s, vec3 light) {
    if (s.alpha < 0.0) {
        return vec3(max(dot(s.normal, light), 0.0) / PI);
    }
    return specular_response(s, light);
}

// A shadow ray and what it brings when nothing is in its way. The traversal wants all lanes of a subgroup in each call, so
// a lane without a ray carries one with range < 0.
struct ShadowRay {
    vec3 origin;
    vec3 direction;
    float range;
    vec3 value;
};

const ShadowRay NO_RAY = ShadowRay(vec3(0.0), vec3(0.0, 1.0, 0.0), -1.0, vec3(0.0));

// From `from`, just off the surface at `position`, to the point of a light that was drawn from there. A parallel ray would
// meet a near light before its end, and take it for its own shadow. So would one that ends on a triangle and grazes it: what
// is rounded there is a length that the grazing angle stretches, so it ends off the triangle, as it starts off the surface.
ShadowRay shadow_ray(vec3 position, vec3 from, LightSample light, vec3 value) {
    if (light.distance == FAR) {
        return ShadowRay(from, light.direction, FAR, value);
    }
    vec3 to = leave(position + light.direction * light.distance, light.facing, light.distance) - from;
    float range = length(to);
    return ShadowRay(from, to / max(range, 1e-20), range * 0.9999, value);
}

vec3 unshadowed(Params p, ShadowRay ray) {
    ray_count += ray.range > 0.0 ? 1u : 0u;
    passes = true;
    passing_direction = ray.direction;
    passage = vec3(1.0);
    bool blocked = occluded(p.tlas, ray.origin, ray.direction, 0.0, ray.range);
    passes = false;
    return blocked ? vec3(0.0) : ray.value * passage;
}

// What `s` reflects from the lights [first, end): one of them, chosen by its unshadowed contribution (weighted
// reservoir: Chao 1982, in resampled importance sampling, Talbot et al. 2005).
ShadowRay choose_light(Params p, Shading s, vec3 position, vec3 origin, vec3 geometric, uint first, uint end, vec3 u) {
    uint count = end - first;
    bool draws = count > MAX_CANDIDATES;
    uint suns = draws && first < p.view.w ? min(p.view.w - first, MAX_CANDIDATES) : 0u;
    uint candidates = draws ? suns + DRAWN_CANDIDATES : count;
    ShadowRay chosen = NO_RAY;
    float chosen_value = 1.0;
    float total = 0.0;
    float choice = u.z;
    float start = fract(u.z * 97.0);
    for (uint i = 0u; i < candidates; i++) {
        uint index = first + i;
        float share = 1.0;
        if (draws && i >= suns) {
            LightPick pick = LightPick(0xffffffffu, 1.0);
            if (p.tree_lights > 0u) {
                pick = tree_pick(p, position, s.normal, (float(i - suns) + start) / float(DRAWN_CANDIDATES));
            }
            if (pick.light < first || pick.light >= end) {
                continue;
            }
            index = pick.light;
            share = pick.probability * float(DRAWN_CANDIDATES);
        } else if (draws && p.view.w - first > suns) {
            // Of more suns than that, evenly spaced ones from a random start.
            float stride = float(p.view.w - first) / float(suns);
            index = first + min(uint((float(i) + start) * stride), p.view.w - first - 1u);
            share = 1.0 / stride;
        }
        LightSample light = sample_light(p, index, position, u.xy);
        if (dot(geometric, light.direction) <= 0.0) {
            continue;
        }
        vec3 value = light.irradiance * response(s, light.direction);
        float target = luminance(value);
        float weight = target / share;
        if (!(weight > 0.0)) {
            continue;
        }
        total += weight;
        float keep = weight / total;
        // One random number serves all choices: what is left of it after each is uniform again.
        if (choice < keep) {
            choice /= keep;
            chosen_value = target;
            chosen = shadow_ray(position, origin, light, value);
        } else {
            choice = (choice - keep) / (1.0 - keep);
        }
    }
    chosen.value *= total / chosen_value;
    return chosen;
}
