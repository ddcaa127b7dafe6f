/* The instructions of x86's vectors and of its SHA extension, as functions. */
#ifndef COSSIGN_X86_H
#define COSSIGN_X86_H

#include <immintrin.h>

/* Where clang-cl compiles, immintrin.h has only what every CPU of the build has. Our functions name what they need. */
#if defined(__clang__) && defined(_MSC_VER)
#include <tmmintrin.h>

#include <smmintrin.h>

#include <avxintrin.h>

#include <avx2intrin.h>

#include <avx512fintrin.h>

#include <avx512bwintrin.h>

#include <shaintrin.h>
#endif

#endif
