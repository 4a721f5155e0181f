using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Matrix products for few rows, where a library call costs more than the arithmetic or reading the weights once is all there is.</summary>
internal static unsafe class CpuLinear
{
    private const int Lanes = 16;

    /// <summary>y[r, o] = Σ_i x[r, i] · w[o, i], or added to y.</summary>
    /// <param name="x">Rows of <paramref name="inner"/> elements, <paramref name="strideX"/> apart.</param>
    /// <param name="w">[outputs, inner]</param>
    /// <param name="y">Rows of <paramref name="outputs"/> elements, <paramref name="strideY"/> apart.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<T>(T* x, nint strideX, T* w, int inner, T* y, nint strideY, int rows, int outputs, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        // Weights outside, rows inside: four weight rows stay in the first-level cache for all rows.
        int o = 0;
        for (; o + 4 <= outputs; o += 4)
        {
            T* weights = w + ((nint)o * inner);
            int r = 0;
            for (; r + 4 <= rows; r += 4)
                Tile4x4(x + (r * strideX), strideX, weights, inner, y + (r * strideY) + o, strideY, accumulate);
            for (; r < rows; r++)
                Tile1x4(x + (r * strideX), weights, inner, y + (r * strideY) + o, accumulate);
        }

        for (; o < outputs; o++)
        {
            for (int r = 0; r < rows; r++)
                Put(y + (r * strideY) + o, Dot(x + (r * strideX), w + ((nint)o * inner), inner), accumulate);
        }
    }

    /// <summary>y[r, o] += Σ_j c[r, j] · w[j, o].</summary>
    /// <param name="c">Rows of <paramref name="inner"/> numbers, <paramref name="strideC"/> apart.</param>
    /// <param name="w">[inner, outputs]</param>
    /// <param name="y">Rows of <paramref name="outputs"/> elements, <paramref name="strideY"/> apart.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddCombinations<T>(float* c, nint strideC, T* w, int inner, T* y, nint strideY, int rows, int outputs)
        where T : unmanaged, IElement<T>
    {
        // Weights outside, rows inside: a strip of four vectors stays in the first-level cache for all rows.
        int o = 0;
        for (; o + (4 * Lanes) <= outputs; o += 4 * Lanes)
        {
            int r = 0;
            for (; r + 2 <= rows; r += 2)
                AddStrip2(c + (r * strideC), strideC, w + o, inner, outputs, y + (r * strideY) + o, strideY);
            if (r < rows)
                AddStrip1(c + (r * strideC), w + o, inner, outputs, y + (r * strideY) + o);
        }

        for (; o + Lanes <= outputs; o += Lanes)
        {
            for (int r = 0; r < rows; r++)
                AddLanes(c + (r * strideC), w + o, inner, outputs, y + (r * strideY) + o);
        }

        for (; o < outputs; o++)
        {
            for (int r = 0; r < rows; r++)
            {
                T* target = y + (r * strideY) + o;
                float sum = T.Read(target);
                for (int j = 0; j < inner; j++)
                    sum += c[(r * strideC) + j] * T.Read(w + ((nint)j * outputs) + o);
                T.Write(target, sum);
            }
        }
    }

    /// <summary>One row's core: y[u] = Σ_v core[v, u] · x[v].</summary>
    /// <param name="core">Σᵀ [rv, ru].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Core<C, T>(C* core, T* x, int rv, float* y, int ru)
        where C : unmanaged, IElement<C>
        where T : unmanaged, IElement<T>
    {
        // Cores are read once a step and come from far: whole cache lines in the order of their addresses.
        int u = 0;
        for (; u + (2 * Lanes) <= ru; u += 2 * Lanes)
        {
            Vector512<float> even0 = default, odd0 = default, even1 = default, odd1 = default;
            C* row = core + u;
            int v = 0;
            for (; v + 2 <= rv; v += 2, row += 2 * ru)
            {
                Vector512<float> even = Vector512.Create(T.Read(x + v)), odd = Vector512.Create(T.Read(x + v + 1));
                even0 = Vector512.FusedMultiplyAdd(even, C.Load(row), even0);
                even1 = Vector512.FusedMultiplyAdd(even, C.Load(row + Lanes), even1);
                odd0 = Vector512.FusedMultiplyAdd(odd, C.Load(row + ru), odd0);
                odd1 = Vector512.FusedMultiplyAdd(odd, C.Load(row + ru + Lanes), odd1);
            }

            if (v < rv)
            {
                Vector512<float> last = Vector512.Create(T.Read(x + v));
                even0 = Vector512.FusedMultiplyAdd(last, C.Load(row), even0);
                even1 = Vector512.FusedMultiplyAdd(last, C.Load(row + Lanes), even1);
            }

            (even0 + odd0).Store(y + u);
            (even1 + odd1).Store(y + u + Lanes);
        }

        for (; u + Lanes <= ru; u += Lanes)
        {
            Vector512<float> even = default, odd = default;
            C* row = core + u;
            int v = 0;
            for (; v + 2 <= rv; v += 2, row += 2 * ru)
            {
                even = Vector512.FusedMultiplyAdd(Vector512.Create(T.Read(x + v)), C.Load(row), even);
                odd = Vector512.FusedMultiplyAdd(Vector512.Create(T.Read(x + v + 1)), C.Load(row + ru), odd);
            }

            if (v < rv)
                even = Vector512.FusedMultiplyAdd(Vector512.Create(T.Read(x + v)), C.Load(row), even);
            (even + odd).Store(y + u);
        }

        // Ranks are often an odd multiple of eight; one number at a time would cost more than all lanes above.
        for (; u + (Lanes / 2) <= ru; u += Lanes / 2)
        {
            Vector256<float> even = default, odd = default;
            C* row = core + u;
            int v = 0;
            for (; v + 2 <= rv; v += 2, row += 2 * ru)
            {
                even = Vector256.FusedMultiplyAdd(Vector256.Create(T.Read(x + v)), C.LoadHalf(row), even);
                odd = Vector256.FusedMultiplyAdd(Vector256.Create(T.Read(x + v + 1)), C.LoadHalf(row + ru), odd);
            }

            if (v < rv)
                even = Vector256.FusedMultiplyAdd(Vector256.Create(T.Read(x + v)), C.LoadHalf(row), even);
            (even + odd).Store(y + u);
        }

        for (; u < ru; u++)
        {
            float sum = 0;
            for (int v = 0; v < rv; v++)
                sum += C.Read(core + (v * ru) + u) * T.Read(x + v);
            y[u] = sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot<T>(T* x, T* w, int inner)
        where T : unmanaged, IElement<T>
    {
        Vector512<float> sum = Vector512<float>.Zero;
        int i = 0;
        for (; i + Lanes <= inner; i += Lanes)
            sum = Vector512.FusedMultiplyAdd(T.Load(x + i), T.Load(w + i), sum);
        float total = Vector512.Sum(sum);
        for (; i < inner; i++)
            total += T.Read(x + i) * T.Read(w + i);
        return total;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<T>(T* target, float value, bool accumulate)
        where T : unmanaged, IElement<T> =>
        T.Write(target, accumulate ? T.Read(target) + value : value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put4<T>(T* target, Vector128<float> values, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        for (int k = 0; k < 4; k++)
            Put(target + k, values[k], accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile1x4<T>(T* x, T* w0, int inner, T* y, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        T* w1 = w0 + inner, w2 = w1 + inner, w3 = w2 + inner;
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        int i = 0;

        // Two sets of sums, because one fused multiply-add must not wait for the last.
        for (; i + (2 * Lanes) <= inner; i += 2 * Lanes)
        {
            Vector512<float> left = T.Load(x + i), right = T.Load(x + i + Lanes);
            a0 = Vector512.FusedMultiplyAdd(left, T.Load(w0 + i), a0);
            a1 = Vector512.FusedMultiplyAdd(left, T.Load(w1 + i), a1);
            a2 = Vector512.FusedMultiplyAdd(left, T.Load(w2 + i), a2);
            a3 = Vector512.FusedMultiplyAdd(left, T.Load(w3 + i), a3);
            b0 = Vector512.FusedMultiplyAdd(right, T.Load(w0 + i + Lanes), b0);
            b1 = Vector512.FusedMultiplyAdd(right, T.Load(w1 + i + Lanes), b1);
            b2 = Vector512.FusedMultiplyAdd(right, T.Load(w2 + i + Lanes), b2);
            b3 = Vector512.FusedMultiplyAdd(right, T.Load(w3 + i + Lanes), b3);
        }

        for (; i + Lanes <= inner; i += Lanes)
        {
            Vector512<float> left = T.Load(x + i);
            a0 = Vector512.FusedMultiplyAdd(left, T.Load(w0 + i), a0);
            a1 = Vector512.FusedMultiplyAdd(left, T.Load(w1 + i), a1);
            a2 = Vector512.FusedMultiplyAdd(left, T.Load(w2 + i), a2);
            a3 = Vector512.FusedMultiplyAdd(left, T.Load(w3 + i), a3);
        }

        Vector128<float> sums = Reduce.Sum4(a0 + b0, a1 + b1, a2 + b2, a3 + b3);
        for (; i < inner; i++)
            sums += Vector128.Create(T.Read(w0 + i), T.Read(w1 + i), T.Read(w2 + i), T.Read(w3 + i)) * T.Read(x + i);
        Put4(y, sums, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4x4<T>(T* x0, nint strideX, T* w0, int inner, T* y, nint strideY, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        T* x1 = x0 + strideX, x2 = x1 + strideX, x3 = x2 + strideX;
        T* w1 = w0 + inner, w2 = w1 + inner, w3 = w2 + inner;
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        int i = 0;
        for (; i + Lanes <= inner; i += Lanes)
        {
            Vector512<float> v0 = T.Load(w0 + i), v1 = T.Load(w1 + i), v2 = T.Load(w2 + i), v3 = T.Load(w3 + i);
            Vector512<float> u = T.Load(x0 + i);
            s00 = Vector512.FusedMultiplyAdd(u, v0, s00);
            s01 = Vector512.FusedMultiplyAdd(u, v1, s01);
            s02 = Vector512.FusedMultiplyAdd(u, v2, s02);
            s03 = Vector512.FusedMultiplyAdd(u, v3, s03);
            u = T.Load(x1 + i);
            s10 = Vector512.FusedMultiplyAdd(u, v0, s10);
            s11 = Vector512.FusedMultiplyAdd(u, v1, s11);
            s12 = Vector512.FusedMultiplyAdd(u, v2, s12);
            s13 = Vector512.FusedMultiplyAdd(u, v3, s13);
            u = T.Load(x2 + i);
            s20 = Vector512.FusedMultiplyAdd(u, v0, s20);
            s21 = Vector512.FusedMultiplyAdd(u, v1, s21);
            s22 = Vector512.FusedMultiplyAdd(u, v2, s22);
            s23 = Vector512.FusedMultiplyAdd(u, v3, s23);
            u = T.Load(x3 + i);
            s30 = Vector512.FusedMultiplyAdd(u, v0, s30);
            s31 = Vector512.FusedMultiplyAdd(u, v1, s31);
            s32 = Vector512.FusedMultiplyAdd(u, v2, s32);
            s33 = Vector512.FusedMultiplyAdd(u, v3, s33);
        }

        Vector128<float> r0 = Reduce.Sum4(s00, s01, s02, s03), r1 = Reduce.Sum4(s10, s11, s12, s13);
        Vector128<float> r2 = Reduce.Sum4(s20, s21, s22, s23), r3 = Reduce.Sum4(s30, s31, s32, s33);
        for (; i < inner; i++)
        {
            Vector128<float> v = Vector128.Create(T.Read(w0 + i), T.Read(w1 + i), T.Read(w2 + i), T.Read(w3 + i));
            r0 += v * T.Read(x0 + i);
            r1 += v * T.Read(x1 + i);
            r2 += v * T.Read(x2 + i);
            r3 += v * T.Read(x3 + i);
        }

        Put4(y, r0, accumulate);
        Put4(y + strideY, r1, accumulate);
        Put4(y + (2 * strideY), r2, accumulate);
        Put4(y + (3 * strideY), r3, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddStrip2<T>(float* c, nint strideC, T* w, int inner, int pitch, T* y, nint strideY)
        where T : unmanaged, IElement<T>
    {
        float* d = c + strideC;
        T* z = y + strideY;
        Vector512<float> y0 = T.Load(y), y1 = T.Load(y + Lanes), y2 = T.Load(y + (2 * Lanes)), y3 = T.Load(y + (3 * Lanes));
        Vector512<float> z0 = T.Load(z), z1 = T.Load(z + Lanes), z2 = T.Load(z + (2 * Lanes)), z3 = T.Load(z + (3 * Lanes));
        for (int j = 0; j < inner; j++, w += pitch)
        {
            Vector512<float> w0 = T.Load(w), w1 = T.Load(w + Lanes), w2 = T.Load(w + (2 * Lanes)), w3 = T.Load(w + (3 * Lanes));
            Vector512<float> first = Vector512.Create(c[j]), second = Vector512.Create(d[j]);
            y0 = Vector512.FusedMultiplyAdd(first, w0, y0);
            y1 = Vector512.FusedMultiplyAdd(first, w1, y1);
            y2 = Vector512.FusedMultiplyAdd(first, w2, y2);
            y3 = Vector512.FusedMultiplyAdd(first, w3, y3);
            z0 = Vector512.FusedMultiplyAdd(second, w0, z0);
            z1 = Vector512.FusedMultiplyAdd(second, w1, z1);
            z2 = Vector512.FusedMultiplyAdd(second, w2, z2);
            z3 = Vector512.FusedMultiplyAdd(second, w3, z3);
        }

        T.Store(y, y0);
        T.Store(y + Lanes, y1);
        T.Store(y + (2 * Lanes), y2);
        T.Store(y + (3 * Lanes), y3);
        T.Store(z, z0);
        T.Store(z + Lanes, z1);
        T.Store(z + (2 * Lanes), z2);
        T.Store(z + (3 * Lanes), z3);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddStrip1<T>(float* c, T* w, int inner, int pitch, T* y)
        where T : unmanaged, IElement<T>
    {
        Vector512<float> y0 = T.Load(y), y1 = T.Load(y + Lanes), y2 = T.Load(y + (2 * Lanes)), y3 = T.Load(y + (3 * Lanes));
        for (int j = 0; j < inner; j++, w += pitch)
        {
            Vector512<float> factor = Vector512.Create(c[j]);
            y0 = Vector512.FusedMultiplyAdd(factor, T.Load(w), y0);
            y1 = Vector512.FusedMultiplyAdd(factor, T.Load(w + Lanes), y1);
            y2 = Vector512.FusedMultiplyAdd(factor, T.Load(w + (2 * Lanes)), y2);
            y3 = Vector512.FusedMultiplyAdd(factor, T.Load(w + (3 * Lanes)), y3);
        }

        T.Store(y, y0);
        T.Store(y + Lanes, y1);
        T.Store(y + (2 * Lanes), y2);
        T.Store(y + (3 * Lanes), y3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddLanes<T>(float* c, T* w, int inner, int pitch, T* y)
        where T : unmanaged, IElement<T>
    {
        Vector512<float> sum = T.Load(y);
        for (int j = 0; j < inner; j++, w += pitch)
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(c[j]), T.Load(w), sum);
        T.Store(y, sum);
    }
}
