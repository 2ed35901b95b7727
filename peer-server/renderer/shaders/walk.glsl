// Walks through the scene: a ray, and the light of all that it meets by up to so many bounces, without bias.

#include "scatter.glsl"

const float MOST_SURVIVAL = 0.95;
// From this bounce on walks of the real-time layers may end by chance: they are as long as what they can still bring.
const uint EARLY_ROULETTE = 1u;
// Spread of the texture footprint of a diffuse bounce, metres per metre.
const float DIFFUSE_SPREAD = 0.25;
// Clear sheets that a walk passes straight without a bounce; any more are bounces.
const uint FREE_SHEETS = 16u;

// In place of a density of the direction. All negative ones: nothing else could have found what this ray finds.
const float DELTA = -1.0;
// The same, but for the suns' discs: the camera's ray does not see them, and highlights are gathered from them.
const float WITHOUT_DISCS = -2.0;
// Of a surface whose lights, discs and luminous triangles have all been gathered.
const float BESIDE_GATHERED = -3.0;
// How far a walk of the real-time layers has spread, times these, blurs the facets (alpha) and the suns (radians) that it meets:
// what a few rays of thousands find, a sun in a window beside a rough wall, would be spots of a million times their surroundings.
const float FACET_BLUR = 0.5;
const float SUN_BLUR = 2.0;

struct Walk {
    vec3 origin;
    vec3 direction;
    vec3 throughput;
    float density; // of the direction, or one of the above
    float cone;    // radius of the footprint at the origin, and what a metre adds to it
    float spread;
    vec3 absorption; // by metre, of the body of glass that it is in
    float travelled; // from where the density is of, in metres: through clear sheets
    bool detailed; // textures at full resolution, normal maps: a mean over many samples filters by itself
};

uint owen(uint v, uint seed) {
    // Laine and Karras' hash as improved by Vegdahl, on bits in reverse: each bit depends on those above it only.
    v ^= v * 0x3d20adeau;
    v += seed;
    v *= (seed >> 16u) | 1u;
    v ^= v * 0x05526c56u;
    v ^= v * 0x53a22864u;
    return v;
}

// Point `n` of a (0, 2)-sequence (Sobol's first two dimensions), its order and its digits scrambled by `seed`: Burley,
// "Practical Hash-based Owen Scrambling", JCGT 2020. Pairs of different seeds are independent of each other.
vec2 sequence(uint n, uint seed) {
    uint first = owen(bitfieldReverse(n), seed);
    // Both dimensions as reversed bits of the shuffled index, then Pascal's matrix for the second.
    uint index = bitfieldReverse(first);
    uint x = index;
    uint y = bitfieldReverse(index);
    y ^= y << 16u;
    y ^= (y & 0x00ff00ffu) << 8u;
    y ^= (y & 0x0f0f0f0fu) << 4u;
    y ^= (y & 0x33333333u) << 2u;
    y ^= (y & 0x55555555u) << 1u;
    uint sx = bitfieldReverse(owen(x, mixed(seed ^ 0x68bc21ebu)));
    uint sy = bitfieldReverse(owen(bitfieldReverse(y), mixed(seed ^ 0x02e5be93u)));
    return vec2(uvec2(sx, sy) >> 8u) * (1.0 / 16777216.0);
}

// By which a surface's one gathered light is drawn; the same numbers weight what a bounced ray finds of it.
struct Gathering {
    vec3 position;
    vec3 normal;    // 0: lights on both sides count
    vec3 shading_normal;
    vec3 share;     // probabilities of the suns, the sky, the tree
};

Gathering gathering_at(Params p, vec3 position, vec3 normal, bool both_sides) {
    Gathering g = Gathering(position, both_sides ? vec3(0.0) : normal, normal, vec3(0.0));
    if (p.sun_luminance > 0.0) {
        float facing = 1.0;
        if (p.view.w == 1u && !both_sides) {
            vec4 sun = Vectors(p.lights).v[2];
            // A disc is seen by surfaces that its middle does not reach.
            facing = clamp(dot(normal, -sun.xyz) + sqrt(max(1.0 - sun.w * sun.w, 0.0)), 0.0, 1.0);
        }
        g.share.x = p.sun_luminance * facing;
    }
    // Bounced rays find the sky well: it gets a quarter of its due.
    g.share.y = 0.25 * PI * luminance(p.zenith.rgb + p.horizon.rgb * 2.0 + p.ground.rgb) * 0.25;
    if (p.tree_lights > 0u) {
        g.share.z = tree_importance(p, 0u, position, g.normal);
    }
    float sum = g.share.x + g.share.y + g.share.z;
    // None that may matter is left to less than a tenth: the guesses know no shadows.
    g.share = mix(max(g.share, vec3(sum * 0.1)), vec3(0.0), equal(g.share, vec3(0.0)));
    g.share /= max(g.share.x + g.share.y + g.share.z, 1e-30);
    return g;
}

float balance(float mine, float other) {
    return mine / max(mine + other, 1e-30);
}

