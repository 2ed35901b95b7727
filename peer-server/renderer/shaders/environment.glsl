// The light of the sky: three colours over the height of a direction.

vec3 environment(Params p, vec3 direction) {
    float y = normalize(direction).y;
    return y >= 0.0 ? mix(p.horizon.rgb, p.zenith.rgb, y) : mix(p.horizon.rgb, p.ground.rgb, -y);
}
