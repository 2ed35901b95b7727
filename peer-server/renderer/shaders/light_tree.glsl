// A tree over all lights with a place: picks one by what it may bring to a point, and says how likely it picks which.
// Conty Estevez and Kulla, "Importance Sampling of Many Lights with Adaptive Tree Splitting", 2018, as in pbrt-v4 12.6.3.
// Built by src/light_tree.rs.

// One node: 4 vec4. 0: least corner, power; 1: greatest corner, right child or (leaf) light; 2: axis of the cone of its
// normals, cosine of the cone's half angle; 3: cosine of how far light leaves the normals, flags.
// The left child follows its parent.
const uint TREE_VECTORS = 4u;
const uint TREE_LEAF = 1u;
const uint TREE_BOTH_SIDES = 2u;

// cos(max(a - b, 0)) by the sines and cosines of both.
float cosine_less(float sin_a, float cos_a, float sin_b, float cos_b) {
    return cos_a > cos_b ? 1.0 : cos_a * cos_b + sin_a * sin_b;
}

float sine_less(float sin_a, float cos_a, float sin_b, float cos_b) {
    return cos_a > cos_b ? 0.0 : sin_a * cos_b - cos_a * sin_b;
}

float sine_of(float cosine) {
    return sqrt(max(1.0 - cosine * cosine, 0.0));
}

// An upper guess of what comes from the node to a surface that faces `normal` (0: all sides), without shadows.
float tree_importance(Params p, uint node, vec3 position, vec3 normal) {
    Vectors nodes = Vectors(p.light_tree);
    vec4 low = nodes.v[node * TREE_VECTORS];
    vec4 high = nodes.v[node * TREE_VECTORS + 1u];
    vec4 cone = nodes.v[node * TREE_VECTORS + 2u];
    vec4 rest = nodes.v[node * TREE_VECTORS + 3u];
    vec3 center = (low.xyz + high.xyz) * 0.5;
    vec3 diagonal = high.xyz - low.xyz;
    float radius2 = dot(diagonal, diagonal) * 0.25;
    vec3 to = center - position;
    float d2 = dot(to, to);
    vec3 towards = to * inversesqrt(max(d2, 1e-20));
    float sin_b = d2 > radius2 ? sqrt(radius2 / d2) : 0.0;
    float cos_b = d2 > radius2 ? sqrt(max(1.0 - radius2 / d2, 0.0)) : -1.0;
    float cos_w = -dot(cone.xyz, towards);
    if ((floatBitsToUint(rest.y) & TREE_BOTH_SIDES) != 0u) {
        cos_w = abs(cos_w);
    }
    float sin_w = sine_of(cos_w);
    float sin_o = sine_of(cone.w);
    float cos_x = cosine_less(sin_w, cos_w, sin_o, cone.w);
    float sin_x = sine_less(sin_w, cos_w, sin_o, cone.w);
    float cos_leaving = cosine_less(sin_x, cos_x, sin_b, cos_b);
    if (cos_leaving <= rest.x) {
        return 0.0;
    }
    float importance = low.w * max(cos_leaving, 0.02) / max(d2, sqrt(radius2) * 0.5 + 1e-8);
    if (dot(normal, normal) > 0.0) {
        float cos_i = dot(normal, towards);
        importance *= max(cosine_less(sine_of(cos_i), cos_i, sin_b, cos_b), 0.0);
    }
    return importance;
}

struct LightPick {
    uint light; // ~0 where none can be seen
    float probability;
};

LightPick tree_pick(Params p, vec3 position, vec3 normal, float u) {
    LightPick pick = LightPick(0xffffffffu, 1.0);
    uint node = 0u;
    while (true) {
        Vectors nodes = Vectors(p.light_tree);
        uint next = floatBitsToUint(nodes.v[node * TREE_VECTORS + 1u].w);
        if ((floatBitsToUint(nodes.v[node * TREE_VECTORS + 3u].y) & TREE_LEAF) != 0u) {
            pick.light = next;
            return pick;
        }
        float left = tree_importance(p, node + 1u, position, normal);
        float right = tree_importance(p, next, position, normal);
        float sum = left + right;
        if (!(sum > 0.0)) {
            return pick;
        }
        float share = left / sum;
        if (u < share) {
            u = min(u / share, 0.99999994);
            pick.probability *= share;
            node = node + 1u;
        } else {
            u = min((u - share) / (1.0 - share), 0.99999994);
            pick.probability *= 1.0 - share;
            node = next;
        }
    }
}

// The probability with which tree_pick() takes the light at the end of this way: its lowest bit is the first turn, 1 right.
float tree_probability(Params p, vec3 position, vec3 normal, uint way) {
    float probability = 1.0;
    uint node = 0u;
    while (true) {
        Vectors nodes = Vectors(p.light_tree);
        if ((floatBitsToUint(nodes.v[node * TREE_VECTORS + 3u].y) & TREE_LEAF) != 0u) {
            return probability;
        }
        uint next = floatBitsToUint(nodes.v[node * TREE_VECTORS + 1u].w);
        float left = tree_importance(p, node + 1u, position, normal);
        float right = tree_importance(p, next, position, normal);
        bool to_right = (way & 1u) != 0u;
        if (!((to_right ? right : left) > 0.0)) {
            return 0.0;
        }
        probability *= (to_right ? right : left) / (left + right);
        node = to_right ? next : node + 1u;
        way >>= 1u;
    }
}
