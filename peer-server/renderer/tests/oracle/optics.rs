//! Closed forms of optics in double precision, for whatever a test computes anew.

/// Smith's auxiliary function of GGX at a cosine to the normal.
pub(super) fn lambda(cosine: f64, alpha: f64) -> f64 {
    let tan2 = 1.0 / (cosine * cosine) - 1.0;
    ((1.0 + alpha * alpha * tan2).sqrt() - 1.0) * 0.5
}

/// Unpolarised reflectance; `eta` is the index beyond over the one before.
pub(super) fn fresnel(cosine: f64, eta: f64) -> f64 {
    let sin2 = (1.0 - cosine * cosine) / (eta * eta);
    if sin2 >= 1.0 {
        return 1.0;
    }
    let beyond = (1.0 - sin2).sqrt();
    let s = (cosine - eta * beyond) / (cosine + eta * beyond);
    let p = (beyond - eta * cosine) / (beyond + eta * cosine);
    (s * s + p * p) * 0.5
}
