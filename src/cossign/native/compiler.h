/* What the compiler can do. */
#ifndef COSSIGN_COMPILER_H
#define COSSIGN_COMPILER_H

#if defined(__GNUC__) || defined(__clang__)
#define GNU_C 1 /* vectors of 16 bytes, attributes, builtins: GCC, Clang, and clang-cl, which has no __GNUC__ */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#endif

#if defined(GNU_C) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define WIDE_VECTORS 1 /* GCC 12 or Clang */
#endif
#endif
#if defined(WIDE_VECTORS) && defined(__x86_64__)
#define ENGINES_X86 1
#endif
#if defined(WIDE_VECTORS) && defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ENGINES_ARM 1
/* Clang before 16 has no functions for the SHA instructions, unless its options say that every CPU has them. */
#if !defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_SHA2)
#define ENGINE_ARMV8 1
#endif
#endif

#endif
