/* 4 lanes, on every aarch64. */
#include "sha1.h"

#ifdef ENGINES_ARM
#include <arm_neon.h>

#define LANES 4
#define SIGN sha1_sign_neon
#define LAY frame_lay_neon
#define TARGET
#define BYTESWAP(x) ((vec)vrev32q_u8((uint8x16_t)(x)))
#include "lanes.h"
#include "../text/lay.h"
#else
typedef int sha1_no_neon;
#endif
