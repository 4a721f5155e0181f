using Eigengate.Inference.Adapters;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Adapters;

/// <summary>Exact adapters, residuals, gains and biases against the dense model W' = gb ⊙ W + gd ⊙ (U Σ Vᵀ + s B A), b' = b + db.</summary>
public class PrivatePartsTests
{
    private static readonly Dictionary<string, ClusterBasis> NoBases = [];

    /// <summary>Widths that divide pages, that leave tails of every kind, and that span several pages.</summary>
    public static TheoryData<bool, int, int, int> Shapes => new()
    {
        { false, 64, 128, 16 }, { false, 72, 172, 18 }, { false, 16, 20, 4 },
        { true, 64, 128, 16 }, { true, 72, 172, 18 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Any_mix_of_adapters_in_one_batch_equals_the_dense_models(bool reference, int hidden, int intermediate, int headDim)
    {
        using var model = new TestModel(hidden: hidden, intermediate: intermediate, headDim: headDim);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        var bases = Enumerable.Range(0, 2).Select(c => TestAdapters.Cluster(model.Config, c, _ => (4 + (9 * c), 4 + (9 * c)))).ToArray();
        for (int c = 0; c < bases.Length; c++)
            probe.Parts.Bases.Add($"cluster-{c}", bases[c]);

        AdapterWeights?[] crowd = [.. Enumerable.Range(0, 24).Select(i => Member(model, bases, i))];
        int[][] prompts = [.. crowd.Select((_, i) => model.Prompt(3 + (i % 7), i))];
        ResidentAdapter?[] leases = [.. crowd.Select(weights => weights is null ? null : probe.Load(weights))];
        float[][][] together = probe.Logits(3, [.. prompts.Zip(leases)]);
        for (int i = 0; i < crowd.Length; i++)
        {
            Float64Decoder dense = crowd[i] is { } weights
                ? TestAdapters.Dense(model, weights.ClusterKey is null ? NoBases : bases[i % 2], weights)
                : new Float64Decoder(model);
            Close.Assert(dense.Logits(prompts[i]), together[i], 1e-3);
        }

        foreach (ResidentAdapter? lease in leases)
            lease?.Dispose();
        probe.Parts.Slots.Check();
    }

    /// <summary>One row at a time, tiles of rows, and as many as go to torch.</summary>
    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 7)]
    [InlineData(false, 100)]
    [InlineData(true, 100)]
    public void Chunks_of_every_size_equal_the_dense_model(bool reference, int chunk)
    {
        using var model = new TestModel(hidden: 72, intermediate: 172, headDim: 18);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        AdapterWeights weights = AdapterWeights.Exact("exact", "v1", TestAdapters.Exact(model.Config, 1, 5)) with { Outputs = TestAdapters.Outputs(model.Config, 2) };
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(100, 1);
        float[][] expected = TestAdapters.Dense(model, NoBases, weights).Logits(prompt);
        Close.Assert(expected, probe.Logits(chunk, (prompt, adapter))[0], 1e-3);
        Assert.Contains(expected.Zip(probe.Logits(prompt)), p => Math.Abs(p.First[5] - p.Second[5]) > 0.1);
    }

