using System.Text.Json.Nodes;
using Eigengate.Inference.Adapters;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Models;

/// <summary>
/// Every family on random checkpoints against the float64 reference, on both back ends. Tolerance: 2e-4 for float32, 6 %
/// of the logit range for bfloat16.
/// </summary>
public class ModelFamilyTests
{
    private static readonly Dictionary<string, Func<DType, TestModel>> Models = new()
    {
        ["llama with attention_bias and mlp_bias"] = dtype => new TestModel(dtype: dtype, attentionBias: true, mlpBias: true),
        ["mistral without window"] = dtype => new TestModel(dtype: dtype, family: "mistral", seed: 2),
        ["mistral with a window of 7"] = dtype => new TestModel(dtype: dtype, family: "mistral", seed: 3).With("sliding_window", 7),
        ["mistral with a window of 33"] = dtype => new TestModel(dtype: dtype, family: "mistral", seed: 4).With("sliding_window", 33),
        ["mistral with a window of 1"] = dtype => new TestModel(dtype: dtype, family: "mistral", seed: 5).With("sliding_window", 1),
        ["qwen2"] = dtype => new TestModel(dtype: dtype, family: "qwen2", tied: true, seed: 6)
            .With("use_sliding_window", false).With("sliding_window", 5).With("max_window_layers", 1),
        ["qwen2 with a window from layer 1 on"] = dtype => new TestModel(dtype: dtype, family: "qwen2", layers: 3, seed: 7)
            .With("use_sliding_window", true).With("sliding_window", 12).With("max_window_layers", 1),
        ["qwen2 with a window in every layer"] = dtype => new TestModel(dtype: dtype, family: "qwen2", seed: 15)
            .With("use_sliding_window", true).With("sliding_window", 20).With("max_window_layers", 0),
        ["qwen3"] = dtype => new TestModel(dtype: dtype, family: "qwen3", hidden: 40, heads: 4, headDim: 16, tied: true, seed: 8),
        ["qwen3 with biases and layer types"] = dtype => new TestModel(dtype: dtype, family: "qwen3", headDim: 6, attentionBias: true, layers: 3, seed: 9)
            .With("use_sliding_window", true).With("sliding_window", 18)
            .With("layer_types", new JsonArray("sliding_attention", "full_attention", "sliding_attention")),
        ["linear rope"] = dtype => new TestModel(dtype: dtype, seed: 10).With("rope_scaling", Json("""{"type": "linear", "factor": 2.5}""")),
        ["llama3 rope"] = dtype => new TestModel(dtype: dtype, headDim: 32, seed: 11).With("rope_scaling", Json(
            """{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}""")),
        ["yarn rope, qwen3"] = dtype => new TestModel(dtype: dtype, family: "qwen3", headDim: 32, context: 32, seed: 12).With("rope_scaling", Json(
            """{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}""")),
        ["newer rope_parameters, mistral"] = dtype => new TestModel(dtype: dtype, family: "mistral", headDim: 32, seed: 13)
            .With("rope_theta", null).With("rope_parameters", Json(
                """{"rope_theta": 500.0, "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 128, "beta_fast": 8, "attention_factor": 0.9}""")),
        ["dynamic rope within the trained context"] = dtype => new TestModel(dtype: dtype, seed: 14).With("rope_scaling", Json(
            """{"type": "dynamic", "factor": 2.0}""")),
    };

