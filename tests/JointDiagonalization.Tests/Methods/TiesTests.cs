using CsCheck;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Methods;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Methods;

public sealed class TiesTests : IDisposable
{
    private static readonly float[][] Specified = [[1, -4, 3, 0.5f, 2, -1], [2, 3, -1, -0.2f, -5, 0.1f], [-3, 1, 2, 0.9f, 0.4f, -2]];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_worked_example_of_the_specification_holds()
    {
        Assert.Equal([-3, -4, 2.5f, 0, -5, -2], Merge(Specified, 0.5, 1));
        Assert.Equal([-1.5f, -2, 1.25f, 0, -2.5f, -1], Merge(Specified, 0.5, 0.5f));
    }

    [Fact]
    public void Exactly_floor_of_the_share_is_kept_and_the_first_of_equal_entries()
    {
        Assert.Equal([2, 2, 0, 0, 0], Merge([[2, 2, 2, -2, 1]], 0.5, 1));
        Assert.Equal([0, 0, 0], Merge([[1, 2, 3]], 0.3, 1));
        Assert.Equal([1, 2, 3], Merge([[1, 2, 3]], 1, 1));
    }

    [Fact]
    public void A_tie_of_signs_goes_to_the_majority_of_all_entries()
    {
        Assert.Equal([4, 1, 1], Merge([[4, 1, 1], [-4, 1, 1]], 1, 1));
        Assert.Equal([-4, -1, -1], Merge([[4, -1, -1], [-4, -1, -1]], 1, 1));
    }

    [Fact]
    public void The_merge_equals_sorting_and_counting() =>
        (from count in Gen.Int[1, 5]
         from length in Gen.Int[1, 40]
         from keep in Gen.Double[0.01, 1]
         from values in Gen.Int[-4, 4].Array[count * length]
         select (length, keep, values))
        .Sample(
            c =>
            {
                float[][] products = [.. c.values.Select(v => v / 2f).Chunk(c.length)];
                Assert.Equal(Sorted(products, c.keep), Merge(products, c.keep, 1).Select(v => (double)v), (a, b) => Math.Abs(a - b) < 1e-6);
            },
            threads: 1);

    [Theory]
    [InlineData(3)]
    [InlineData(40)]
    public void Every_name_serves_one_delta_and_reports_its_honest_error(int rank)
    {
        string[] folders = AdapterFolders.Write(_folder["in"], 5, noise: 0.3);
        CompressionResult result = Compressor.Compress(
            new() { Output = _folder["out"], Method = CompressionMethod.Ties, RankU = rank, RankV = rank, Keep = 0.4, MergeScale = 2 }, folders);
        Assert.Equal(("ties", new BundleMerge(0.4, 2)), (result.Manifest.Method, result.Manifest.Merge));
        using Bundle bundle = Bundle.Open(_folder["out"]);
        foreach (BundleModule module in bundle.Manifest.Modules)
        {
            double[,] served = ServedError.Delta(bundle, "adapter-000", module.Path);
            float[][] products = [.. folders.Select(f => Dense.Floats(Dense.Product(PeftAdapter.Open(f).ReadDelta(module.Path))))];
            double[,] merged = Dense.From([.. Sorted(products, 0.4).Select(v => 2 * v)], module.DOut, module.DIn);
            double tail = Dense.SingularValues(merged).OrderDescending().Skip(rank).Sum(s => s * s);
            Assert.Equal(tail, Dense.SquaredDistance(merged, served), 1e-4 * Dense.SquaredNorm(merged));
            foreach (ReportAdapter adapter in result.Report.Adapters)
            {
                Assert.Equal(served, ServedError.Delta(bundle, adapter.Id, module.Path));
                Assert.Equal(ServedError.Of(bundle, PeftAdapter.Open(folders.Single(f => Path.GetFileName(f) == adapter.Id)), module.Path), adapter.Modules[module.Path], 1e-5);
            }
        }

        AdapterPlacement member = AdapterPlacer.Place(bundle, PeftAdapter.Open(folders[1]));
        Assert.Equal(result.Report.Adapters[1].RelSqError, member.RelSqError, 1e-6);
    }

    [Fact]
    public void An_adapter_without_a_module_serves_the_merge_there_too()
    {
        var random = new Random(1);
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m.first", Synthetic.Random(random, 8, 6, 2)), KeyValuePair.Create("m.second", Synthetic.Random(random, 8, 6, 2))]);
        PeftFiles.Write(_folder["in", "b"], [KeyValuePair.Create("m.first", Synthetic.Random(random, 8, 6, 2))]);
        CompressionResult result = Compressor.Compress(
            new() { Output = _folder["out"], Method = CompressionMethod.Ties, RankU = 4, RankV = 4, MergeScale = 9 }, PeftAdapter.FindFolders(_folder["in"]));
        using Bundle bundle = Bundle.Open(_folder["out"]);
        Assert.Equal(ServedError.Delta(bundle, "a", "m.second"), ServedError.Delta(bundle, "b", "m.second"));
        Assert.Equal(["m.first"], result.Report.Adapters[1].Modules.Keys);
        Assert.True(result.Report.Adapters[0].RelSqError > 1, "a merge scaled far too large is worse than nothing");
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1.1, 1)]
    [InlineData(0.5, double.NaN)]
    public void Impossible_settings_are_refused(double keep, double scale) => Assert.Throws<ArgumentOutOfRangeException>(
        () => Compressor.Compress(new() { Output = _folder["out"], Method = CompressionMethod.Ties, Keep = keep, MergeScale = scale }, []));

    private static float[] Merge(float[][] products, double keep, float scale)
    {
        var merge = new TiesMerge.Accumulator(products[0].Length, keep);
        foreach (float[] product in products)
            merge.Add(product);
        return merge.Result(scale);
    }

    /// <summary>The definition, word for word.</summary>
    private static double[] Sorted(float[][] products, double keep)
    {
        int length = products[0].Length, kept = (int)Math.Floor(length * keep);
        double[][] trimmed =
        [
            .. products.Select(p =>
            {
                double[] t = new double[length];
                foreach (int i in Enumerable.Range(0, length).OrderByDescending(i => Math.Abs(p[i])).ThenBy(i => i).Take(kept))
                    t[i] = p[i];
                return t;
            }),
        ];
        int[] signs = [.. Enumerable.Range(0, length).Select(i => Math.Sign(trimmed.Sum(t => t[i])))];
        int majority = Math.Sign(signs.Sum());
        return
        [
            .. signs.Select((sign, i) =>
            {
                double[] agreeing = [.. trimmed.Select(t => t[i]).Where(v => v != 0 && Math.Sign(v) == (sign == 0 ? majority : sign))];
                return agreeing.Length == 0 ? 0 : agreeing.Average();
            }),
        ];
    }
}
