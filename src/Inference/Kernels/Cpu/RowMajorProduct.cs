using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>y = x Wᵀ for row-major weights: our own loops for few rows or small weights, torch on equal parts of the outputs otherwise.</summary>
internal sealed unsafe class RowMajorProduct(ComputePool pool)
{
    /// <summary>Weights of at most this many numbers are multiplied here for any number of rows up to <see cref="SmallRows"/>.</summary>
    public const long SmallWeight = 1 << 17;
    public const int SmallRows = 64;

    /// <summary>Outputs computed between two turns of the prefetch.</summary>
    private const int StripOutputs = 8;

    /// <summary>Cores to fetch while a product runs; only where one thread does everything, since each core has its own cache.</summary>
    public CorePrefetch Prefetch { get; } = new();

    public void Multiply<T>(Activation x, Matrix weight, Activation y, int rows, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        if (rows <= FewRows<T>() || (rows <= SmallRows && (long)weight.In * weight.Out <= SmallWeight))
            MultiplyStrips<T>(x, weight, y, rows, accumulate);
        else if (pool.Threads == 1)
            y.Rows(rows).addmm_(x.Rows(rows), weight.Transposed, beta: accumulate ? 1 : 0);
        else
            MultiplyByTorch(x.Rows(rows), weight, y.Rows(rows), accumulate);
    }

    /// <summary>Rows up to which our product beats torch's for large weights: it is bound by reading the weights.</summary>
    public static int FewRows<T>()
        where T : unmanaged => sizeof(T) == sizeof(float) ? 8 : 2;

    private void MultiplyStrips<T>(Activation x, Matrix weight, Activation y, int rows, bool accumulate)
        where T : unmanaged, IElement<T>
    {
        int strips = (weight.Out + StripOutputs - 1) / StripOutputs;
        if (pool.Threads == 1 || (long)weight.In * weight.Out * rows <= SmallWeight)
        {
            for (int strip = 0; strip < strips; strip++)
            {
                Prefetch.FetchShare(strips - strip);
                MultiplyStrip(strip, strip + 1);
            }

            return;
        }

        int parts = Math.Min(strips, 8 * pool.Threads);
        pool.For(parts, (part, _) => MultiplyStrip((int)((long)strips * part / parts), (int)((long)strips * (part + 1) / parts)));

        void MultiplyStrip(int strip, int end)
        {
            int first = strip * StripOutputs;
            CpuLinear.Multiply(
                (T*)x.Address, x.Width, (T*)weight.Address + ((nint)first * weight.In), weight.In,
                (T*)y.Address + first, y.Width, rows, Math.Min(end * StripOutputs, weight.Out) - first, accumulate);
        }
    }

    private void MultiplyByTorch(Tensor x, Matrix weight, Tensor y, bool accumulate) => pool.For(pool.Threads, (part, _) =>
    {
        using var scope = torch.NewDisposeScope();
        long first = (long)weight.Out * part / pool.Threads, count = ((long)weight.Out * (part + 1) / pool.Threads) - first;
        if (count > 0)
            y.narrow(1, first, count).addmm_(x, weight.Transposed.narrow(1, first, count), beta: accumulate ? 1 : 0);
    });
}
