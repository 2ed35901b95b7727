//! The H.264 encoder: the crate `openh264` for the frame path, its raw interface for the two
//! things it has no safe call for (slices and a bitrate that changes in mid-stream).
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::from_mut;

use openh264::Timestamp;
use openh264::encoder::{
    BitRate, Complexity, Encoder as Core, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile,
    RateControlMode, SpsPpsStrategy, UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_RC_FRAME_SKIP,
    ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, LAYER_NUM, SBitrateInfo, SEncParamExt, SM_FIXEDSLCNUM_SLICE, SPATIAL_LAYER_0,
    SPATIAL_LAYER_ALL,
};

use crate::codec;
use crate::encoder::{Encoded, EncoderSettings};
use crate::error::StreamError;
use crate::picture::Picture;

/// From this many pixels on a frame is cut into two slices, encoded on two threads.
/// Below it the hand-over between threads eats the gain.
const TWO_SLICE_PIXELS: usize = 1280 * 720;

/// Above every bitrate that is allowed, below what level 5.2 ends at.
const MAX_BITRATE_BPS: u32 = 240_000_000;

/// A real-time H.264 encoder, constrained baseline, BT.709 limited range.
pub struct Encoder {
    core: Core,
    settings: EncoderSettings,
}

impl Encoder {
    /// Whether an encoder can be had: its library may have to be loaded.
    pub(crate) fn check() -> Result<(), StreamError> {
        codec::library().map(drop)
    }

    /// Sets the encoder up and encodes one black picture, which starts its threads and caches.
    pub fn new(settings: EncoderSettings) -> Result<Self, StreamError> {
        let library = codec::library()?;
        #[cfg(feature = "h264")]
        require_assembly()?;
        let two_slices = settings.width as usize * settings.height as usize >= TWO_SLICE_PIXELS
            && std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
        let config = EncoderConfig::new()
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Low)
            .profile(Profile::Baseline)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(settings.bitrate_bps))
            .max_frame_rate(FrameRate::from_hz(settings.max_fps))
            // IDRs come when a viewer needs one, never on a guess.
            .scene_change_detect(false)
            .intra_frame_period(IntraFramePeriod::auto())
            .sps_pps_strategy(SpsPpsStrategy::ConstantId)
            .num_threads(if two_slices { 2 } else { 1 })
            .vui(VuiConfig::bt709());
        let core = Core::with_api_config(library, config).map_err(failed)?;
        let mut encoder = Self { core, settings };
        // The crate initialises the core at the first picture; options exist only after that.
        let black = Picture::black(settings.width, settings.height);
        encoder.encode(&black, 0)?;
        if two_slices {
            encoder.set_slices(2)?;
        }
        // The core refuses a bitrate above its maximum, which the crate sets to the first one.
        encoder.set_rate(ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, MAX_BITRATE_BPS)?;
        encoder.never_skip()?;
        encoder.request_idr();
        Ok(encoder)
    }

    /// What the encoder was made for, with the bitrate as last set.
    pub fn settings(&self) -> EncoderSettings {
        self.settings
    }

    /// Encodes one picture of the encoder's size. `time_ms` must not go backwards.
    pub fn encode(&mut self, picture: &Picture, time_ms: u64) -> Result<Encoded, StreamError> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        if (picture.width(), picture.height()) != (self.settings.width, self.settings.height) {
            return Err(StreamError::Encoder(format!(
                "a picture of {width}x{height} was given to an encoder for {}x{}",
                self.settings.width, self.settings.height
            )));
        }
        let (y, u, v) = picture.planes();
        let source = YUVSlices::new((y, u, v), (width, height), (width, width / 2, width / 2));
        let time = Timestamp::from_millis(time_ms.min(i64::MAX as u64));
        let stream = self.core.encode_at(&source, time).map_err(failed)?;
        let idr = matches!(stream.frame_type(), FrameType::IDR);
        let mut annex_b = Vec::with_capacity(64 * 1024);
        stream.write_vec(&mut annex_b);
        Ok(Encoded { annex_b: annex_b.into(), idr })
    }

    /// Makes the next picture an IDR.
    pub fn request_idr(&mut self) {
        self.core.force_intra_frame();
    }

    /// Changes the bitrate from the next picture on, without an IDR. Takes microseconds.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), StreamError> {
        self.set_rate(ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, bitrate_bps)?;
        self.settings.bitrate_bps = bitrate_bps;
        Ok(())
    }

    fn set_rate(&mut self, option: ENCODER_OPTION, layer: LAYER_NUM, bitrate_bps: u32) -> Result<(), StreamError> {
        let mut info = SBitrateInfo { iLayer: layer, iBitrate: c_int::try_from(bitrate_bps).unwrap_or(c_int::MAX) };
        // SAFETY: both bitrate options read one `SBitrateInfo` and keep no pointer to it; the
        // core was initialised by the first picture in `new`.
        unsafe { self.set_option(option, from_mut(&mut info).cast()) }
    }

    /// Cuts every picture into `slices`, one thread each. Resets the core, so an IDR follows.
    fn set_slices(&mut self, slices: u32) -> Result<(), StreamError> {
        let mut params = SEncParamExt::default();
        let target = from_mut(&mut params).cast::<c_void>();
        // SAFETY: this option writes one `SEncParamExt`, which `target` points at, and the core
        // was initialised by the first picture in `new`.
        let code = unsafe { self.core.raw_api().get_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, target) };
        if code != 0 {
            return Err(StreamError::Encoder(format!("its parameters can't be read (code {code})")));
        }
        let layer = &mut params.sSpatialLayers[0].sSliceArgument;
        layer.uiSliceMode = SM_FIXEDSLCNUM_SLICE;
        layer.uiSliceNum = slices;
        // SAFETY: this option reads one `SEncParamExt`, the one the core itself has just filled.
        unsafe { self.set_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, from_mut(&mut params).cast()) }
    }

    /// A skipped picture is a freeze at the player; a coarser one is not. (Set here: as a part of
    /// the configuration it makes the core print a warning.)
    fn never_skip(&mut self) -> Result<(), StreamError> {
        let mut skip = false;
        // SAFETY: this option reads one C++ `bool`, which has the layout of Rust's.
        unsafe { self.set_option(ENCODER_OPTION_RC_FRAME_SKIP, from_mut(&mut skip).cast()) }
    }

    /// Sets one option of the core.
    ///
    /// # Safety
    /// `value` must point at a live object of the type that `option` reads.
    unsafe fn set_option(&mut self, option: ENCODER_OPTION, value: *mut c_void) -> Result<(), StreamError> {
        // SAFETY: the caller promises that `value` fits `option`; bitrate and slices are not
        // options that the crate's own frame path depends on.
        let code = unsafe { self.core.raw_api().set_option(option, value) };
        if code == 0 {
            return Ok(());
        }
        Err(StreamError::Encoder(format!("option {option} was refused (code {code})")))
    }
}

