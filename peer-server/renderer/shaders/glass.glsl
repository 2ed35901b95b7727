// Glass: how much of light its faces reflect.

// Below this a lobe is a mirror or clear glass, which no light's direction falls into.
const float DELTA_ALPHA = 0.0015;

// Of one face; `eta` is the index beyond over the one before it.
float fresnel_dielectric(float cosine, float eta) {
    float sin2 = (1.0 - cosine * cosine) / (eta * eta);
    if (sin2 >= 1.0) {
        return 1.0;
    }
    float beyond = sqrt(1.0 - sin2);
    float s = (cosine - eta * beyond) / (cosine + eta * beyond);
    float q = (eta * cosine - beyond) / (eta * cosine + beyond);
    return 0.5 * (s * s + q * q);
}

// Of both faces of a thin sheet: R + (1-R)^2 R + (1-R)^2 R^3 + ..., what goes to and fro between them included.
float sheet_reflectance(float cosine, float eta) {
    float r = fresnel_dielectric(cosine, eta);
    return 2.0 * r / (1.0 + r);
}
