using Eigengate.Inference.Adapters;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Models;

/// <summary>The bfloat16 engine with every weight in panels and several threads: near the float64 reference, and the same bits in any company.</summary>
public class PanelEngineTests
{
    private static EngineOptions Options => TestEngine.Options() with { DType = EngineDType.BFloat16, Panels = true, Threads = 2 };

    public static TheoryData<string> Shapes => [.. ShapesByName.Keys];

    private static Dictionary<string, Func<TestModel>> ShapesByName { get; } = new()
    {
        ["whole panels"] = () => new TestModel(hidden: 64, intermediate: 128, vocabulary: 128, dtype: DType.BF16),
        ["panels with tails"] = () => new TestModel(hidden: 72, intermediate: 90, heads: 3, kvHeads: 1, headDim: 24, vocabulary: 67, dtype: DType.BF16, seed: 2),
        ["tied, heads wider than a panel"] = () => new TestModel(hidden: 96, heads: 2, kvHeads: 2, headDim: 80, tied: true, dtype: DType.BF16, seed: 3),
        ["odd hidden size"] = () => new TestModel(hidden: 35, intermediate: 64, heads: 2, kvHeads: 1, headDim: 18, dtype: DType.BF16, seed: 4),
        ["sliding window"] = () => new TestModel(hidden: 64, intermediate: 96, headDim: 16, dtype: DType.BF16, seed: 5, family: "mistral").With("sliding_window", 21),
        ["head norms"] = () => new TestModel(hidden: 64, intermediate: 96, headDim: 16, dtype: DType.BF16, seed: 6, family: "qwen3"),
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Logits_stay_near_the_float64_reference(string shape)
    {
        using TestModel model = ShapesByName[shape]();
        using var probe = new ModelProbe(model.Directory, Options);
        int[] prompt = model.Prompt(150, 1);
        float[][] expected = new Float64Decoder(model).Logits(prompt);
        double tolerance = 0.06 * (expected.Max(r => r.Max()) - expected.Min(r => r.Min()));
        foreach (int chunk in (int[])[1, 7, 50, 150])
            Close.Assert(expected, probe.Logits(chunk, (prompt, null))[0], tolerance);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Logits_with_a_compressed_adapter_stay_near_the_float64_reference(string shape)
    {
        using TestModel model = ShapesByName[shape]();
        using var probe = new ModelProbe(model.Directory, Options);
        var bases = TestAdapters.Cluster(model.Config, 1, name => name.EndsWith("k_proj", StringComparison.Ordinal) ? (3, 5) : (17, 6));
        probe.Parts.Bases.Add("cluster", bases);
        AdapterWeights weights = TestAdapters.Adapter("a", "cluster", bases, 2, name => !name.Contains("up_proj", StringComparison.Ordinal));
        using ResidentAdapter adapter = probe.Load(weights);
        int[] prompt = model.Prompt(70, 1);
        float[][] expected = TestAdapters.Dense(model, bases, weights).Logits(prompt), unadapted = probe.Logits(prompt);
        double spread = expected.Max(r => r.Max()) - expected.Min(r => r.Min());
        foreach (int chunk in (int[])[1, 7, 70])
            Close.Assert(expected, probe.Logits(chunk, (prompt, adapter))[0], 0.06 * spread);
        Assert.Contains(expected.Zip(unadapted), p => Math.Abs(p.First[5] - p.Second[5]) > 0.1 * spread);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(30)]
    public void A_sequence_has_the_same_bits_alone_and_among_strangers(int chunk)
    {
        using var model = new TestModel(hidden: 72, intermediate: 90, headDim: 18, vocabulary: 131, dtype: DType.BF16);
        using var probe = new ModelProbe(model.Directory, Options with { MaxBatchedTokens = 1024 });
        var bases = Enumerable.Range(0, 3).Select(c => TestAdapters.Cluster(model.Config, c, _ => (5 + (4 * c), 4 + (9 * c)))).ToArray();
        for (int c = 0; c < bases.Length; c++)
            probe.Parts.Bases.Add($"cluster-{c}", bases[c]);
        (int[] Tokens, ResidentAdapter? Adapter)[] prompts =
        [
            .. Enumerable.Range(0, 20).Select(i => (
                model.Prompt(30 + i, i), i % 4 == 3 ? null : probe.Load(TestAdapters.Adapter($"a{i % 7}-{i % 4}", $"cluster-{i % 4}", bases[i % 4], i % 7)))),
        ];
        float[][][] together = probe.Logits(chunk, prompts);
        for (int i = 0; i < prompts.Length; i++)
        {
            float[][] alone = probe.Logits(chunk, prompts[i])[0];
            for (int position = 0; position < alone.Length; position++)
                Assert.Equal(alone[position], together[i][position]);
        }

        foreach (var (_, adapter) in prompts)
            adapter?.Dispose();
    }
}
