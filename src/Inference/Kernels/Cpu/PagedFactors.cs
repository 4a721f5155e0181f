using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// A low-rank factor in pages, multiplied where it lies. Sums run over page borders in registers, so that scattered pages cost
/// only the look-up of their numbers.
/// </summary>
/// <param name="pool">First page of the pool.</param>
/// <param name="width">Elements in a page.</param>
/// <param name="pages">Page numbers of the factor.</param>
internal readonly unsafe struct PagedFactors<T>(T* pool, int width, int* pages)
    where T : unmanaged, IElement<T>
{
    private const int Lanes = 16;

    /// <summary>y[r, j] = Σ_i x[r, i] · a[j, i], where every row of a begins a page.</summary>
    /// <param name="x">Rows of <paramref name="inner"/> elements, <paramref name="strideX"/> apart.</param>
    /// <param name="y">Rows of <paramref name="outputs"/> numbers.</param>
    public void Shrink(T* x, nint strideX, int rows, int inner, float* y, int outputs)
    {
        int pagesOfRow = (inner + width - 1) / width, j = 0;
        for (; j + 4 <= outputs; j += 4)
        {
            int r = 0;
            for (; r + 4 <= rows; r += 4)
                Shrink4x4(x + (r * strideX), strideX, inner, pages + (j * pagesOfRow), pagesOfRow, y + (r * outputs) + j, outputs);
            for (; r < rows; r++)
                Shrink1x4(x + (r * strideX), inner, pages + (j * pagesOfRow), pagesOfRow, y + (r * outputs) + j);
        }

        for (; j < outputs; j++)
        {
            for (int r = 0; r < rows; r++)
                y[(r * outputs) + j] = Dot(x + (r * strideX), inner, pages + (j * pagesOfRow));
        }
    }

    /// <summary>y[r, o] += Σ_j c[r, j] · b[j, o], where the pages of one part of all rows of b follow each other.</summary>
    /// <param name="c">Rows of <paramref name="rank"/> numbers, <paramref name="strideC"/> apart.</param>
    /// <param name="y">Rows of <paramref name="outputs"/> elements, <paramref name="strideY"/> apart.</param>
    public void Expand(float* c, nint strideC, int rank, T* y, nint strideY, int rows, int outputs)
    {
        int* part = pages;
        for (int first = 0; first < outputs && rank > 0; first += width, part += rank)
        {
            int count = Math.Min(width, outputs - first), o = 0;
            for (; o + (4 * Lanes) <= count; o += 4 * Lanes)
            {
                for (int r = 0; r < rows; r++)
                    Expand4(c + (r * strideC), rank, part, o, y + (r * strideY) + first + o);
            }

            for (; o + Lanes <= count; o += Lanes)
            {
                for (int r = 0; r < rows; r++)
                    Expand1(c + (r * strideC), rank, part, o, y + (r * strideY) + first + o);
            }

            for (; o < count; o++)
            {
                for (int r = 0; r < rows; r++)
                {
                    T* target = y + (r * strideY) + first + o;
                    float sum = T.Read(target);
                    for (int j = 0; j < rank; j++)
                        sum += c[(r * strideC) + j] * T.Read(Page(part[j]) + o);
                    T.Write(target, sum);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private T* Page(int number) => pool + ((nint)number * width);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Shrink1x4(T* x, int inner, int* table, int pagesOfRow, float* y)
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        Vector128<float> rest = default;
        for (int left = inner; left > 0; left -= width, x += width, table++)
        {
            T* w0 = Page(table[0]), w1 = Page(table[pagesOfRow]), w2 = Page(table[2 * pagesOfRow]), w3 = Page(table[3 * pagesOfRow]);
            int count = Math.Min(width, left), i = 0;

            // Two sets of sums, because one fused multiply-add must not wait for the last.
            for (; i + (2 * Lanes) <= count; i += 2 * Lanes)
            {
                Vector512<float> u = T.Load(x + i), v = T.Load(x + i + Lanes);
                a0 = Vector512.FusedMultiplyAdd(u, T.Load(w0 + i), a0);
                a1 = Vector512.FusedMultiplyAdd(u, T.Load(w1 + i), a1);
                a2 = Vector512.FusedMultiplyAdd(u, T.Load(w2 + i), a2);
                a3 = Vector512.FusedMultiplyAdd(u, T.Load(w3 + i), a3);
                b0 = Vector512.FusedMultiplyAdd(v, T.Load(w0 + i + Lanes), b0);
                b1 = Vector512.FusedMultiplyAdd(v, T.Load(w1 + i + Lanes), b1);
                b2 = Vector512.FusedMultiplyAdd(v, T.Load(w2 + i + Lanes), b2);
                b3 = Vector512.FusedMultiplyAdd(v, T.Load(w3 + i + Lanes), b3);
            }

            for (; i + Lanes <= count; i += Lanes)
            {
                Vector512<float> u = T.Load(x + i);
                a0 = Vector512.FusedMultiplyAdd(u, T.Load(w0 + i), a0);
                a1 = Vector512.FusedMultiplyAdd(u, T.Load(w1 + i), a1);
                a2 = Vector512.FusedMultiplyAdd(u, T.Load(w2 + i), a2);
                a3 = Vector512.FusedMultiplyAdd(u, T.Load(w3 + i), a3);
            }

            for (; i < count; i++)
                rest += Vector128.Create(T.Read(w0 + i), T.Read(w1 + i), T.Read(w2 + i), T.Read(w3 + i)) * T.Read(x + i);
        }

        (Reduce.Sum4(a0 + b0, a1 + b1, a2 + b2, a3 + b3) + rest).Store(y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Shrink4x4(T* x0, nint strideX, int inner, int* table, int pagesOfRow, float* y, int strideY)
    {
        T* x1 = x0 + strideX, x2 = x1 + strideX, x3 = x2 + strideX;
        Vector512<float> s00 = default, s01 = default, s02 = default, s03 = default;
        Vector512<float> s10 = default, s11 = default, s12 = default, s13 = default;
        Vector512<float> s20 = default, s21 = default, s22 = default, s23 = default;
        Vector512<float> s30 = default, s31 = default, s32 = default, s33 = default;
        Vector128<float> r0 = default, r1 = default, r2 = default, r3 = default;
        for (int at = 0; at < inner; at += width, table++)
        {
            T* w0 = Page(table[0]) - at, w1 = Page(table[pagesOfRow]) - at, w2 = Page(table[2 * pagesOfRow]) - at, w3 = Page(table[3 * pagesOfRow]) - at;
            int end = Math.Min(at + width, inner), i = at;
            for (; i + Lanes <= end; i += Lanes)
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

            for (; i < end; i++)
            {
                Vector128<float> v = Vector128.Create(T.Read(w0 + i), T.Read(w1 + i), T.Read(w2 + i), T.Read(w3 + i));
                r0 += v * T.Read(x0 + i);
                r1 += v * T.Read(x1 + i);
                r2 += v * T.Read(x2 + i);
                r3 += v * T.Read(x3 + i);
            }
        }

        (Reduce.Sum4(s00, s01, s02, s03) + r0).Store(y);
        (Reduce.Sum4(s10, s11, s12, s13) + r1).Store(y + strideY);
        (Reduce.Sum4(s20, s21, s22, s23) + r2).Store(y + (2 * strideY));
        (Reduce.Sum4(s30, s31, s32, s33) + r3).Store(y + (3 * strideY));
    }

    private float Dot(T* x, int inner, int* table)
    {
        Vector512<float> sum = default;
        float rest = 0;
        for (int left = inner; left > 0; left -= width, x += width, table++)
        {
            T* w = Page(table[0]);
            int count = Math.Min(width, left), i = 0;
            for (; i + Lanes <= count; i += Lanes)
                sum = Vector512.FusedMultiplyAdd(T.Load(x + i), T.Load(w + i), sum);
            for (; i < count; i++)
                rest += T.Read(x + i) * T.Read(w + i);
        }

        return Vector512.Sum(sum) + rest;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Expand4(float* c, int rank, int* part, int column, T* y)
    {
        Vector512<float> y0 = T.Load(y), y1 = T.Load(y + Lanes), y2 = T.Load(y + (2 * Lanes)), y3 = T.Load(y + (3 * Lanes));
        for (int j = 0; j < rank; j++)
        {
            T* w = Page(part[j]) + column;
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

    private void Expand1(float* c, int rank, int* part, int column, T* y)
    {
        Vector512<float> sum = T.Load(y);
        for (int j = 0; j < rank; j++)
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(c[j]), T.Load(Page(part[j]) + column), sum);
        T.Store(y, sum);
    }
}
