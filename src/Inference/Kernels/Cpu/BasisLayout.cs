using System.Collections.Concurrent;
using System.Globalization;
using Eigengate.Inference.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Decides when a cluster is added, by trying both on this processor, whether its bfloat16 bases lie in panels or row-major.</summary>
internal static class BasisLayout
{
    private static readonly ConcurrentDictionary<string, bool> Known = new(StringComparer.Ordinal);

    /// <summary>Puts the basis into panels where its product is faster so. One answer for each shape, so that all engines of a process compute the same.</summary>
    /// <param name="panels">The answer without a trial.</param>
    public static void Choose(SiteBasis basis, bool? panels)
    {
        if (basis.Shrink.In % 2 == 0 && (panels ?? Known.GetOrAdd(Shape(basis), _ => IsFasterInPanels(basis))))
            basis.ToPanels();
    }

    private static string Shape(SiteBasis basis) => string.Join(' ', basis.Modules.Select(module =>
        string.Create(CultureInfo.InvariantCulture, $"{basis.Shrink.In}>{module.RV}>{module.RU}>{module.DOut}")));

    private static bool IsFasterInPanels(SiteBasis basis)
    {
        using var scope = torch.NewDisposeScope();
        using SiteBasis arranged = Copy(basis);
        arranged.ToPanels();
        using var pool = new ComputePool(threads: 1);
        using var product = new PanelProduct(pool);
        using var panels = new PanelDelta(product, threads: 1);
        int most = WeightLayout.Rows.Max(), outputs = basis.Modules.Max(module => module.Column + module.DOut);
        using var rowMajor = new RowMajorDelta<Bf16>(most);
        using var cores = new CoreSlab(slots: 1, basis.CoreOffset + basis.CoreLength, ScalarType.Float32, CPU);
        using var x = new Activation(most, basis.Shrink.In, ScalarType.BFloat16, CPU);
        using var y = new Activation(most, outputs, ScalarType.BFloat16, CPU);
        cores.Cores.zero_();
        panels.EnsureRoom(basis.ShrinkWidth, basis.CoreWidth);
        rowMajor.EnsureRoom(basis.ShrinkWidth, basis.CoreWidth);
        int[] slots = new int[most];
        double ratio = 1;
        foreach (int rows in WeightLayout.Rows)
        {
            ratio *= WeightLayout.Seconds(() => panels.Add(new DeltaPiece(arranged, 0, rows, rows), slots, cores, x, y, thread: 0));
            ratio /= WeightLayout.Seconds(() => rowMajor.Add(new DeltaPiece(basis, 0, rows, rows), slots, cores, x, y));
        }

        return ratio < 1;
    }

    private static SiteBasis Copy(SiteBasis basis) => new(
        new Matrix(basis.Shrink.Weight.clone()), [.. basis.Modules.Select(module => module with { Expand = new Matrix(module.Expand.Weight.clone()) })]);
}
