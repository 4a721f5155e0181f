using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests.Reports;

public sealed class ErrorSurveyTests : IDisposable
{
    private const int Count = 12;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void With_one_cluster_each_point_is_nearly_what_a_fit_of_that_rank_reaches()
    {
        string[] folders = Adapters();
        ErrorSurvey survey = Compress(folders, clusters: 1).Survey!;
        foreach (SurveyPoint point in survey.Points.Where(p => p.Clusters == 1))
        {
            List<double> errors = [];
            foreach (string module in survey.Modules)
            {
                using CanonicalFactors factors = CanonicalFactors.From([.. folders.Select((f, i) => (i, PeftAdapter.Open(f).ReadDelta(module)))]);
                using JointFit fit = new JointDiagonalizer(new FitOptions { RankU = point.Rank[0], RankV = point.Rank[1], Iterations = 50, Tolerance = 1e-7 }).Fit(factors);
                errors.AddRange(fit.Errors);
            }

            Assert.Equal(errors.Average(), point.RelSqError, 0.02 * errors.Average());
        }
    }

    [Fact]
    public void Saved_parameters_are_counted_from_shapes()
    {
        CompressionReport report = Compress(Adapters(), clusters: 1);
        SurveyPoint point = report.Survey!.Points.Single(p => p.Clusters == 1 && p.Rank is [4, 2]);
        double stored = AdapterFolders.Modules.Sum(m => (4 * m.DOut) + (2 * m.DIn) + (Count * 4 * 2));
        double source = AdapterFolders.Modules.Sum(m => Count * 3 * (m.DOut + m.DIn));
        Assert.Equal(1 - (stored / source), point.ParametersSaved, 1e-12);
        Assert.Equal(report.ParametersSaved, point.ParametersSaved, 1e-12);
    }

    [Fact]
    public void More_rank_and_more_clusters_lose_less()
    {
        SurveyPoint[] points = Compress(Adapters(), clusters: 2).Survey!.Points;
        Assert.Equal([1, 2, 4], points.Select(p => p.Clusters).Distinct());
        foreach (var line in points.GroupBy(p => p.Clusters))
            Assert.Equal(line.Select(p => p.RelSqError).OrderDescending(), line.Select(p => p.RelSqError));
        Assert.True(points.First(p => p is { Clusters: 2, Rank: [4, 2] }).RelSqError < points.First(p => p is { Clusters: 1, Rank: [4, 2] }).RelSqError);
    }

    [Fact]
    public void The_spectra_are_the_dense_eigenvalue_tails()
    {
        string[] folders = Adapters();
        foreach (SurveySpectrum spectrum in Compress(folders, clusters: 2).Survey!.Spectra)
        {
            double[][,] units = [.. folders.Select(f => Dense.Unit(PeftAdapter.Open(f).ReadDelta(spectrum.Module)))];
            RequireTails(Dense.Sum(units.Select(m => Dense.Multiply(m, Dense.Transpose(m)))), spectrum.Ranks, spectrum.TailU);
            RequireTails(Dense.Sum(units.Select(m => Dense.Multiply(Dense.Transpose(m), m))), spectrum.Ranks, spectrum.TailV);
        }

        static void RequireTails(double[,] gram, int[] ranks, double[] tails)
        {
            double[] values = Dense.Eigen(gram).Values;
            for (int i = 0; i < ranks.Length; i++)
                Assert.Equal(values.Skip(ranks[i]).Sum() / Count, tails[i], 1e-5);
        }
    }

    [Fact]
    public void The_same_run_gives_the_same_survey()
    {
        string[] folders = Adapters();
        ErrorSurvey first = Compress(folders, clusters: 2).Survey!, second = Compress(folders, clusters: 2).Survey!;
        Assert.Equal(first.Points.Select(p => (p.Clusters, p.RelSqError, p.ParametersSaved)), second.Points.Select(p => (p.Clusters, p.RelSqError, p.ParametersSaved)));
        Assert.Equal(first.Modules, second.Modules);
    }

    [Fact]
    public void No_module_wanted_means_no_survey() => Assert.Null(Compress(Adapters(), clusters: 2, modules: 0).Survey);

    [Fact]
    public void Modules_bounds_are_those_of_the_dense_spectra_and_their_errors_the_adapters()
    {
        string[] folders = Adapters();
        CompressionReport report = Compress(folders, clusters: 1, modules: 0);
        Assert.Equal(AdapterFolders.Modules.Select(m => m.Path).Order(StringComparer.Ordinal), report.Modules.Select(m => m.Path));
        foreach (ReportModule module in report.Modules)
        {
            double[][,] units = [.. folders.Select(f => Dense.Unit(PeftAdapter.Open(f).ReadDelta(module.Path)))];
            double tailU = Dense.Eigen(Dense.Sum(units.Select(m => Dense.Multiply(m, Dense.Transpose(m))))).Values.Skip(4).Sum() / Count;
            double tailV = Dense.Eigen(Dense.Sum(units.Select(m => Dense.Multiply(Dense.Transpose(m), m)))).Values.Skip(2).Sum() / Count;
            Assert.Equal((tailU, tailV), (module.TailU!.Value, module.TailV!.Value), (a, b) => Math.Abs(a.Item1 - b.Item1) < 1e-5 && Math.Abs(a.Item2 - b.Item2) < 1e-5);
            Assert.Equal(Math.Max(module.TailU.Value, module.TailV.Value), module.LowerBound!.Value, 1e-12);
            Assert.InRange(module.LowerBound.Value, 0, module.RelSqError);
            Assert.Equal(report.Adapters.Average(a => a.Modules[module.Path]), module.RelSqError, 1e-12);
            Assert.Equal(Count, module.Products);
        }
    }

    [Theory]
    [InlineData(4, "a 0, b 1, c 2, a 3")]
    [InlineData(2, "a 1, b 3")]
    [InlineData(99, "a 0, b 0, c 0, a 1, b 1, c 1, a 2, b 2, c 2, a 3, b 3, c 3")]
    public void Sampled_modules_spread_over_projections_and_depth(int count, string expected)
    {
        BundleModule[] modules =
        [
            .. from layer in Enumerable.Range(0, 4)
               from projection in new[] { "a", "b", "c" }
               select new BundleModule($"model.layers.{layer}.self_attn.{projection}", 4, 4),
        ];
        string[] chosen = [.. SurveyPlan.Spread(modules, count).Select(m => ModulePath.Parse(m.Path)).Select(p => $"{p.Projection} {p.Layer}")];
        Assert.Equal(expected.Split(", ").Order(), chosen.Order());
        Assert.Equal(chosen.Distinct(), chosen);
    }

    [Theory]
    [InlineData("model.layers.17.self_attn.q_proj", 17, "q_proj")]
    [InlineData("transformer.h.3.attn.c_attn", 3, "c_attn")]
    [InlineData("model.layers.2.block_sparse_moe.experts.7.w1", 2, "block_sparse_moe.experts.7.w1")]
    [InlineData("lm_head", null, "lm_head")]
    public void A_path_is_a_layer_and_a_projection(string path, int? layer, string projection) =>
        Assert.Equal(new ModulePath(layer, projection), ModulePath.Parse(path));

    private string[] Adapters() => AdapterFolders.Write(_folder["in"], Count, noise: 0.2);

    private CompressionReport Compress(string[] folders, int clusters, int? modules = null) => Compressor.Compress(
        new CompressorOptions { Output = _folder["out"], RankU = 4, RankV = 2, Clusters = clusters, FigureModules = modules, Overwrite = true }, folders).Report;
}