// What a body of glass leaves of light on a way through it.
vec3 transmittance(vec3 absorption, float metres) {
    return absorption == vec3(0.0) ? vec3(1.0) : exp(-absorption * metres);
}

// One light's direct contribution, unshadowed; `before` and `beyond` are the absorptions on the surface's two sides.
ShadowRay gather(Params p, Scatter c, Gathering g, vec3 geometric, vec3 before, vec3 beyond, float t, vec4 u) {
    ShadowRay ray = NO_RAY;
    LightSample light;
    float probability = 1.0;
    float density = 0.0; // of the direction; 0: a light that no bounced ray finds
    if (u.z < g.share.x) {
        uint index = min(uint(u.w * float(p.view.w)), p.view.w - 1u);
        light = sample_light(p, index, g.position, u.xy);
        probability = g.share.x / float(p.view.w);
        float disc = Vectors(p.lights).v[index * LIGHT_VECTORS + 2u].w;
        density = disc < 1.0 ? probability / (2.0 * PI * (1.0 - disc)) : 0.0;
    } else if (u.z < g.share.x + g.share.y) {
        vec3 direction = cosine_direction(g.shading_normal, u.xy);
        light = LightSample(direction, FAR, vec3(0.0), environment(p, direction));
        probability = g.share.y * max(dot(g.shading_normal, direction), 1e-6) / PI;
        density = probability;
    } else {
        if (!(g.share.z > 0.0)) {
            return ray;
        }
        LightPick pick = tree_pick(p, g.position, g.normal, u.w);
        if (pick.light == 0xffffffffu) {
            return ray;
        }
        light = sample_light(p, pick.light, g.position, u.xy);
        probability = g.share.z * pick.probability;
        uint at = pick.light * LIGHT_VECTORS;
        if (Vectors(p.lights).v[at].w >= 3.0) {
            vec3 doubled = cross(Vectors(p.lights).v[at + 2u].xyz, Vectors(p.lights).v[at + 3u].xyz);
            float facing = abs(dot(doubled, light.direction)) * 0.5;
            density = probability * light.distance * light.distance / max(facing, 1e-20);
        }
    }
    vec4 value = scattered(c, light.direction);
    vec3 reflected = value.rgb * light.irradiance / probability * (density > 0.0 ? balance(density, value.w) : 1.0);
    if (luminance(reflected) > 0.0) {
        bool above = dot(light.direction, geometric) > 0.0;
        vec3 side = above ? geometric : -geometric;
        // What is endlessly far is seen from a body through a hole in it.
        float within = light.distance < FAR ? light.distance : 0.0;
        reflected *= transmittance(above ? before : beyond, within);
        ray = shadow_ray(g.position, leave(g.position, side, t), light, reflected);
    }
    return ray;
}

// The light of a surface that a ray finds at this distance from the surface that gathered, weighted against gathering.
vec3 found_emission(Params p, Surface s, Hit hit, float metres, vec3 direction, Gathering g, float density) {
    if (!s.sampled || density < 0.0 || s.emissive == vec3(0.0)) {
        return s.sampled && density == BESIDE_GATHERED ? vec3(0.0) : s.emissive;
    }
    // Its light: the instance's luminous triangles lie together, in the order of their indices.
    uvec2 range = Quads(p.instances).v[s.instance * INSTANCE_VECTORS + 7u].zw;
    uint low = p.punctual_end + range.x;
    uint high = low + range.y;
    while (low + 1u < high) {
        uint middle = (low + high) >> 1u;
        bool beyond = floatBitsToUint(Vectors(p.lights).v[middle * LIGHT_VECTORS + 1u].w) > hit.primitive;
        low = beyond ? low : middle;
        high = beyond ? middle : high;
    }
    uint at = low * LIGHT_VECTORS;
    vec4 edge = Vectors(p.lights).v[at + 3u];
    vec3 doubled = cross(Vectors(p.lights).v[at + 2u].xyz, edge.xyz);
    float probability = g.share.z * tree_probability(p, g.position, g.normal, floatBitsToUint(edge.w));
    float other = probability * metres * metres / max(0.5 * abs(dot(doubled, direction)), 1e-20);
    return s.emissive * balance(density, other);
}

// A surface's roughness as a walk of the real-time layers sees it. Clear mirrors and panes stay so: no light is gathered there.
float blurred_roughness(float roughness, float spread) {
    return roughness * roughness < DELTA_ALPHA ? roughness : max(roughness, min(sqrt(FACET_BLUR * spread), 1.0));
}

