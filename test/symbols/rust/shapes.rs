//! Values of the kinds that Rust has and C has not: enums with values, generics, slices, tuples, and names in modules.
#![feature(no_core, lang_items, auto_traits, rustc_attrs, arbitrary_self_types)]
#![allow(internal_features, dead_code)]
#![no_core]
#![crate_type = "lib"]

#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
#[lang = "sync"]
pub unsafe auto trait Sync {}
#[lang = "freeze"]
unsafe auto trait Freeze {}
#[lang = "unsize"]
pub trait Unsize<T: PointeeSized>: PointeeSized {}
#[lang = "drop_in_place"]
pub unsafe fn drop_in_place<T: PointeeSized>(_: *mut T) {}
#[lang = "coerce_unsized"]
pub trait CoerceUnsized<T> {}
impl<'a, 'b: 'a, T: PointeeSized + Unsize<U>, U: PointeeSized> CoerceUnsized<&'a U> for &'b T {}

pub enum Option<T> {
    None,
    Some(T),
}
use Option::{None, Some};

pub mod geometry {
    pub struct Point<T> {
        pub x: T,
        pub y: T,
    }
    pub enum Shape {
        Nothing,
        Circle { center: Point<i32>, radius: u32 },
        Line(Point<i32>, Point<i32>),
        Named(&'static str),
    }
    pub enum Color {
        Red = 1,
        Green = 2,
        Far = 1000,
    }
    pub union Bits {
        pub number: u32,
        pub bytes: [u8; 4],
    }
}
use geometry::{Bits, Color, Point, Shape};

#[no_mangle] pub static POINT: Point<i32> = Point { x: 0xffff_fffdu32 as i32, y: 4 };
#[no_mangle] pub static FINE: Point<f64> = Point { x: 0.5, y: 2.25 };
#[no_mangle] pub static NOTHING: Shape = Shape::Nothing;
#[no_mangle] pub static CIRCLE: Shape = Shape::Circle { center: Point { x: 1, y: 2 }, radius: 7 };
#[no_mangle] pub static LINE: Shape = Shape::Line(Point { x: 1, y: 2 }, Point { x: 3, y: 4 });
#[no_mangle] pub static NAMED: Shape = Shape::Named("hexagon");
#[no_mangle] pub static COLOR: Color = Color::Far;
#[no_mangle] pub static NUMBER: Option<u16> = Some(513);
#[no_mangle] pub static NO_NUMBER: Option<u16> = None;
#[no_mangle] pub static REFERENCE: Option<&'static i32> = Some(&POINT.x);
#[no_mangle] pub static NO_REFERENCE: Option<&'static i32> = None;
#[no_mangle] pub static NESTED: Option<Option<bool>> = Some(Some(true));
#[no_mangle] pub static TUPLE: (u8, &'static str, bool) = (200, "two", false);
#[no_mangle] pub static LETTERS: [char; 3] = ['a', 'é', '☃'];
#[no_mangle] pub static SLICE: &'static [u16] = &[10, 20, 30];
#[no_mangle] pub static BITS: Bits = Bits { number: 0x0403_0201 };
#[no_mangle] pub static WIDE: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
