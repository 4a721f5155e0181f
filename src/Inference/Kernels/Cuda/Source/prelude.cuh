// What all kernels share. Compiled by NVRTC without any header, and by a host compiler for the tests, which define
// EMULATED and provide the built-ins first. ELEMENT_BF16 chooses the number type of weights, activations and KV cache.
#ifndef EMULATED
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define SHARED(type, name, count) __shared__ type name[count]
#endif

#define WARP 32
#define MAX_THREADS 256

DEVICE float as_float(unsigned int bits)
{
    union { unsigned int bits; float value; } both;
    both.bits = bits;
    return both.value;
}

DEVICE float widen_bf16(unsigned short x) { return as_float((unsigned int)x << 16); }

#ifdef ELEMENT_BF16
typedef unsigned short element;

DEVICE unsigned int as_bits(float value)
{
    union { unsigned int bits; float value; } both;
    both.value = value;
    return both.bits;
}

DEVICE float widen(element x) { return widen_bf16(x); }

// To the nearest, ties to even; a NaN stays one.
DEVICE element narrow(float x)
{
    unsigned int bits = as_bits(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (element)((bits >> 16) | 0x40u);
    return (element)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
#else
typedef float element;

DEVICE float widen(element x) { return x; }

DEVICE element narrow(float x) { return x; }
#endif

// Two neighbours, read or written at once; the first has an even index.
struct alignas(2 * sizeof(element)) pair
{
    element first, second;
};

// Sum over the lanes of a group of `lanes` (a power of two up to a warp); every lane of the warp calls it and gets its group's sum.
DEVICE float group_sum(float x, int lanes)
{
    for (int offset = lanes / 2; offset > 0; offset /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
}

DEVICE float warp_max(float x)
{
    for (int offset = WARP / 2; offset > 0; offset /= 2)
    {
        float other = __shfl_xor_sync(0xffffffffu, x, offset);
        x = other > x ? other : x;
    }

    return x;
}

// Sum over the block, the same for every thread; the number of threads is a multiple of WARP.
DEVICE float block_sum(float x)
{
    SHARED(float, partial, MAX_THREADS / WARP);
    int warps = blockDim.x / WARP;
    x = group_sum(x, WARP);
    __syncthreads();
    if (threadIdx.x % WARP == 0)
        partial[threadIdx.x / WARP] = x;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < warps; i++)
        sum += partial[i];
    return sum;
}
