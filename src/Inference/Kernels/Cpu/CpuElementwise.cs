using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Norm, activation and rotary embedding, one row at a time, in one pass over memory each.</summary>
internal static unsafe class CpuElementwise
{
    private const int Lanes = 16;

    /// <summary>y = x / sqrt(mean(x²) + ε) · weight</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RmsNorm<T>(T* x, float* weight, float epsilon, T* y, int width)
        where T : unmanaged, IElement<T>
    {
        Vector512<float> sums = Vector512<float>.Zero;
        int i = 0;
        for (; i + Lanes <= width; i += Lanes)
        {
            Vector512<float> v = T.Load(x + i);
            sums = Vector512.FusedMultiplyAdd(v, v, sums);
        }

        float sum = Vector512.Sum(sums);
        for (; i < width; i++)
            sum += T.Read(x + i) * T.Read(x + i);

        float scale = 1 / MathF.Sqrt((sum / width) + epsilon);
        for (i = 0; i + Lanes <= width; i += Lanes)
            T.Store(y + i, T.Load(x + i) * Vector512.Create(scale) * Vector512.Load(weight + i));
        for (; i < width; i++)
            T.Write(y + i, T.Read(x + i) * scale * weight[i]);
    }

    /// <summary>y += x</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<T>(float* x, T* y, int width)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + Lanes <= width; i += Lanes)
            T.Store(y + i, T.Load(y + i) + Vector512.Load(x + i));
        for (; i < width; i++)
            T.Write(y + i, T.Read(y + i) + x[i]);
    }

    /// <summary>y += x</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add<T>(T* x, T* y, int width)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + Lanes <= width; i += Lanes)
            T.Store(y + i, T.Load(y + i) + T.Load(x + i));
        for (; i < width; i++)
            T.Write(y + i, T.Read(y + i) + T.Read(x + i));
    }

    /// <summary>y += gain · x</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddProduct<T>(T* gain, T* x, T* y, int width)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + Lanes <= width; i += Lanes)
            T.Store(y + i, Vector512.FusedMultiplyAdd(T.Load(gain + i), T.Load(x + i), T.Load(y + i)));
        for (; i < width; i++)
            T.Write(y + i, T.Read(y + i) + (T.Read(gain + i) * T.Read(x + i)));
    }

    /// <summary>product = gate / (1 + exp(−gate)) · up</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SiluMultiply<T>(T* gate, T* up, T* product, int width)
        where T : unmanaged, IElement<T>
    {
        int i = 0;
        for (; i + Lanes <= width; i += Lanes)
        {
            Vector512<float> g = T.Load(gate + i);
            Vector512<float> silu = g / (Vector512<float>.One + VectorExp.Of(-g));
            T.Store(product + i, silu * T.Load(up + i));
        }

        for (; i < width; i++)
        {
            float g = T.Read(gate + i);
            T.Write(product + i, g / (1 + MathF.Exp(-g)) * T.Read(up + i));
        }
    }

    /// <summary>Rotates consecutive heads in place: pairs are (i, i + half).</summary>
    /// <param name="cos">[half] of the row's position.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate<T>(T* heads, int count, int half, float* cos, float* sin)
        where T : unmanaged, IElement<T>
    {
        for (int h = 0; h < count; h++, heads += 2 * half)
        {
            T* other = heads + half;
            int i = 0;
            for (; i + Lanes <= half; i += Lanes)
            {
                Vector512<float> a = T.Load(heads + i), b = T.Load(other + i), c = Vector512.Load(cos + i), s = Vector512.Load(sin + i);
                T.Store(heads + i, (a * c) - (b * s));
                T.Store(other + i, (b * c) + (a * s));
            }

            for (; i < half; i++)
            {
                float a = T.Read(heads + i), b = T.Read(other + i);
                T.Write(heads + i, (a * cos[i]) - (b * sin[i]));
                T.Write(other + i, (b * cos[i]) + (a * sin[i]));
            }
        }
    }
}