fn failed(error: openh264::Error) -> StreamError {
    StreamError::Encoder(error.to_string())
}

#[cfg(all(feature = "h264", any(target_arch = "x86", target_arch = "x86_64")))]
unsafe extern "C" {
    /// Exists in the core's assembly only. **If the linker does not find it, the core was once
    /// built without nasm: install nasm, run `cargo clean -p openh264-sys2`, and build again.**
    fn WelsCPUIdVerify() -> c_int;
}

/// Ties the program to the assembled core: see `WelsCPUIdVerify`. The build script can only see
/// that nasm is here now, not whether a cached core was built with it.
#[cfg(feature = "h264")]
fn require_assembly() -> Result<(), StreamError> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        // SAFETY: takes nothing, reads the CPU's flags register and restores it.
        if unsafe { WelsCPUIdVerify() } == 0 {
            return Err(StreamError::Encoder("this CPU has no CPUID instruction".to_owned()));
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "h264"))]
mod tests {
    use super::*;
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;

    fn settings(width: u32, height: u32) -> EncoderSettings {
        EncoderSettings { width, height, max_fps: 30.0, bitrate_bps: 2_000_000 }
    }

    fn gradient(width: u32, height: u32, shift: u32) -> Picture {
        let mut rgba = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let wave = (x + shift) * 255 / width.max(1);
                rgba.extend([wave as u8, (y * 255 / height) as u8, (x ^ y) as u8 & 0x3f, 255]);
            }
        }
        let mut picture = Picture::black(width, height);
        picture.fill_from_rgba(&rgba, width, height, width as usize * 4).unwrap();
        picture
    }

    fn nal_types(annex_b: &[u8]) -> Vec<u8> {
        openh264::nal_units(annex_b).map(|nal| nal[if nal[2] == 1 { 3 } else { 4 }] & 0x1f).collect()
    }

    #[test]
    fn the_first_picture_is_an_idr_in_constrained_baseline() {
        let mut encoder = Encoder::new(settings(320, 180)).unwrap();
        let first = encoder.encode(&gradient(320, 180, 0), 10).unwrap();
        assert!(first.idr);
        assert_eq!(nal_types(&first.annex_b), [7, 8, 5]);
        let sps = &first.annex_b[4..];
        assert_eq!(sps[1], 66, "profile_idc: baseline");
        assert_eq!(sps[2] & 0x40, 0x40, "constraint_set1: constrained baseline");
        assert!(!encoder.encode(&gradient(320, 180, 2), 43).unwrap().idr);
    }

    #[test]
    fn an_idr_comes_when_asked_for_and_only_then() {
        let mut encoder = Encoder::new(settings(320, 180)).unwrap();
        let mut idrs = Vec::new();
        for frame in 0..8 {
            if frame == 5 {
                encoder.request_idr();
            }
            let picture = gradient(320, 180, frame * 3);
            idrs.push(encoder.encode(&picture, u64::from(frame) * 33).unwrap().idr);
        }
        assert_eq!(idrs, [true, false, false, false, false, true, false, false]);
    }

    #[test]
    fn large_pictures_have_two_slices_and_decode_closely() {
        let mut encoder = Encoder::new(settings(1280, 720)).unwrap();
        let picture = gradient(1280, 720, 0);
        let encoded = encoder.encode(&picture, 10).unwrap();
        if std::thread::available_parallelism().unwrap().get() >= 2 {
            assert_eq!(nal_types(&encoded.annex_b), [7, 8, 5, 5]);
        }
        let mut decoder = Decoder::new().unwrap();
        let decoded = decoder.decode(&encoded.annex_b).unwrap().unwrap();
        let stride = decoded.strides().0;
        let mut squares = 0.0;
        for (row, line) in picture.planes().0.chunks(1280).enumerate() {
            for (column, value) in line.iter().enumerate() {
                let error = f64::from(*value) - f64::from(decoded.y()[row * stride + column]);
                squares += error * error;
            }
        }
        let psnr = 10.0 * (255.0 * 255.0 / (squares / (1280.0 * 720.0))).log10();
        assert!(psnr > 30.0, "luma PSNR {psnr:.1} dB");
    }

    #[test]
    fn the_bitrate_changes_both_ways_without_an_idr() {
        // Noise that never repeats: the rate control has to work for its target.
        let mut state = 1_u32;
        let mut noise = move || {
            let mut picture = Picture::black(320, 180);
            let rgba: Vec<u8> = (0..320 * 180 * 4)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 26) as u8 + 90
                })
                .collect();
            picture.fill_from_rgba(&rgba, 320, 180, 320 * 4).unwrap();
            picture
        };
        let mut encoder = Encoder::new(settings(320, 180)).unwrap();
        let mut bytes = Vec::new();
        for (step, rate) in [1_000_000, 4_000_000, 500_000].into_iter().enumerate() {
            encoder.set_bitrate(rate).unwrap();
            let mut sum = 0;
            for frame in 0..45_u64 {
                let encoded = encoder.encode(&noise(), (step as u64 * 45 + frame) * 33).unwrap();
                assert!(!encoded.idr || (step == 0 && frame == 0));
                if frame >= 15 {
                    sum += encoded.annex_b.len();
                }
            }
            bytes.push(sum);
        }
        assert!(bytes[1] > bytes[0] * 2 && bytes[2] * 3 < bytes[1], "bytes per step: {bytes:?}");
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let mut encoder = Encoder::new(settings(320, 180)).unwrap();
        let error = encoder.encode(&Picture::black(160, 90), 0).unwrap_err().to_string();
        assert!(error.contains("160x90") && error.contains("320x180"), "{error}");
    }
}
