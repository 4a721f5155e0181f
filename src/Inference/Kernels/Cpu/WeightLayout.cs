using System.Collections.Concurrent;
using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Decides at load, by trying both on this processor, how the bfloat16 weights of each shape lie: in panels for our own
/// products, or row-major for our product of few rows and torch's of many.
/// </summary>
internal static unsafe class WeightLayout
{
    /// <summary>A decoding step of one sequence and one of a full batch.</summary>
    public static readonly int[] Rows = [1, 48];

    /// <summary>What a trial copies of a matrix at most: more than caches hold, less than would matter in memory.</summary>
    private const long TrialBytes = 64 << 20;
    private static readonly ConcurrentDictionary<(int Out, int In, int Threads), bool> Known = new();

    /// <summary>
    /// Puts those matrices into panels that are faster there. Small ones stay row-major, where their product is at its
    /// best. One answer for each shape and number of threads, so that all engines of a process compute the same.
    /// </summary>
    /// <param name="matrices">Of one model.</param>
    /// <param name="pool">That will run the products.</param>
    /// <param name="panels">The answer for every shape, small ones too, without a trial.</param>
    public static void Choose(IEnumerable<Matrix> matrices, ComputePool pool, bool? panels)
    {
        foreach (Matrix matrix in matrices.Where(m => m.In % 2 == 0))
        {
            if (panels ?? IsFasterInPanels(matrix, pool))
                matrix.ToPanels();
        }
    }

    private static bool IsFasterInPanels(Matrix matrix, ComputePool pool) =>
        (long)matrix.In * matrix.Out > RowMajorProduct.SmallWeight
        && Known.GetOrAdd((matrix.Out, matrix.In, pool.Threads), _ => Try(matrix, pool));

    private static bool Try(Matrix matrix, ComputePool pool)
    {
        using var scope = torch.NewDisposeScope();
        int outputs = (int)Math.Min(matrix.Out, TrialBytes / (sizeof(ushort) * matrix.In));
        using var sample = new Matrix(matrix.Weight.narrow(0, 0, outputs).clone());
        var rowMajor = new RowMajorProduct(pool);
        using var panels = new PanelProduct(pool);
        using var arranged = new Matrix(matrix.Weight.narrow(0, 0, outputs).clone());
        arranged.ToPanels();
        using var x = new Activation(Rows.Max(), sample.In, ScalarType.BFloat16, CPU);
        using var y = new Activation(Rows.Max(), sample.Out, ScalarType.BFloat16, CPU);
        double ratio = 1;
        foreach (int rows in Rows)
        {
            ratio *= Seconds(() => panels.Multiply(
                (ushort*)x.Address, x.Width, (ushort*)arranged.Address, sample.In, sample.Out, (Bf16*)y.Address, y.Width, rows, accumulate: false));
            ratio /= Seconds(() => rowMajor.Multiply<Bf16>(x, sample, y, rows, accumulate: false));
        }

        return ratio < 1;
    }

    /// <summary>The shortest of several runs, the first of which only warms up.</summary>
    public static double Seconds(Action run)
    {
        const int Runs = 4;
        run();
        double best = double.PositiveInfinity;
        for (int i = 0; i < Runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            run();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
