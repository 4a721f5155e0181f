using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Inference.Models;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Inference.Tests.Kernels;

/// <summary>U Σ Vᵀ x of several clusters at once, with bases in panels and row-major, against float64 loops. Tolerance 2 % of the deltas' spread.</summary>
public sealed unsafe class ClusterDeltaTests : IDisposable
{
    private const int Slots = 7;
    private readonly TestModel _model = new(hidden: 72, intermediate: 90, heads: 3, kvHeads: 1, headDim: 24);

    private ModelConfig Config => _model.Config;

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData(true, 1, 1, 1, 1)]
    [InlineData(true, 2, 5, 3, 40)]
    [InlineData(true, 3, 17, 6, 130)]
    [InlineData(true, 2, 16, 16, 7)]
    [InlineData(true, 2, 7, 70, 200)]
    [InlineData(false, 2, 5, 3, 40)]
    [InlineData(false, 2, 17, 6, 130)]
    public void Deltas_equal_plain_loops_for_any_ranks_rows_and_threads(bool panels, int threads, int ru, int rv, int rows)
    {
        foreach (ScalarType coreType in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        {
            foreach (Site site in Enum.GetValues<Site>())
                Check(panels, threads, ru, rv, rows, site, coreType);
        }
    }

    [Fact]
    public void A_row_gives_the_same_bits_alone_and_among_others()
    {
        const int Rows = 101;
        using var pool = new ComputePool(3);
        using var product = new PanelProduct(pool);
        using var deltas = new ClusterDeltas<Bf16>(pool, product, Rows);
        using ResidentCluster cluster = Cluster(9, 12, panels: true, out _);
        using CoreSlab cores = Cores(cluster.CoreLength, ScalarType.Float32, out _);
        int[] slots = [.. Enumerable.Range(0, Rows).Select(row => row * 5 % Slots)];
        using Activation x = Filled(Rows, Config.HiddenSize, 3), together = Filled(Rows, Width, 4), alone = Filled(Rows, Width, 4);
        deltas.BeginStep([new ClusterSegment(cluster, 0, Rows)]);
        deltas.Add([new ClusterSegment(cluster, 0, Rows)], 0, Site.Qkv, slots, cores, x, together);
        for (int row = 0; row < Rows; row++)
            deltas.Add([new ClusterSegment(cluster, row, 1)], 0, Site.Qkv, slots, cores, x, alone);
        Assert.Equal(new ReadOnlySpan<ushort>(together.Address, Rows * Width), new ReadOnlySpan<ushort>(alone.Address, Rows * Width));
    }

    private int Width => Config.QueryWidth + (2 * Config.KvWidth);

    private void Check(bool panels, int threads, int ru, int rv, int rows, Site site, ScalarType coreType)
    {
        using var pool = new ComputePool(threads);
        using var product = new PanelProduct(pool);
        using var deltas = new ClusterDeltas<Bf16>(pool, product, rows + 9);
        using ResidentCluster one = Cluster(ru, rv, panels, out var oneBases), other = Cluster(rv, ru, panels, out var otherBases);
        using CoreSlab cores = Cores(one.CoreLength, coreType, out float[][] packed);
        var (inputs, outputs) = site switch
        {
            Site.Qkv => (Config.HiddenSize, Width),
            Site.Output => (Config.QueryWidth, Config.HiddenSize),
            Site.GateUp => (Config.HiddenSize, 2 * Config.IntermediateSize),
            _ => (Config.IntermediateSize, Config.HiddenSize),
        };
        int[] slots = [.. Enumerable.Range(0, rows + 9).Select(row => row * 5 % Slots)];
        using Activation x = Filled(rows + 9, inputs, 3), y = Filled(rows + 9, outputs, 4), before = Filled(rows + 9, outputs, 4);

        // Row 0 has no adapter.
        ClusterSegment[] segments = [new(one, 1, rows), new(other, 1 + rows, 8)];
        deltas.BeginStep(segments);
        deltas.Add(segments, 0, site, slots, cores, x, y);
        for (int row = 0; row < rows + 9; row++)
        {
            double[] expected = [.. Enumerable.Range(0, outputs).Select(o => Value(before, row, o))];
            if (row > 0)
                AddDelta(row <= rows ? one : other, row <= rows ? oneBases : otherBases, site, packed[slots[row]], x, row, expected);
            for (int o = 0; o < outputs; o++)
                Assert.Equal(expected[o], Value(y, row, o), row == 0 ? 0 : 0.02 * (1 + Math.Abs(expected[o])));
        }
    }

    private static void AddDelta(
        ResidentCluster cluster, Dictionary<string, ClusterBasis> bases, Site site, float[] packed, Activation x, int row, double[] y)
    {
        foreach (ModuleBasis module in cluster.At(0, site)!.Modules)
        {
            ClusterBasis basis = bases[module.Name];
            double[] mixed = new double[basis.RU];
            for (int v = 0; v < basis.RV; v++)
            {
                double shrunk = Enumerable.Range(0, basis.DIn).Sum(i => basis.V[(i * basis.RV) + v] * Value(x, row, i));
                for (int u = 0; u < basis.RU; u++)
                    mixed[u] += packed[module.CoreOffset + (v * basis.RU) + u] * shrunk;
            }

            for (int o = 0; o < basis.DOut; o++)
                y[module.Column + o] += Enumerable.Range(0, basis.RU).Sum(u => basis.U[(o * basis.RU) + u] * mixed[u]);
        }
    }

    private ResidentCluster Cluster(int ru, int rv, bool panels, out Dictionary<string, ClusterBasis> bases)
    {
        bases = TestAdapters.Cluster(Config, ru, name => name.EndsWith("v_proj", StringComparison.Ordinal) ? (rv, ru) : (ru, rv))
            .ToDictionary(b => b.Key, b => b.Value with { U = Array.ConvertAll(b.Value.U, Rounded), V = Array.ConvertAll(b.Value.V, Rounded) });
        return new ResidentCluster("cluster", bases, Config, ScalarType.BFloat16, CPU, basis =>
        {
            if (panels)
                basis.ToPanels();
        });
    }

    private static CoreSlab Cores(int length, ScalarType dtype, out float[][] packed)
    {
        var random = new Random(5);
        packed = [.. Enumerable.Range(0, Slots).Select(_ => Enumerable.Range(0, length).Select(_ => Rounded((float)(TestModel.Normal(random) / 4))).ToArray())];
        var cores = new CoreSlab(Slots, length, dtype, CPU);
        for (int slot = 0; slot < Slots; slot++)
            cores.Write(slot, packed[slot]);
        return cores;
    }

    private static Activation Filled(int rows, int width, int seed)
    {
        var random = new Random(seed);
        var activation = new Activation(rows, width, ScalarType.BFloat16, CPU);
        for (int i = 0; i < rows * width; i++)
            Bf16.Write((Bf16*)activation.Address + i, (float)TestModel.Normal(random));
        return activation;
    }

    private static double Value(Activation activation, int row, int column) => Bf16.Read((Bf16*)activation.Address + (row * activation.Width) + column);

    private static float Rounded(float value) => BitConverter.UInt32BitsToSingle((uint)FloatConversion.ToBFloat16(value) << 16);
}
