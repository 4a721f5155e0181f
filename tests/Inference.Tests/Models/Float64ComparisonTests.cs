using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Models;

/// <summary>Both back ends against the float64 reference. Tolerance: 2e-4 for float32, 6 % of the logit range for bfloat16.</summary>
public class Float64ComparisonTests
{
    public static TheoryData<string, bool> Shapes
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (string shape in ShapesByName.Keys)
            {
                data.Add(shape, false);
                data.Add(shape, true);
            }

            return data;
        }
    }

    private static Dictionary<string, Func<TestModel>> ShapesByName { get; } = new()
    {
        ["grouped queries"] = () => new TestModel(),
        ["one KV head, tied"] = () => new TestModel(kvHeads: 1, tied: true, seed: 2),
        ["no grouping"] = () => new TestModel(kvHeads: 4, seed: 3),
        ["head wider than hidden / heads"] = () => new TestModel(hidden: 40, heads: 2, kvHeads: 1, headDim: 36, seed: 4),
        ["head of 6, hidden 30"] = () => new TestModel(hidden: 30, intermediate: 35, heads: 5, kvHeads: 5, vocabulary: 67, seed: 5),
        ["head of 48, hidden 288"] = () => new TestModel(hidden: 288, intermediate: 768, layers: 1, heads: 6, kvHeads: 6, seed: 6),
        ["head of 64, hidden 131"] = () => new TestModel(hidden: 131, intermediate: 77, heads: 2, kvHeads: 2, headDim: 64, seed: 7),
        ["bfloat16 file"] = () => new TestModel(dtype: DType.BF16, seed: 8),
        ["float16 file"] = () => new TestModel(dtype: DType.F16, seed: 9),
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Logits_equal_the_float64_reference(string shape, bool reference)
    {
        using TestModel model = ShapesByName[shape]();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        foreach (int length in (int[])[1, 3, 16, 17, 70])
        {
            int[] prompt = model.Prompt(length, length);
            Close.Assert(new Float64Decoder(model).Logits(prompt), probe.Logits(prompt), 2e-4);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Bfloat16_engine_stays_near_the_float64_reference(bool reference)
    {
        using var model = new TestModel(hidden: 64, intermediate: 96, headDim: 16, dtype: DType.BF16);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference) with { DType = EngineDType.BFloat16 });
        int[] prompt = model.Prompt(40, 1);
        float[][] expected = new Float64Decoder(model).Logits(prompt);
        Close.Assert(expected, probe.Logits(prompt), 0.06 * (expected.Max(r => r.Max()) - expected.Min(r => r.Min())));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(16)]
    public void Chunked_prefill_equals_the_whole(int chunk)
    {
        using var model = new TestModel();
        using var probe = new ModelProbe(model.Directory, TestEngine.Options());
        int[] prompt = model.Prompt(53, 1);
        Close.Assert(probe.Logits(prompt), probe.Logits(chunk, (prompt, null))[0], 1e-4);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(256)]
    public void Any_block_size_gives_the_same_logits(int blockSize)
    {
        using var model = new TestModel();
        int[][] prompts = [model.Prompt(53, 1), model.Prompt(9, 2), model.Prompt(31, 3)];
        using var paged = new ModelProbe(model.Directory, TestEngine.Options() with { BlockSize = blockSize, KvBlocks = 1024 / blockSize });
        float[][][] logits = paged.Logits(7, [.. prompts.Select(p => (p, (Inference.Adapters.ResidentAdapter?)null))]);
        for (int i = 0; i < prompts.Length; i++)
            Close.Assert(new Float64Decoder(model).Logits(prompts[i]), logits[i], 2e-4);
    }

    [Fact]
    public void Demonstration_model_equals_the_float64_reference()
    {
        string directory = Path.Combine(SharedData.RepositoryRoot(), "demo", "base");
        if (!File.Exists(Path.Combine(directory, "model.safetensors")))
            Assert.Skip("demo/base is not present");
        using var probe = new ModelProbe(directory, TestEngine.Options());
        int[] prompt = [.. Enumerable.Range(0, 24).Select(i => i * 37 % probe.Parts.Model.Config.VocabularySize)];
        Close.Assert(new Float64Decoder(directory).Logits(prompt), probe.Logits(prompt), 1e-3);
    }
}
