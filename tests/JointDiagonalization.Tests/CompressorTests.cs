using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests;

public sealed class CompressorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Input => _folder["in"];

    private string Output => _folder["out"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 6, 6, DType.F32, 1e-5)]
    [InlineData(2, 5, 3, DType.F32, 1e-5)]
    [InlineData(3, 4, 6, DType.BF16, 1e-4)]
    [InlineData(1, 30, 30, DType.F16, 1e-4)]
    public void The_report_states_the_error_that_the_files_serve(int clusters, int rankU, int rankV, DType dtype, double tolerance)
    {
        string[] folders = AdapterFolders.Write(Input, 9, families: 3);
        CompressionResult result = Compressor.Compress(Options() with { Clusters = clusters, RankU = rankU, RankV = rankV, DType = dtype }, folders);

        Assert.Empty(result.Skipped);
        using Bundle bundle = Bundle.Open(Output);
        Assert.Equal([rankU, rankV], bundle.Manifest.Rank);
        foreach (string folder in folders)
        {
            PeftAdapter adapter = PeftAdapter.Open(folder);
            ReportAdapter report = result.Report.Adapters.Single(a => a.Id == adapter.Id);
            Assert.Equal(adapter.Modules.Keys, report.Modules.Keys);
            Assert.Equal(report.Modules.Values.Average(), report.RelSqError, 1e-12);
            foreach (var (module, error) in report.Modules)
                Assert.Equal(ServedError.Of(bundle, adapter, module), error, tolerance);
        }

        Assert.Equal(result.Report.Adapters.Average(a => a.RelSqError), result.Report.MeanRelSqError, 1e-12);
    }

    [Theory]
    [InlineData(1, 6, DType.F32, 1e-5)]
    [InlineData(3, 12, DType.BF16, 1e-3)]
    public void Diagonal_cores_are_stored_as_vectors_and_served_as_matrices(int clusters, int rank, DType dtype, double tolerance)
    {
        string[] folders = AdapterFolders.Write(Input, 9, families: 3);
        CompressionResult result = Compressor.Compress(
            Options() with { Method = CompressionMethod.Diagonal, Clusters = clusters, RankU = rank, RankV = rank, DType = dtype }, folders);
        Assert.Equal(("jd-diagonal", 200), (result.Manifest.Method, result.Manifest.Iterations));

        using Bundle bundle = Bundle.Open(Output);
        foreach (ReportAdapter report in result.Report.Adapters)
        {
            PeftAdapter adapter = PeftAdapter.Open(folders.Single(f => Path.GetFileName(f) == report.Id));
            CoreBlob blob = CoreBlob.Parse(bundle.CoreBlob(report.Id));
            foreach (var (module, error) in report.Modules)
            {
                Assert.Equal(ServedError.Of(bundle, adapter, module), error, tolerance);
                CoreMatrix core = blob.Cores[module];
                Assert.Equal(core.RankU * core.RankU, core.Values.Length);
                Assert.All(core.Values.Index().Where(v => v.Index % (core.RankU + 1) != 0), v => Assert.Equal(0, v.Item));
            }
        }

        using SafetensorsFile cores = SafetensorsFile.Open(Path.Combine(Output, "cores-00000.safetensors"));
        Assert.All(cores.Tensors.Values, t => Assert.InRange(Assert.Single(t.Shape), 1, rank));
    }

    [Fact]
    public void Diagonal_cores_of_unequal_ranks_are_refused() => Assert.Contains(
        "equal ranks",
        Assert.Throws<ArgumentException>(() => Compressor.Compress(Options() with { Method = CompressionMethod.Diagonal, RankU = 3, RankV = 4 }, [])).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Families_in_their_own_clusters_are_nearly_lossless_where_one_basis_is_not()
    {
        string[] folders = AdapterFolders.Write(Input, 12, families: 2, noise: 0);
        var one = Compressor.Compress(Options() with { RankU = 4, RankV = 4 }, folders);
        var two = Compressor.Compress(Options() with { RankU = 4, RankV = 4, Clusters = 2, Overwrite = true }, folders);
        Assert.Equal([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], two.Manifest.Adapters.Select(a => a.Cluster));
        Assert.True(two.Report.MeanRelSqError < 1e-9, $"{two.Report.MeanRelSqError}");
        Assert.True(one.Report.MeanRelSqError > 0.1);
        Assert.InRange(one.Report.CertifiedGap!.Value, 0, one.Report.MeanRelSqError);
    }

    [Fact]
    public void The_report_counts_every_number_and_byte()
    {
        string[] folders = AdapterFolders.Write(Input, 6, rank: 3);
        CompressionReport report = Compressor.Compress(Options() with { RankU = 5, RankV = 4 }, folders).Report;
        long source = AdapterFolders.Modules.Sum(m => 6L * 3 * (m.DOut + m.DIn));
        long stored = AdapterFolders.Modules.Sum(m => (5L * m.DOut) + (4L * m.DIn) + (6 * 5 * 4));
        Assert.Equal(1 - ((double)stored / source), report.ParametersSaved, 1e-12);
        Assert.Equal(folders.Sum(f => new FileInfo(Path.Combine(f, "adapter_model.safetensors")).Length), report.BytesIn);
        Assert.Equal(Directory.EnumerateFiles(Output, "*.safetensors").Sum(f => new FileInfo(f).Length), report.BytesOut);
        Assert.True(report.Seconds > 0 && report.PeakRssBytes > 0);
    }

    [Fact]
    public void The_weighted_error_weighs_by_squared_norm()
    {
        string[] folders = AdapterFolders.Write(Input, 5, noise: 0.5);
        CompressionResult result = Compressor.Compress(Options() with { RankU = 3, RankV = 3 }, folders);
        double lost = 0, all = 0;
        foreach (string folder in folders)
        {
            PeftAdapter adapter = PeftAdapter.Open(folder);
            ReportAdapter report = result.Report.Adapters.Single(a => a.Id == adapter.Id);
            double energy = 0;
            foreach (var (module, error) in report.Modules)
            {
                double squaredNorm = Dense.SquaredNorm(Dense.Product(adapter.ReadDelta(module)));
                lost += squaredNorm * error;
                energy += squaredNorm;
            }

            all += energy;
            Assert.Equal(Math.Sqrt(energy), result.Manifest.Adapters.Single(a => a.Id == adapter.Id).Norm, 1e-6 * Math.Sqrt(energy));
        }

        Assert.Equal(lost / all, result.Report.NormWeightedRelSqError, 1e-9);
    }

    [Fact]
    public void Equal_input_and_seed_give_equal_bytes_in_any_folder_order()
    {
        string[] folders = AdapterFolders.Write(Input, 8);
        CompressorOptions options = Options() with { Clusters = 2, RankU = 4, RankV = 4, Seed = 42 };
        string first = Compressor.Compress(options, folders).Manifest.Generation;
        string second = Compressor.Compress(options with { Output = _folder["again"] }, [.. folders.Reverse()]).Manifest.Generation;
        Assert.Equal(first, second);
        foreach (string file in Directory.EnumerateFiles(Output).Where(f => !Path.GetFileName(f).StartsWith("report.", StringComparison.Ordinal)))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(_folder["again", Path.GetFileName(file)]));
        Assert.NotEqual(first, Compressor.Compress(options with { Output = _folder["other"], Seed = 43 }, folders).Manifest.Generation);
    }

    [Fact]
    public void A_bad_adapter_is_left_out_and_named_or_stops_a_strict_run()
    {
        string[] folders = AdapterFolders.Write(Input, 4);
        File.Delete(Path.Combine(folders[1], "adapter_config.json"));
        CompressionResult result = Compressor.Compress(Options(), folders);
        SkippedAdapter skipped = Assert.Single(result.Skipped);
        Assert.Equal("adapter-001", skipped.Id);
        Assert.Contains("adapter_config.json is missing", skipped.Reason, StringComparison.Ordinal);
        Assert.Equal(["adapter-000", "adapter-002", "adapter-003"], result.Manifest.Adapters.Select(a => a.Id));

        var error = Assert.Throws<AdapterFormatException>(() => Compressor.Compress(Options() with { Strict = true, Overwrite = true }, folders));
        Assert.Equal("adapter-001", error.Adapter);
    }

    [Fact]
    public void The_adapter_whose_shape_differs_from_the_others_is_left_out()
    {
        string[] folders = [_folder["in", "a"], _folder["in", "b"], _folder["in", "c"]];
        int[] widths = [7, 6, 6];
        for (int i = 0; i < 3; i++)
            PeftFiles.Write(folders[i], [KeyValuePair.Create("model.layers.0.mlp.up_proj", Synthetic.Random(new Random(i), 5, widths[i], 2))]);
        CompressionResult result = Compressor.Compress(Options(), folders);
        SkippedAdapter skipped = Assert.Single(result.Skipped);
        Assert.Equal("a", skipped.Id);
        Assert.Contains("[5, 7]; most adapters have [5, 6]", skipped.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CompressionMethod.Full)]
    [InlineData(CompressionMethod.Diagonal)]
    public void Zero_products_mixed_ranks_and_missing_modules_are_served_exactly_as_they_are(CompressionMethod method)
    {
        var random = new Random(1);
        LoraDelta Delta(int rank) => Synthetic.Random(random, 8, 6, rank);
        var zero = new LoraDelta(new float[16], Delta(2).A, 8, 6, 2, 1);
        PeftFiles.Write(_folder["in", "a"], [KeyValuePair.Create("m.first", Delta(2)), KeyValuePair.Create("m.second", Delta(2))]);
        PeftFiles.Write(_folder["in", "b"], [KeyValuePair.Create("m.first", zero)]);
        PeftFiles.Write(_folder["in", "c"], [KeyValuePair.Create("m.first", Delta(4))]);
        PeftFiles.Write(_folder["in", "d"], [KeyValuePair.Create("m.second", zero), KeyValuePair.Create("m.third", zero)]);
        CompressionResult result = Compressor.Compress(Options() with { Method = method, RankU = 8, RankV = 8, Clusters = 2 }, PeftAdapter.FindFolders(Input));

        using Bundle bundle = Bundle.Open(Output);
        Assert.All(bundle.ReadCores("b")["m.first"].Values, v => Assert.Equal(0, v));
        Assert.Equal(0, bundle.Adapter("b").Cluster);
        Assert.Equal(["m.first"], bundle.ReadCores("c").Keys);
        // Nobody has a non-zero third module, so it has no basis and needs no core.
        Assert.Equal(["m.second"], bundle.ReadCores("d").Keys);
        if (method == CompressionMethod.Full)
            Assert.Equal(0, result.Report.MeanRelSqError, 1e-10);
        Assert.Empty(result.Report.Adapters.Single(a => a.Id == "d").Modules);
        // Ranks 2 and 4 span 6 of 8 output dimensions when they share a basis.
        Assert.All(result.Manifest.Bases.SelectMany(b => b.Ranks.Values), r => Assert.InRange(r[0], 2, 6));
    }

    [Fact]
    public void The_base_model_name_is_the_one_all_adapters_state()
    {
        string[] folders = AdapterFolders.Write(Input, 2);
        Assert.Equal("test/base", Compressor.Compress(Options(), folders).Manifest.BaseModel);
        string config = Path.Combine(folders[1], "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("test/base", "other/base", StringComparison.Ordinal));
        Assert.Null(Compressor.Compress(Options() with { Overwrite = true }, folders).Manifest.BaseModel);
        Assert.Equal("mine", Compressor.Compress(Options() with { Overwrite = true, BaseModel = "mine" }, folders).Manifest.BaseModel);
    }

    [Fact]
    public void A_run_without_any_usable_adapter_says_why()
    {
        Directory.CreateDirectory(Input);
        Assert.Contains("no adapter folder", Assert.Throws<AdapterFormatException>(() => Compressor.Compress(Options(), [])).Message, StringComparison.Ordinal);
        var error = Assert.Throws<AdapterFormatException>(() => Compressor.Compress(Options(), [Input]));
        Assert.Contains("'in' the file adapter_config.json is missing", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_existing_output_is_never_overwritten_by_surprise()
    {
        string[] folders = AdapterFolders.Write(Input, 2);
        Compressor.Compress(Options(), folders);
        Assert.Contains("exists", Assert.Throws<IOException>(() => Compressor.Compress(Options(), folders)).Message, StringComparison.Ordinal);
        Directory.CreateDirectory(_folder["precious"]);
        File.WriteAllText(_folder["precious", "notes.txt"], "keep");
        var error = Assert.Throws<IOException>(
            () => Compressor.Compress(Options() with { Output = _folder["precious"], Overwrite = true }, folders));
        Assert.Contains("not a bundle", error.Message, StringComparison.Ordinal);
        Assert.Equal("keep", File.ReadAllText(_folder["precious", "notes.txt"]));
    }

    [Fact]
    public void A_cancelled_run_leaves_nothing_behind()
    {
        string[] folders = AdapterFolders.Write(Input, 4);
        using var source = new CancellationTokenSource();
        var progress = new Immediate(p =>
        {
            if (p.Stage == CompressionStage.Fitting)
                source.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => Compressor.Compress(Options(), folders, progress, source.Token));
        Assert.Equal([Input], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Progress_counts_every_adapter_and_module_and_ends_with_the_error()
    {
        List<CompressionProgress> seen = [];
        CompressionResult result = Compressor.Compress(Options() with { Clusters = 2 }, AdapterFolders.Write(Input, 5), new Immediate(seen.Add));
        Assert.Equal([1, 2, 3, 4, 5], seen.Where(p => p.Stage == CompressionStage.Reading).Select(p => p.Done));
        Assert.Equal([1, 2, 3], seen.Where(p => p.Stage == CompressionStage.Fitting).Select(p => p.Done));
        Assert.Contains(seen, p => p is { Stage: CompressionStage.Clustering, RelSqError: not null });
        Assert.Equal(result.Report.MeanRelSqError, seen[^1].RelSqError);
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(1, 1, 0)]
    public void Impossible_settings_are_refused(int rank, int clusters, int iterations) =>
        Assert.Throws<ArgumentOutOfRangeException>(
            () => Compressor.Compress(Options() with { RankU = rank, Clusters = clusters, Iterations = iterations }, []));

    private CompressorOptions Options() => new() { Output = Output };
}