    [Theory]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    public void Gains_leave_the_bases_own_biases_alone(string family)
    {
        using var model = new TestModel(family: family, headDim: 8);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options());
        var weights = new AdapterWeights("gained", "v1", null, new Dictionary<string, float[]>()) { Outputs = TestAdapters.Outputs(model.Config, 3) };
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(20, 1);
        Close.Assert(TestAdapters.Dense(model, NoBases, weights).Logits(prompt), probe.Logits(20, (prompt, adapter))[0], 1e-3);
    }

    /// <summary>DoRA (spec/adapters.md §2.2): g = m / ‖row of W + s B A‖, y = g ⊙ ((W + s B A) x). Numbers of the test there.</summary>
    [Fact]
    public void Equal_gains_on_base_and_delta_are_dora()
    {
        double[] w = [1, 2, 3, 4], a = [1, 0], b = [1, 1], m = [4, 10];
        double[] sum = [.. w.Select((v, i) => v + (b[i / 2] * a[i % 2]))];
        double[] gain = [.. Enumerable.Range(0, 2).Select(o => m[o] / Math.Sqrt((sum[2 * o] * sum[2 * o]) + (sum[(2 * o) + 1] * sum[(2 * o) + 1])))];
        Assert.Equal([1.414214, 1.767767], gain, (x, y) => Math.Abs(x - y) < 1e-6);

        using var model = new TestModel(layers: 1);
        string name = "model.layers.0.self_attn.o_proj";
        LoraFactors factors = TestAdapters.Exact(model.Config, 1, 3, "self_attn.o_proj")[name];
        double[] merged = [.. model.Weights[$"{name}.weight"].Values.Zip(TestAdapters.Delta(factors), (x, d) => x + d)];
        float[] g = [.. Enumerable.Range(0, factors.DOut).Select(o => (float)((1 + (0.05 * o)) / Math.Sqrt(merged.Skip(o * factors.DIn).Take(factors.DIn).Sum(v => v * v))))];
        AdapterWeights dora = AdapterWeights.Exact("dora", "v1", new Dictionary<string, LoraFactors> { [name] = factors }) with
        {
            Outputs = new Dictionary<string, OutputVectors> { [name] = new(g, g) },
        };
        var dense = new Float64Decoder(model);
        double[] replaced = [.. merged.Select((v, i) => (v * g[i / factors.DIn]) - model.Weights[$"{name}.weight"].Values[i])];
        using var probe = new ModelProbe(model.Directory, TestEngine.Options());
        using ResidentAdapter adapter = probe.Load(dora);
        int[] prompt = model.Prompt(10, 1);
        Close.Assert(dense.Add(name, replaced).Logits(prompt), probe.Logits(10, (prompt, adapter))[0], 2e-3);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void In_bfloat16_the_answer_stays_near_the_dense_model(bool reference)
    {
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16, dtype: DType.BF16);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference) with { DType = EngineDType.BFloat16 });
        AdapterWeights weights = AdapterWeights.Exact("exact", "v1", TestAdapters.Exact(model.Config, 1, 4)) with { Outputs = TestAdapters.Outputs(model.Config, 2) };
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(12, 1);
        Close.Assert(TestAdapters.Dense(model, NoBases, weights).Logits(prompt), probe.Logits(5, (prompt, adapter))[0], 0.6);
    }

    [Theory]
    [InlineData(DType.F32, "llama", 1e-3)]
    [InlineData(DType.F32, "qwen2", 1e-3)]
    [InlineData(DType.BF16, "llama", 0.6)]
    public void A_merged_adapter_equals_the_dense_model_and_refuses_others(DType dtype, string family, double tolerance)
    {
        using var model = new TestModel(dtype: dtype, family: family);
        EngineOptions options = TestEngine.Options() with { DType = dtype == DType.BF16 ? EngineDType.BFloat16 : EngineDType.Float32 };
        AdapterWeights weights = AdapterWeights.Exact("one", "v1", TestAdapters.Exact(model.Config, 1, 4)) with { Outputs = TestAdapters.Outputs(model.Config, 2) };
        using var probe = new ModelProbe(model.Directory, options, weights);
        int[] prompt = model.Prompt(12, 1);
        Close.Assert(TestAdapters.Dense(model, NoBases, weights).Logits(prompt), probe.Logits(12, (prompt, null))[0], tolerance);

        using Engine engine = Engine.Load(model.Directory, options, weights);
        Assert.Equal("one", engine.MergedAdapter);
        string message = Assert.Throws<InvalidAdapterException>(() => engine.LoadAdapter(weights with { Id = "two" })).Message;
        Assert.Contains("'one' is merged into the weights", message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_that_cannot_be_merged_stops_the_load()
    {
        using var model = new TestModel(layers: 1);
        var factors = TestAdapters.Exact(model.Config, 1, 2, "self_attn.q_proj");
        LoraFactors good = factors.Values.Single();
        Refused("[32, 32]", AdapterWeights.Exact("x", "v1", new Dictionary<string, LoraFactors> { ["model.layers.0.mlp.up_proj"] = good }));
        Refused("has cores", new AdapterWeights("x", "v1", "cluster", new Dictionary<string, float[]> { ["model.layers.0.mlp.up_proj"] = new float[4] }));

        void Refused(string reason, AdapterWeights weights) => Assert.Contains(
            reason, Assert.Throws<InvalidAdapterException>(() => Engine.Load(model.Directory, TestEngine.Options(), weights)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_that_do_not_fit_are_refused_by_module_before_anything_is_taken()
    {
        using var model = new TestModel(layers: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { AdapterPoolBytes = 64 * 4 * 100 });
        string name = "model.layers.0.mlp.up_proj";
        LoraFactors good = TestAdapters.Exact(model.Config, 1, 2, "mlp.up_proj")[name];
        AdapterWeights With(LoraFactors factors) => AdapterWeights.Exact("x", "v1", new Dictionary<string, LoraFactors> { [name] = factors });
        AdapterWeights Gained(OutputVectors outputs) => With(good) with { Outputs = new Dictionary<string, OutputVectors> { [name] = outputs } };
        Refused("base gain of 3 numbers; 48 were expected", Gained(new(BaseGain: new float[3])));
        Refused("bias that is not finite", Gained(new(Bias: [.. new float[47], float.NaN])));
        Refused("A that is not finite", With(good with { A = [float.PositiveInfinity, .. good.A[1..]] }));
        Refused("scale that is not finite", With(good with { Scale = float.NaN }));
        Refused("cores but names no cluster", With(good) with { Cores = new Dictionary<string, float[]> { [name] = new float[4] } });
        // 60 rows of A and 60 of Bᵀ are 120 pages; the pool has 100.
        Refused($"needs {64 * 4 * 120} bytes", With(good with { Rank = 60, A = new float[60 * 32], B = new float[48 * 60] }));
        Assert.Equal((0, 0L), (engine.Adapters.SlotsUsed, engine.Adapters.PoolBytesUsed));

        void Refused(string reason, AdapterWeights weights)
        {
            Assert.Contains(reason, Assert.Throws<InvalidAdapterException>(() => engine.LoadAdapter(weights)).Message, StringComparison.Ordinal);
            Assert.Contains(reason, Assert.Throws<InvalidAdapterException>(() => engine.RequireLoadable(weights)).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>The base, cores, cores with residuals, cores with gains, all of it, exact ones of ranks 1 to 17, exact ones with gains; some in two sequences.</summary>
    private static AdapterWeights? Member(TestModel model, Dictionary<string, ClusterBasis>[] bases, int i)
    {
        AdapterWeights cores = TestAdapters.Adapter($"member-{i}", $"cluster-{i % 2}", bases[i % 2], i);
        AdapterWeights exact = AdapterWeights.Exact($"member-{i}", "v1", TestAdapters.Exact(model.Config, i, 1 + (i % 5 * 4), i % 2 == 0 ? [] : ["self_attn.v_proj", "mlp.gate_proj"]));
        var outputs = TestAdapters.Outputs(model.Config, i, "self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj");
        return (i % 8) switch
        {
            0 => null,
            1 => cores,
            2 => TestAdapters.WithResidual(cores, model.Config, i, 1 + (i % 3), "self_attn.q_proj", "mlp.down_proj"),
            3 => cores with { Outputs = outputs },
            4 => TestAdapters.WithResidual(cores, model.Config, i, 2) with { Outputs = outputs },
            5 => exact with { Outputs = outputs },
            _ => exact,
        };
    }
}
