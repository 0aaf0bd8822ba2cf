#pragma once
// Magicless frames, contexts in memory of our own, and training with parameters are in this part of the API. Debian's
// shared library has all of it.
#define ZSTD_STATIC_LINKING_ONLY
#define ZDICT_STATIC_LINKING_ONLY
#define ZDICT_DISABLE_DEPRECATE_WARNINGS
#include <stddef.h>
#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

// Macros with casts, and names of parameters that are macros, do not reach Swift.
static const ZSTD_cParameter mesh_zstd_c_format = ZSTD_c_format;
static const ZSTD_dParameter mesh_zstd_d_format = ZSTD_d_format;
