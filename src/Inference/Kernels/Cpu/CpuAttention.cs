using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Attention of one query row over a paged cache, read in place: no gather, no copies.</summary>
internal static unsafe class CpuAttention
{
    private const int Lanes = 16;
    private const int Half = 8;

    /// <summary>scores[p] = query · key(p) for positions of one block.</summary>
    /// <param name="query">[width], scaled.</param>
    /// <param name="keys">First key; the next is <paramref name="stride"/> elements on.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scores<T>(float* query, T* keys, nint stride, int width, int positions, float* scores)
        where T : unmanaged, IElement<T>
    {
        int p = 0;
        for (; p + 4 <= positions; p += 4)
        {
            T* k0 = keys + (p * stride), k1 = k0 + stride, k2 = k1 + stride, k3 = k2 + stride;
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            int i = 0;
            for (; i + Lanes <= width; i += Lanes)
            {
                Vector512<float> q = Vector512.Load(query + i);
                s0 = Vector512.FusedMultiplyAdd(q, T.Load(k0 + i), s0);
                s1 = Vector512.FusedMultiplyAdd(q, T.Load(k1 + i), s1);
                s2 = Vector512.FusedMultiplyAdd(q, T.Load(k2 + i), s2);
                s3 = Vector512.FusedMultiplyAdd(q, T.Load(k3 + i), s3);
            }

            Vector128<float> sums = i > 0 ? Reduce.Sum4(s0, s1, s2, s3) : default;
            if (i + Half <= width)
            {
                Vector256<float> q = Vector256.Load(query + i);
                sums += Reduce.Sum4(q * T.LoadHalf(k0 + i), q * T.LoadHalf(k1 + i), q * T.LoadHalf(k2 + i), q * T.LoadHalf(k3 + i));
                i += Half;
            }

            for (; i < width; i++)
                sums += Vector128.Create(T.Read(k0 + i), T.Read(k1 + i), T.Read(k2 + i), T.Read(k3 + i)) * query[i];
            sums.Store(scores + p);
        }

        for (; p < positions; p++)
        {
            T* key = keys + (p * stride);
            Vector512<float> sum = default;
            int i = 0;
            for (; i + Lanes <= width; i += Lanes)
                sum = Vector512.FusedMultiplyAdd(Vector512.Load(query + i), T.Load(key + i), sum);
            float total = Vector512.Sum(sum);
            for (; i < width; i++)
                total += query[i] * T.Read(key + i);
            scores[p] = total;
        }
    }

    /// <summary>Turns scores into exp(score − max) and returns their sum.</summary>
    /// <param name="scores">With room for whole vectors of 16; what lies behind the last is overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentiate(float* scores, int count)
    {
        int padded = (count + Lanes - 1) / Lanes * Lanes;
        for (int i = count; i < padded; i++)
            scores[i] = float.NegativeInfinity;
        Vector512<float> maxima = Vector512.Load(scores);
        for (int i = Lanes; i < padded; i += Lanes)
            maxima = Vector512.Max(maxima, Vector512.Load(scores + i));
        Vector512<float> max = Vector512.Create(Reduce.Max(maxima)), sums = Vector512<float>.Zero;
        for (int i = 0; i < padded; i += Lanes)
        {
            Vector512<float> score = Vector512.Load(scores + i);
            Vector512<float> e = VectorExp.Of(score - max) & ~Vector512.Equals(score, Vector512.Create(float.NegativeInfinity));
            e.Store(scores + i);
            sums += e;
        }

        return Vector512.Sum(sums);
    }

    /// <summary>mixed += Σ_p weights[p] · value(p) for positions of one block.</summary>
    /// <param name="mixed">[width], float32.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Mix<T>(float* weights, T* values, nint stride, int width, int positions, float* mixed)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + (4 * Lanes) <= width; i += 4 * Lanes)
        {
            Vector512<float> m0 = Vector512.Load(mixed + i), m1 = Vector512.Load(mixed + i + Lanes);
            Vector512<float> m2 = Vector512.Load(mixed + i + (2 * Lanes)), m3 = Vector512.Load(mixed + i + (3 * Lanes));
            T* value = values + i;
            for (int p = 0; p < positions; p++, value += stride)
            {
                Vector512<float> weight = Vector512.Create(weights[p]);
                m0 = Vector512.FusedMultiplyAdd(weight, T.Load(value), m0);
                m1 = Vector512.FusedMultiplyAdd(weight, T.Load(value + Lanes), m1);
                m2 = Vector512.FusedMultiplyAdd(weight, T.Load(value + (2 * Lanes)), m2);
                m3 = Vector512.FusedMultiplyAdd(weight, T.Load(value + (3 * Lanes)), m3);
            }

            m0.Store(mixed + i);
            m1.Store(mixed + i + Lanes);
            m2.Store(mixed + i + (2 * Lanes));
            m3.Store(mixed + i + (3 * Lanes));
        }

        for (; i + Lanes <= width; i += Lanes)
        {
            Vector512<float> even = Vector512.Load(mixed + i), odd = default;
            T* value = values + i;
            int p = 0;
            for (; p + 2 <= positions; p += 2, value += 2 * stride)
            {
                even = Vector512.FusedMultiplyAdd(Vector512.Create(weights[p]), T.Load(value), even);
                odd = Vector512.FusedMultiplyAdd(Vector512.Create(weights[p + 1]), T.Load(value + stride), odd);
            }

            if (p < positions)
                even = Vector512.FusedMultiplyAdd(Vector512.Create(weights[p]), T.Load(value), even);
            (even + odd).Store(mixed + i);
        }

        if (i + Half <= width)
        {
            MixHalf(weights, values + i, stride, positions, mixed + i);
            i += Half;
        }

        for (; i < width; i++)
        {
            float m = mixed[i];
            for (int p = 0; p < positions; p++)
                m += weights[p] * T.Read(values + (p * stride) + i);
            mixed[i] = m;
        }
    }

    /// <summary>Eight columns; four sums, because one fused multiply-add must not wait for the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void MixHalf<T>(float* weights, T* value, nint stride, int positions, float* mixed)
        where T : unmanaged, IElement<T>
    {
        Vector256<float> m0 = Vector256.Load(mixed), m1 = default, m2 = default, m3 = default;
        int p = 0;
        for (; p + 4 <= positions; p += 4, value += 4 * stride)
        {
            m0 = Vector256.FusedMultiplyAdd(Vector256.Create(weights[p]), T.LoadHalf(value), m0);
            m1 = Vector256.FusedMultiplyAdd(Vector256.Create(weights[p + 1]), T.LoadHalf(value + stride), m1);
            m2 = Vector256.FusedMultiplyAdd(Vector256.Create(weights[p + 2]), T.LoadHalf(value + (2 * stride)), m2);
            m3 = Vector256.FusedMultiplyAdd(Vector256.Create(weights[p + 3]), T.LoadHalf(value + (3 * stride)), m3);
        }

        for (; p < positions; p++, value += stride)
            m0 = Vector256.FusedMultiplyAdd(Vector256.Create(weights[p]), T.LoadHalf(value), m0);
        ((m0 + m1) + (m2 + m3)).Store(mixed);
    }
}
