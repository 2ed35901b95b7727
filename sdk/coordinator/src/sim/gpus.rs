//! Speeds of real GPUs, for fleets whose proportions are those of machines that can be rented.

/// Name and about what the maker announced for ray tracing in RT-TFLOPS, 2020 to 2025; noted without looking each up again.
/// Only their ratios are used. Real speeds differ less than these: the smallest and the largest are a factor of 13 apart.
pub const GPUS: [(&str, f64); 20] = [
    ("RTX 3060", 25.0),
    ("RTX 3060 Ti", 32.0),
    ("RTX 4060", 35.0),
    ("RTX A4000", 37.0),
    ("RTX 3070", 40.0),
    ("RTX 4060 Ti", 51.0),
    ("RTX A5000", 54.0),
    ("RTX 3080", 58.0),
    ("RTX 4070", 67.0),
    ("RTX 3090", 69.0),
    ("A40", 73.0),
    ("L4", 73.0),
    ("RTX A6000", 76.0),
    ("RTX 4070 Ti", 93.0),
    ("RTX 4080", 113.0),
    ("RTX 5070 Ti", 133.0),
    ("RTX 4090", 191.0),
    ("L40", 209.0),
    ("L40S", 212.0),
    ("RTX 5090", 318.0),
];

/// What counts as speed 1: an RTX 4070.
const REFERENCE: f64 = 67.0;

/// Rays a second of the reference GPU, an assumption for where nobody has measured: coherent and incoherent rays of a city as the
/// layers ask for them. `rayloom-peer doctor` measures a machine's own.
pub const REFERENCE_RAYS_PER_SECOND: f64 = 600e6;

/// Rays a second that a GPU is taken to trace, by a part of its name that only it has: `4090`, `l40s`, `RTX A6000`.
pub fn rays_per_second(name: &str) -> Option<f64> {
    let letters = |text: &str| text.to_lowercase().split_whitespace().collect::<String>();
    let wanted = letters(name);
    let is_last_word =
        |gpu: &&(&str, f64)| letters(gpu.0).strip_suffix(&wanted).is_some_and(|rest| rest.is_empty() || rest == "rtx");
    let found = GPUS.iter().find(is_last_word).filter(|_| !wanted.is_empty())?;
    Some(found.1 / REFERENCE * REFERENCE_RAYS_PER_SECOND)
}

/// Speed of the GPU at a place in the table, which goes round.
pub fn speed(index: usize) -> f64 {
    GPUS[index % GPUS.len()].1 / REFERENCE
}