// The light of the sky and of the suns' discs. Suns that nothing else could have found are as large as `blur` at least
// (radians), and bring what they bring.
vec3 found_sky(Params p, vec3 direction, Gathering g, float density, float blur) {
    vec3 sky = environment(p, direction);
    if (density <= WITHOUT_DISCS) {
        return sky;
    }
    if (density > 0.0) {
        sky *= balance(density, g.share.y * max(dot(g.shading_normal, direction), 0.0) / PI);
    }
    for (uint i = 0u; i < p.view.w; i++) {
        vec4 sun = Vectors(p.lights).v[i * LIGHT_VECTORS + 2u];
        sun.w = sun.w < 1.0 && density <= 0.0 ? min(sun.w, cos(min(blur, 0.5 * PI))) : sun.w;
        if (sun.w < 1.0 && dot(direction, -sun.xyz) >= sun.w) {
            float share = 1.0 / (2.0 * PI * (1.0 - sun.w));
            vec3 disc = Vectors(p.lights).v[i * LIGHT_VECTORS].rgb * share;
            float other = g.share.x / float(p.view.w) * share;
            sky += disc * (density > 0.0 ? balance(density, other) : 1.0);
        }
    }
    return sky;
}

// Walks from `w` on and gives the light that it finds and gathers, and how far its first surface is (HALF_MAX: the sky).
// `first` is the bounce of that surface (0: the camera's); at the `bounces`th light is gathered for the last time, and one
// ray more finds what its direction sees. From `roulette` on, walks end by chance. `alive` is false for lanes that have none.
vec4 walk(Params p, Walk w, bool alive, uint first, uint bounces, uint roulette, uint seed_of_all, uint index) {
    vec4 sum = vec4(0.0);
    Gathering g = Gathering(vec3(0.0), vec3(0.0), vec3(0.0), vec3(0.0));
    uint depth = first;
    uint sheets = 0u;
    // Every turn is a bounce or one of so many sheets, which only lanes that are alive count.
    for (uint turn = first; turn <= bounces + 1u + FREE_SHEETS; turn++) {
        if (!any_lane(alive)) {
            break;
        }
        uint seed = mixed(seed_of_all + turn * 0x632be5abu);
        coverage_seed = mixed(seed ^ mixed(index)) | 1u;
        Hit hit;
        ray_count += alive ? 1u : 0u;
        bool found = closest(p.tlas, w.origin, w.direction, 0.0, alive ? FAR : -1.0, hit);
        ShadowRay shadow = NO_RAY;
        vec3 before = w.throughput;
        if (alive && !found) {
            sum.rgb += w.throughput * found_sky(p, w.direction, g, w.density, w.detailed ? 0.0 : SUN_BLUR * w.spread);
            sum.a = depth == first ? HALF_MAX : sum.a;
            alive = false;
        } else if (alive) {
            w.cone += w.spread * hit.t;
            Surface s = surface_at(p, hit, w.origin, w.direction, w.cone, w.detailed);
            s.roughness = w.detailed ? s.roughness : blurred_roughness(s.roughness, w.spread);
            // Whoever meets a body from within has been in it, wherever the walk began.
            vec3 absorption = s.behind && s.transmission > 0.0 && !s.thin ? s.absorption : w.absorption;
            w.throughput *= transmittance(absorption, hit.t);
            before = w.throughput;
            w.travelled += hit.t;
            sum.rgb += w.throughput * found_emission(p, s, hit, w.travelled, w.direction, g, w.density);
            sum.a = depth == first ? w.travelled : sum.a;
            if (depth > bounces) {
                alive = false;
            } else {
                vec4 u = vec4(sequence(index, seed ^ 1u), sequence(index, seed ^ 2u));
                vec4 v = vec4(sequence(index, seed ^ 3u), sequence(index, seed ^ 4u));
                Scatter c = scatter_at(p, s, -w.direction);
                vec3 beyond = s.behind ? vec3(0.0) : s.absorption;
                Gathering here = gathering_at(p, s.position, s.normal, is_rough_glass(c));
                if (gathers(c)) {
                    shadow = gather(p, c, here, s.geometric, absorption, beyond, hit.t, vec4(v.xy, u.w, v.z));
                } else {
                    here.share = vec3(0.0);
                }
                Onward next = scatter(c, u.xyz);
                w.throughput *= next.weight;
                w.origin = leave(s.position, next.through ? -s.geometric : s.geometric, hit.t);
                float strongest = max(max(w.throughput.r, w.throughput.g), w.throughput.b);
                alive = strongest > 0.0;
                bool free = next.straight && sheets < FREE_SHEETS;
                if (next.straight) {
                    // Shadow rays of the surface before have passed here too: what it gathers by stays.
                    sheets++;
                } else {
                    g = here;
                    w.density = next.density;
                    w.direction = next.direction;
                    w.absorption = next.through && !c.thin ? beyond : absorption;
                    w.travelled = 0.0;
                    w.spread = w.detailed || next.density < 0.0 ? w.spread : max(w.spread, DIFFUSE_SPREAD);
                }
                if (alive && !free && depth + 1u >= roulette) {
                    float survival = min(strongest, MOST_SURVIVAL);
                    alive = v.w < survival;
                    w.throughput /= survival;
                }
                depth += free ? 0u : 1u;
            }
        }
        // Not the draws of the ray that came here: both may meet the same surface.
        coverage_seed = mixed(coverage_seed) | 1u;
        sum.rgb += before * unshadowed(p, shadow);
    }
    return sum;
}
