using CsCheck;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Planning;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Planning;

/// <summary>
/// Figures of spec/joint-diagonalization.md §8. The paper counts q, k and v as 4096 x 4096 and adapters of rank 16; the
/// real k and v of its model are 1024 x 4096.
/// </summary>
public sealed class MemoryPlanTests
{
    private static readonly ModuleShape[] PaperLayer = [new(4096, 4096), new(4096, 4096), new(4096, 4096)];
    private static readonly ModuleShape[] RealLayer = [new(4096, 4096), new(1024, 4096), new(1024, 4096)];

    [Theory]
    [InlineData(500, 64, 7, 0.9127, 1e-4)]
    [InlineData(500, 16, 25, 0.948, 5e-4)]
    [InlineData(10, 256, 1, -1.10, 5e-3)]
    [InlineData(500, 256, 1, 0.47, 5e-3)]
    public void The_papers_saved_parameters_come_out(int adapters, int rank, int clusters, double saved, double tolerance) =>
        Assert.Equal(saved, Plan(PaperLayer, rank, clusters).Saved(adapters), tolerance);

    [Theory]
    [InlineData(10, 256, 1, -1.27)]
    [InlineData(500, 256, 1, 0.30)]
    public void Real_grouped_query_shapes_save_less(int adapters, int rank, int clusters, double saved)
    {
        MemoryPlan plan = Plan(RealLayer, rank, clusters);
        Assert.Equal(294_912, plan.LoraNumbers);
        Assert.Equal(saved, plan.Saved(adapters), 2);
    }

    // The settings of the list are those that give its values; the paper prints 10 for 256 adapters, which its formula does not.
    [Theory]
    [InlineData(4, 16, 1, 1.008, 2)]
    [InlineData(8, 16, 1, 1.016, 2)]
    [InlineData(16, 32, 1, 2.125, 3)]
    [InlineData(32, 64, 1, 5.0, 5)]
    [InlineData(64, 64, 1, 6.0, 6)]
    [InlineData(128, 16, 7, 7.25, 8)]
    [InlineData(256, 16, 10, 10.5, 11)]
    [InlineData(512, 16, 25, 26.0, 26)]
    [InlineData(1024, 64, 7, 60.0, 60)]
    public void Plain_adapters_in_the_same_memory_follow_the_papers_list(int adapters, int rank, int clusters, double value, int ceiling)
    {
        MemoryPlan plan = Plan(PaperLayer, rank, clusters);
        Assert.Equal(value, plan.PlainEquivalent(adapters), 5e-4);
        Assert.Equal(ceiling, plan.PlainAdapters(adapters));
    }

    [Fact]
    public void Real_shapes_make_a_thousand_adapters_cost_more_plain_ones() =>
        Assert.Equal(70.7, Plan(RealLayer, 64, 7).PlainEquivalent(1024), 1);

    [Fact]
    public void Square_modules_follow_the_closed_forms() =>
        Gen.Select(Gen.Int[1, 64], Gen.Int[1, 40], Gen.Int[1, 2000], Gen.Int[1, 8]).Sample((rank, clusters, adapters, lora) =>
        {
            clusters = Math.Min(clusters, adapters);
            const double d = 512;
            double full = ((clusters * 2 * d * rank) + (adapters * rank * rank)) / (2 * d * lora * adapters);
            double diagonal = ((clusters * 2 * d * rank) + (adapters * rank)) / (2 * d * lora * adapters);
            var settings = new PlanSettings { RankU = rank, RankV = rank, Clusters = clusters, LoraRank = lora };
            var fullPlan = new MemoryPlan([new(512, 512)], settings);
            var diagonalPlan = new MemoryPlan([new(512, 512)], settings with { Method = CompressionMethod.Diagonal });
            Assert.Equal(1 - full, fullPlan.Saved(adapters), 1e-9);
            Assert.Equal(1 - (rank * rank / (2 * d * lora)), fullPlan.SavedPerAdapter, 1e-9);
            Assert.Equal(1 - diagonal, diagonalPlan.Saved(adapters), 1e-9);
            Assert.Equal(1 - (rank / (2 * d * lora)), diagonalPlan.SavedPerAdapter, 1e-9);
        });

    [Fact]
    public void Bytes_count_rectangular_cores_caps_and_both_storage_types()
    {
        var settings = new PlanSettings { RankU = 100, RankV = 16, Clusters = 3, DType = DType.BF16, LoraRank = 4, LoraDType = DType.F32 };
        var plan = new MemoryPlan([new(200, 300), new(40, 300)], settings);
        Assert.Equal(3 * 2 * ((200 * 100) + (300 * 16) + (40 * 40) + (300 * 16)), plan.BasisBytes(10));
        Assert.Equal(2 * ((100 * 16) + (40 * 16)), plan.AdapterBytes);
        Assert.Equal(4 * 4 * (200 + 300 + 40 + 300), plan.LoraBytes);
        Assert.Equal(plan.BasisBytes(10) + (10 * plan.AdapterBytes), plan.TotalBytes(10));
        Assert.Equal(plan.BasisBytes(10) / 3, plan.BasisBytes(1));
    }

