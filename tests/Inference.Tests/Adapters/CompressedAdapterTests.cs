using Eigengate.Inference.Adapters;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Adapters;

public class CompressedAdapterTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Compressed_path_equals_the_dense_model(bool reference)
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        var bases = TestAdapters.Cluster(model.Config, 1, name => name.EndsWith("k_proj", StringComparison.Ordinal) ? (3, 5) : (17, 6));
        probe.Parts.Bases.Add("cluster", bases);
        AdapterWeights weights = TestAdapters.Adapter("a", "cluster", bases, 2, name => !name.Contains("up_proj", StringComparison.Ordinal));
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(30, 1);
        float[][] expected = TestAdapters.Dense(model, bases, weights).Logits(prompt);

        Close.Assert(expected, probe.Logits(11, (prompt, adapter))[0], 3e-4);
        Assert.Contains(expected.Zip(probe.Logits(prompt)), p => Math.Abs(p.First[5] - p.Second[5]) > 0.1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Cores_kept_as_bfloat16_lose_nothing_that_bfloat16_holds(bool reference)
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference) with { CoreDType = EngineDType.BFloat16 });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (17, 6));
        probe.Parts.Bases.Add("cluster", bases);
        AdapterWeights random = TestAdapters.Adapter("a", "cluster", bases, 2);
        AdapterWeights weights = random with
        {
            Cores = random.Cores.ToDictionary(c => c.Key, c => Array.ConvertAll(c.Value, v => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000))),
        };
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(30, 1);
        Close.Assert(TestAdapters.Dense(model, bases, weights).Logits(prompt), probe.Logits(11, (prompt, adapter))[0], 3e-4);
    }

    [Fact]
    public void Exact_adapter_equals_the_dense_model()
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options());
        var factors = TestAdapters.Exact(model.Config, 1, 4);
        AdapterWeights weights = ExactAdapter.Weights("exact", "v1", factors);
        int[] prompt = model.Prompt(12, 1);
        Float64Decoder dense = TestAdapters.Dense(model, ExactAdapter.Basis(factors), weights);

        int[] ids = engine.Generate(prompt, 8, engine.LoadExactAdapter("exact", "v1", factors));
        Assert.Equal(Greedy(dense, prompt, 8), ids);
    }

    [Theory]
    [InlineData("self_attn.q_proj")]
    [InlineData("self_attn.v_proj")]
    [InlineData("self_attn.o_proj")]
    [InlineData("mlp.up_proj")]
    [InlineData("mlp.down_proj")]
    public void Every_module_can_be_adapted_alone(string projection)
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options());
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (8, 8), projection);
        probe.Parts.Bases.Add("cluster", bases);
        AdapterWeights weights = TestAdapters.Adapter("a", "cluster", bases, 2);
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(20, 1);
        Close.Assert(TestAdapters.Dense(model, bases, weights).Logits(prompt), probe.Logits(20, (prompt, adapter))[0], 3e-4);
    }

    [Theory]
    [InlineData(false, DType.F32, 1e-4)]
    [InlineData(true, DType.F32, 1e-4)]
    [InlineData(false, DType.BF16, 0.6)]
    public void Forty_eight_different_adapters_together_equal_one_by_one(bool reference, DType dtype, double tolerance)
    {
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16, dtype: dtype);
        EngineOptions options = TestEngine.Options(reference) with { DType = dtype == DType.BF16 ? EngineDType.BFloat16 : EngineDType.Float32 };
        using var probe = new ModelProbe(model.Directory, options);
        var crowd = Crowd(model, probe);
        int[][] prompts = [.. crowd.Select((_, i) => model.Prompt(4 + (i % 9), i))];

        float[][][] together = probe.Logits(3, [.. prompts.Zip(crowd)]);
        for (int i = 0; i < crowd.Length; i++)
        {
            float[][] alone = probe.Logits(16, (prompts[i], crowd[i]))[0];
            Close.Assert(alone, together[i], tolerance);
        }

        foreach (ResidentAdapter? adapter in crowd)
            adapter?.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Forty_eight_different_adapters_decode_the_same_tokens_together_as_alone(bool reference)
    {
        using var model = new TestModel(hidden: 48, intermediate: 80, headDim: 16);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options(reference));
        var bases = Enumerable.Range(0, 3).Select(c => TestAdapters.Cluster(model.Config, c, _ => (4 + (8 * c), 4 + (8 * c)))).ToArray();
        for (int c = 0; c < bases.Length; c++)
            engine.AddCluster($"cluster-{c}", bases[c]);
        ResidentAdapter? Lease(int i) => (i % 6) switch
        {
            0 => null,
            1 => engine.LoadExactAdapter($"exact-{i}", "v1", TestAdapters.Exact(model.Config, i, 3)),
            _ => engine.LoadAdapter(TestAdapters.Adapter($"adapter-{i}", $"cluster-{i % 3}", bases[i % 3], i)),
        };

        TestStream[] together = [.. Enumerable.Range(0, 48).Select(i => engine.Start(model.Prompt(3 + (i % 7), i), TestEngine.Greedy(12), Lease(i)))];
        engine.RunToEnd();
        for (int i = 0; i < together.Length; i++)
            Assert.Equal(engine.Generate(model.Prompt(3 + (i % 7), i), 12, Lease(i)), together[i].Ids);
        Assert.True(together.Select(t => string.Join(',', t.Ids)).Distinct().Count() > 40, "the adapters make no difference");
        Assert.Equal(0, engine.Stats.KvBlocksUsed);
    }

    /// <summary>Adapters of three clusters with different ranks and modules, exact ones, and the base model, interleaved.</summary>
    private static ResidentAdapter?[] Crowd(TestModel model, ModelProbe probe)
    {
        string[][] projections = [[], ["self_attn.q_proj", "self_attn.v_proj"], ["mlp.gate_proj", "mlp.down_proj"]];
        var bases = projections.Select((p, c) => TestAdapters.Cluster(model.Config, c, _ => (4 + (9 * c), 4 + (9 * c)), p)).ToArray();
        for (int c = 0; c < bases.Length; c++)
            probe.Parts.Bases.Add($"cluster-{c}", bases[c]);
        return [.. Enumerable.Range(0, 48).Select(i =>
        {
            if (i % 6 == 0)
                return null;
            if (i % 6 != 1)
                return probe.Load(TestAdapters.Adapter($"adapter-{i}", $"cluster-{i % 3}", bases[i % 3], i));
            var factors = TestAdapters.Exact(model.Config, i, 3);
            AdapterWeights weights = ExactAdapter.Weights($"exact-{i}", "v1", factors);
            return probe.Parts.Slots.Load(weights, probe.Parts.Bases.UseOrAdd(weights.ClusterKey, () => ExactAdapter.Basis(factors)));
        })];
    }

    private static int[] Greedy(Float64Decoder model, int[] prompt, int tokens)
    {
        List<int> ids = [.. prompt];
        for (int i = 0; i < tokens; i++)
        {
            float[] logits = model.Logits([.. ids])[^1];
            ids.Add(Array.IndexOf(logits, logits.Max()));
        }

        return [.. ids.Skip(prompt.Length)];
    }
}