    public static TheoryData<string, bool> Cases
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (string model in Models.Keys)
            {
                data.Add(model, false);
                data.Add(model, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Prefill_chunks_and_decode_among_neighbours_equal_the_float64_reference(string name, bool reference)
    {
        using TestModel model = Models[name](DType.F32);
        var twin = new Float64Decoder(model);
        int[][] prompts = [model.Prompt(70, 1), model.Prompt(1, 2), model.Prompt(17, 3), model.Prompt(41, 4)];
        float[][][] expected = [.. prompts.Select(twin.Logits)];
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));

        // Whole prompts, chunks long and short, and one token a step, which is decoding.
        foreach (int chunk in (int[])[70, 24, 5, 1])
        {
            float[][][] actual = probe.Logits(chunk, [.. prompts.Select(p => (p, (ResidentAdapter?)null))]);
            for (int i = 0; i < prompts.Length; i++)
                Close.Assert(expected[i], actual[i], 2e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_bfloat16_engine_stays_near_the_float64_reference(string name, bool reference)
    {
        using TestModel model = Models[name](DType.BF16);
        int[][] prompts = [model.Prompt(40, 1), model.Prompt(9, 2)];
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference) with { DType = EngineDType.BFloat16 });
        foreach (int chunk in (int[])[40, 1])
        {
            float[][][] actual = probe.Logits(chunk, [.. prompts.Select(p => (p, (ResidentAdapter?)null))]);
            for (int i = 0; i < prompts.Length; i++)
            {
                float[][] expected = new Float64Decoder(model).Logits(prompts[i]);
                Close.Assert(expected, actual[i], 0.06 * (expected.Max(r => r.Max()) - expected.Min(r => r.Min())));
            }
        }
    }

    [Theory]
    [InlineData("qwen2", false)]
    [InlineData("qwen2", true)]
    [InlineData("qwen3", false)]
    [InlineData("qwen3", true)]
    public void Adapters_change_projections_before_biases_and_norms_act(string family, bool reference)
    {
        using var model = new TestModel(family: family, headDim: 8);
        using var probe = new ModelProbe(model.Directory, TestEngine.Options(reference));
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (8, 8));
        probe.Parts.Bases.Add("cluster", bases);
        AdapterWeights adapter = TestAdapters.Adapter("a", "cluster", bases, 2);
        int[] adapted = model.Prompt(30, 1), plain = model.Prompt(21, 2);
        float[][][] actual = probe.Logits(16, (adapted, probe.Load(adapter)), (plain, null));
        Close.Assert(TestAdapters.Dense(model, bases, adapter).Logits(adapted), actual[0], 5e-4);
        Close.Assert(new Float64Decoder(model).Logits(plain), actual[1], 2e-4);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_engine_continues_a_prompt_as_the_float64_reference_does(string name, bool reference)
    {
        using TestModel model = Models[name](DType.F32);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options(reference));
        var twin = new Float64Decoder(model);
        List<int> expected = [.. model.Prompt(12, 5)];
        for (int i = 0; i < 12; i++)
        {
            float[] logits = twin.Logits([.. expected])[^1];
            expected.Add(Array.IndexOf(logits, logits.Max()));
        }

        Assert.Equal(expected.Skip(12), engine.Generate(model.Prompt(12, 5), 12));
    }

    [Theory]
    [InlineData("mistral")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    public void Weights_that_another_family_would_have_are_refused_by_name(string family)
    {
        using var model = new TestModel(family: family, headDim: 8);
        string foreign = $"model.layers.0.self_attn.{(family == "qwen3" ? "q_proj.bias" : "q_norm.weight")}";
        model.Weights[foreign] = (new float[32], [32]);
        model.SaveWeights();
        Assert.Contains(foreign, Refusal(model), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qwen2", "model.layers.1.self_attn.v_proj.bias")]
    [InlineData("qwen3", "model.layers.1.self_attn.k_norm.weight")]
    public void Missing_parts_of_a_family_are_named(string family, string tensor)
    {
        using var model = new TestModel(family: family, headDim: 8);
        model.Weights.Remove(tensor);
        model.SaveWeights();
        Assert.Contains($"'{tensor}' of shape", Refusal(model), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qwen3", "head_dim", "null", "'head_dim' is missing")]
    [InlineData("mistral", "sliding_window", "0", "'sliding_window' is 0")]
    [InlineData("qwen2", "layer_types", "[\"full_attention\"]", "'layer_types' has 1 entries for 2 layers")]
    [InlineData("qwen2", "layer_types", "[\"full_attention\", \"chunked_attention\"]", "chunked_attention")]
    public void Impossible_layer_descriptions_are_named(string family, string key, string value, string reason)
    {
        using var model = new TestModel(family: family, headDim: 8);
        model.With(key, JsonNode.Parse(value));
        Assert.Contains(reason, Refusal(model), StringComparison.Ordinal);
    }

    private static JsonNode Json(string text) => JsonNode.Parse(text)!;

    private static string Refusal(TestModel model) =>
        Assert.Throws<Inference.Models.InvalidModelException>(() => Engine.Load(model.Directory, TestEngine.Options())).Message;
}