    [Fact]
    public void A_residual_costs_its_rank_in_both_dimensions_of_every_module()
    {
        var settings = new PlanSettings { RankU = 16, RankV = 8, Clusters = 2, DType = DType.BF16 };
        var without = new MemoryPlan(RealLayer, settings);
        var with = new MemoryPlan(RealLayer, settings with { Residual = 3 });
        long numbers = 3 * (8192 + 5120 + 5120);
        Assert.Equal(without.PrivateNumbers + numbers, with.PrivateNumbers);
        Assert.Equal(without.AdapterBytes + (2 * numbers), with.AdapterBytes);
        Assert.Equal(without.BasisBytes(9), with.BasisBytes(9));
        // As many pairs as the adapter has itself save nothing on top of the core.
        Assert.True(new MemoryPlan(RealLayer, settings with { Residual = 16 }).SavedPerAdapter < 0);
        Assert.Equal(2 * 5 * (5 + 300), Residual(new ModuleShape(5, 300), 9).AdapterBytes - Residual(new ModuleShape(5, 300), 0).AdapterBytes);

        static MemoryPlan Residual(ModuleShape shape, int rank) => new([shape], new PlanSettings { RankU = 4, RankV = 4, DType = DType.F16, Residual = rank });
    }

    [Theory]
    [InlineData(CompressionMethod.Full, 64 * 64, 64)]
    [InlineData(CompressionMethod.Diagonal, 64, 1)]
    public void Int8_cores_take_a_byte_per_number_and_a_scale_per_row(CompressionMethod method, int numbers, int rows)
    {
        var settings = new PlanSettings { Method = method, RankU = 64, RankV = 64, DType = DType.BF16, CoreDType = DType.I8 };
        var plan = new MemoryPlan([new(4096, 4096)], settings);
        Assert.Equal(numbers + (4 * rows), plan.AdapterBytes);
        Assert.Equal(2L * 64 * 8192, plan.BasisBytes(1));
        Assert.Equal(2 * numbers, new MemoryPlan([new(4096, 4096)], settings with { CoreDType = null }).AdapterBytes);
        Assert.Equal(4 * numbers, new MemoryPlan([new(4096, 4096)], settings with { CoreDType = DType.F32 }).AdapterBytes);
    }

    [Fact]
    public void Diagonal_cores_are_capped_on_the_narrower_side()
    {
        var plan = new MemoryPlan([new(8, 300)], new PlanSettings { Method = CompressionMethod.Diagonal, RankU = 32, RankV = 32 });
        Assert.Equal(8, plan.PrivateNumbers);
        Assert.Equal(8 * 308, plan.BasisNumbers(1));
    }

    [Fact]
    public void The_number_that_fits_is_the_largest_that_does() =>
        Gen.Select(Gen.Int[1, 20], Gen.Int[1, 12], Gen.Long[0, 4_000_000]).Sample((rank, clusters, bytes) =>
        {
            MemoryPlan plan = Plan([new(96, 64), new(32, 64)], rank, clusters);
            long fits = plan.AdaptersIn(bytes);
            Assert.True(plan.TotalBytes(fits) <= bytes);
            Assert.True(plan.TotalBytes(fits + 1) > bytes);
            long plain = plan.PlainAdaptersIn(bytes);
            Assert.True(plain * plan.LoraBytes <= bytes && (plain + 1) * plan.LoraBytes > bytes);
        });

    [Theory]
    [InlineData(CompressionMethod.Full, 5)]
    [InlineData(CompressionMethod.Diagonal, 6)]
    public void A_written_bundle_holds_as_many_numbers_as_planned(CompressionMethod method, int rank)
    {
        using var folder = new TemporaryFolder();
        string[] folders = AdapterFolders.Write(folder["in"], 8, rank: 3);
        var settings = new PlanSettings { Method = method, RankU = rank, RankV = rank, Clusters = 2, LoraRank = 3 };
        var report = Compressor.Compress(
            new CompressorOptions { Output = folder["out"], Method = method, RankU = rank, RankV = rank, Clusters = 2, Iterations = 3 }, folders).Report;
        var plan = new MemoryPlan([.. AdapterFolders.Modules.Select(m => new ModuleShape(m.DOut, m.DIn))], settings);
        Assert.Equal(report.ParametersSaved, plan.Saved(8), 1e-12);
    }

    [Fact]
    public void Impossible_settings_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new MemoryPlan([], new PlanSettings()));
        Assert.Throws<ArgumentOutOfRangeException>(() => Plan(PaperLayer, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Plan(PaperLayer, 1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MemoryPlan(PaperLayer, new PlanSettings { Residual = -1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MemoryPlan(PaperLayer, new PlanSettings { DType = DType.I8 }));
        Assert.Throws<ArgumentException>(() => new MemoryPlan(PaperLayer, new PlanSettings { Method = CompressionMethod.Diagonal, RankU = 2, RankV = 3 }));
    }

    [Fact]
    public void Targets_choose_modules_by_their_last_segments()
    {
        var shapes = new Dictionary<string, ModuleShape>
        {
            ["model.layers.0.self_attn.q_proj"] = new(4, 4),
            ["model.layers.1.self_attn.q_proj"] = new(4, 4),
            ["model.layers.0.mlp.up_proj"] = new(8, 4),
            ["lm_head"] = new(9, 4),
        };
        Assert.Equal([new(4, 4), new(4, 4), new(9, 4)], ModuleSelection.Choose(shapes, ["q_proj", "lm_head"]).OrderBy(s => s.OutFeatures));
        Assert.Equal([new(8, 4)], ModuleSelection.Choose(shapes, ["mlp.up_proj"]));
        var error = Assert.Throws<ArgumentException>(() => ModuleSelection.Choose(shapes, ["q_proj", "proj"]));
        Assert.Contains("named 'proj'; it has lm_head, q_proj, up_proj", error.Message, StringComparison.Ordinal);
    }

    private static MemoryPlan Plan(ModuleShape[] modules, int rank, int clusters) =>
        new(modules, new PlanSettings { RankU = rank, RankV = rank, Clusters = clusters });
}
