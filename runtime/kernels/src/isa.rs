//! Which instructions to use, found out when the program runs.

/// A set of instructions that this CPU has. Values come from [`Isa::detect`] and [`Isa::available`] alone, which is what
/// makes calling the code behind them sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(miri, allow(dead_code, reason = "only the portable one is made there"))]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "aarch64")]
    DotProd,
    #[cfg(target_arch = "aarch64")]
    I8mm,
}

impl Isa {
    /// Plain Rust, for any CPU.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest set that this CPU has.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::PORTABLE)
    }

    /// All sets that this CPU has, slowest first.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(miri, allow(unused_mut, reason = "nothing is added there"))]
        let mut kinds = vec![Kind::Portable];
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 {
                kinds.push(Kind::Avx2);
            }
            if avx2 && is_x86_feature_detected!("avxvnni") {
                kinds.push(Kind::AvxVnni);
            }
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 && is_x86_feature_detected!("avx512vnni") {
                kinds.push(Kind::Avx512Vnni);
            }
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        {
            use std::arch::is_aarch64_feature_detected;
            kinds.push(Kind::Neon);
            if is_aarch64_feature_detected!("dotprod") {
                kinds.push(Kind::DotProd);
            }
            if is_aarch64_feature_detected!("dotprod") && is_aarch64_feature_detected!("i8mm") {
                kinds.push(Kind::I8mm);
            }
        }
        kinds.into_iter().map(Self).collect()
    }

    /// Its name, as in the benchmark's tables.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Kind::DotProd => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            Kind::I8mm => "neon-i8mm",
        }
    }
}

/// Makes `pub fn name(isa, ...)` of `fn body<A: Dot>(...)`: the body, which must be `#[inline(always)]` all the way down,
/// is compiled once for each set of instructions.
macro_rules! for_each_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name(isa: crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[allow(unused_macros, reason = "not every CPU has more than the portable one")]
            macro_rules! with {
                ($features:literal, $dot:ty) => {{
                    #[target_feature(enable = $features)]
                    fn with($($arg: $ty),*) $(-> $ret)? {
                        $body::<$dot>($($arg),*)
                    }
                    // SAFETY: a value of this kind is only made where the CPU has these features (`Isa::available`).
                    unsafe { with($($arg),*) }
                }};
            }
            match isa.0 {
                crate::isa::Kind::Portable => $body::<crate::dot::Portable>($($arg),*),
                #[cfg(target_arch = "x86_64")]
                crate::isa::Kind::Avx2 => with!("avx2,fma", crate::dot::Avx2),
                #[cfg(target_arch = "x86_64")]
                crate::isa::Kind::AvxVnni => with!("avx2,fma,avxvnni", crate::dot::AvxVnni),
                #[cfg(target_arch = "x86_64")]
                crate::isa::Kind::Avx512Vnni => {
                    with!("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni", crate::dot::Avx512Vnni)
                }
                #[cfg(target_arch = "aarch64")]
                crate::isa::Kind::Neon => with!("neon", crate::dot::Neon),
                #[cfg(target_arch = "aarch64")]
                crate::isa::Kind::DotProd => with!("neon,dotprod", crate::dot::DotProd),
                #[cfg(target_arch = "aarch64")]
                crate::isa::Kind::I8mm => with!("neon,dotprod,i8mm", crate::dot::I8mm),
            }
        }
    };
}
pub(crate) use for_each_isa;
