// The CUDA built-ins that the kernels use, for clang without a CUDA toolkit: a check of syntax, types and address spaces
// down to PTX.
#pragma once
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ __inline__ __attribute__((always_inline))

struct dim { unsigned int x, y, z; };

static __device__ __forceinline__ dim of(int x, int y, int z) { return {(unsigned int)x, (unsigned int)y, (unsigned int)z}; }

#define threadIdx of(__nvvm_read_ptx_sreg_tid_x(), 0, 0)
#define blockDim of(__nvvm_read_ptx_sreg_ntid_x(), 1, 1)
#define blockIdx of(__nvvm_read_ptx_sreg_ctaid_x(), __nvvm_read_ptx_sreg_ctaid_y(), __nvvm_read_ptx_sreg_ctaid_z())
#define gridDim of(__nvvm_read_ptx_sreg_nctaid_x(), __nvvm_read_ptx_sreg_nctaid_y(), __nvvm_read_ptx_sreg_nctaid_z())

static __device__ __forceinline__ float __shfl_xor_sync(unsigned int mask, float x, int lanes)
{
    return __nvvm_shfl_sync_bfly_f32(mask, x, lanes, 31);
}

static __device__ __forceinline__ float rsqrtf(float x) { return __nvvm_rsqrt_approx_f(x); }

static __device__ __forceinline__ float expf(float x) { return __nvvm_ex2_approx_f(x * 1.4426950408889634f); }
