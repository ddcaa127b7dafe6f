/* 4 lanes, on every aarch64. */
#include "sha1.h"

#ifdef SHA1_ARM
#include <arm_neon.h>

#define LANES 4
#define SIGN sha1_sign_neon
#define LAY sha1_lay_neon
#define TARGET
#define BYTESWAP(x) ((vec)vrev32q_u8((uint8x16_t)(x)))
#include "lanes.h"
#include "frame.h"
#else
typedef int sha1_no_neon;
#endif
