//! Pointers from C: checked for NULL and alignment, descriptors for type and size, before anything behind them is used.

use crate::result::{Failure, RAYLOOM_UNKNOWN_STRUCT};
use std::ffi::{CStr, c_char, c_void};

/// What every descriptor begins with.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Header {
    struct_type: u32,
    struct_size: u32,
    next: *const c_void,
}

/// A struct of the header that begins with struct_type, struct_size, next.
///
/// # Safety
/// The type is `repr(C)`, begins with the fields of [`Header`], and any bits in its other fields are valid values.
pub(crate) unsafe trait Descriptor: Copy {
    /// Value of its struct_type.
    const TYPE: u32;
    /// Its name in messages.
    const NAME: &'static str;
}

macro_rules! descriptor {
    ($type:ident, $value:expr) => {
        // SAFETY: `repr(C)`, begins with the header's fields; all fields are numbers and raw pointers.
        unsafe impl $crate::pointer::Descriptor for $type {
            const TYPE: u32 = $value;
            const NAME: &'static str = stringify!($type);
        }
    };
}
pub(crate) use descriptor;

/// Copies a descriptor.
///
/// # Safety
/// If `pointer` is not NULL there are as many readable bytes behind it as its own struct_size says, at least 16.
pub(crate) unsafe fn read<T: Descriptor>(what: &str, pointer: *const T) -> Result<T, Failure> {
    check(what, pointer)?;
    // SAFETY: not NULL and aligned; the caller vouches for the first 16 bytes.
    let header = unsafe { pointer.cast::<Header>().read() };
    check_header::<T>(what, header)?;
    // SAFETY: the size was compared just now; any bits are a valid descriptor.
    Ok(unsafe { pointer.read() })
}

/// Copies a descriptor, and the one that its `next` may point to.
///
/// # Safety
/// As [`read`], for both.
pub(crate) unsafe fn read_extended<T: Descriptor, E: Descriptor>(
    what: &str,
    pointer: *const T,
) -> Result<(T, Option<E>), Failure> {
    check(what, pointer)?;
    // SAFETY: as in `read`.
    let header = unsafe { pointer.cast::<Header>().read() };
    check_header::<T>(what, Header { next: std::ptr::null(), ..header })?;
    let extension = if header.next.is_null() {
        None
    } else {
        // SAFETY: the caller vouches for it.
        Some(unsafe { read(&format!("{what}->next"), header.next.cast::<E>()) }?)
    };
    // SAFETY: as in `read`.
    Ok((unsafe { pointer.read() }, extension))
}

/// A place for a result, written only on success.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes the result.
    pub(crate) fn write(self, value: T) {
        // SAFETY: `out` and `out_struct` checked the pointer; their callers vouch for the memory behind it.
        unsafe { self.0.write(value) }
    }
}

/// A place for a plain result.
///
/// # Safety
/// If `pointer` is not NULL it points to writable memory of a `T` that nobody else uses during the call.
pub(crate) unsafe fn out<T>(what: &str, pointer: *mut T) -> Result<Out<T>, Failure> {
    check(what, pointer)?;
    Ok(Out(pointer))
}

/// A place for a result that is a descriptor: its type and size are checked.
///
/// # Safety
/// As [`read`] and [`out`].
pub(crate) unsafe fn out_struct<T: Descriptor>(what: &str, pointer: *mut T) -> Result<Out<T>, Failure> {
    check(what, pointer)?;
    // SAFETY: as in `read`.
    let header = unsafe { pointer.cast::<Header>().read() };
    check_header::<T>(what, header)?;
    Ok(Out(pointer))
}

/// An array; empty when `count` is 0, whatever the pointer.
///
/// # Safety
/// If `count` is not 0 there are that many readable `T` behind `pointer`, which nobody writes during the call, and any bits
/// are a valid `T`.
pub(crate) unsafe fn slice<'a, T: Copy>(what: &str, pointer: *const T, count: usize) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    check(what, pointer)?;
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(format!("{what} has {count} elements, which no memory holds")));
    }
    // SAFETY: not NULL, aligned, and not longer than memory can be; the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// An array to be written.
///
/// # Safety
/// As [`slice`], with writable memory that nobody else uses during the call.
pub(crate) unsafe fn slice_mut<'a, T: Copy>(what: &str, pointer: *mut T, count: usize) -> Result<&'a mut [T], Failure> {
    if count == 0 {
        return Ok(&mut []);
    }
    check(what, pointer)?;
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(format!("{what} has {count} elements, which no memory holds")));
    }
    // SAFETY: as in `slice`; nobody else uses the memory.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, count) })
}

/// A text that must be there.
///
/// # Safety
/// If `pointer` is not NULL, a NUL-terminated text is behind it that nobody writes during the call.
pub(crate) unsafe fn text<'a>(what: &str, pointer: *const c_char) -> Result<&'a str, Failure> {
    check(what, pointer)?;
    // SAFETY: not NULL; the caller vouches for the terminator.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|error| Failure::argument(format!("{what} is not UTF-8: {error}")))
}

/// A text that may be NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(what: &str, pointer: *const c_char) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for it.
    unsafe { text(what, pointer) }.map(Some)
}

/// Writes `text` with its NUL into `capacity` bytes, cut at a character where it does not fit, and its whole length.
///
/// # Safety
/// If `capacity` is not 0 that many bytes are writable behind `pointer`; `length` is NULL or a place for a number.
pub(crate) unsafe fn write_text(
    text: &str,
    capacity: usize,
    pointer: *mut c_char,
    length: *mut usize,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for it; any byte is a valid c_char.
    let buffer = unsafe { slice_mut("text", pointer, capacity) }?;
    if !length.is_null() {
        // SAFETY: the caller vouches for it.
        unsafe { out("length", length) }?.write(text.len());
    }
    copy_text(text, buffer);
    Ok(())
}

/// Copies `text` with its NUL into a fixed array, cut at a character where it does not fit.
pub(crate) fn copy_text(text: &str, buffer: &mut [c_char]) {
    let Some(last) = buffer.len().checked_sub(1) else { return };
    let end = text.floor_char_boundary(last);
    for (slot, byte) in buffer.iter_mut().zip(text.as_bytes()[..end].iter().chain([&0])) {
        *slot = *byte as c_char;
    }
}

fn check<T>(what: &str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("{what} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(format!("{what} is {pointer:p}, which is not aligned to {}", align_of::<T>())));
    }
    Ok(())
}

fn check_header<T: Descriptor>(what: &str, header: Header) -> Result<(), Failure> {
    let Header { struct_type, struct_size, next } = header;
    let unknown = |text| Err(Failure::new(RAYLOOM_UNKNOWN_STRUCT, text));
    if struct_type != T::TYPE {
        let wanted = T::TYPE;
        return unknown(format!(
            "{what}->struct_type is {struct_type}, a {} has {wanted}: use its _INIT macro",
            T::NAME
        ));
    }
    if struct_size as usize != size_of::<T>() {
        let size = size_of::<T>();
        return unknown(format!(
            "{what}->struct_size is {struct_size}, a {} has {size}: header and library are of different versions",
            T::NAME
        ));
    }
    if !next.is_null() {
        return unknown(format!("{what}->next is {next:p}: no extension of {} is known, it must be NULL", T::NAME));
    }
    Ok(())
}
