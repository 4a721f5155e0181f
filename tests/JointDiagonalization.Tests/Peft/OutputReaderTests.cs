using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Peft;

/// <summary>Gains and biases of PEFT files against the definitions and test vectors of spec/adapters.md §1.6, §2.1 and §2.2.</summary>
public sealed class OutputReaderTests : IDisposable
{
    private const string Module = "model.layers.0.self_attn.q_proj";
    private readonly TemporaryFolder _folder = new();

    private string Adapter => _folder["my-adapter"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("lora_magnitude_vector")]
    [InlineData("lora_magnitude_vector.weight")]
    [InlineData("lora_magnitude_vector.default")]
    [InlineData("lora_magnitude_vector.default.weight")]
    public void The_gain_of_DoRA_is_the_magnitude_over_the_norm_of_the_merged_row(string name)
    {
        WriteBase([1, 2, 3, 4]);
        WriteAdapter("use_dora", true, Factors().Add($"base_model.model.{Module}.{name}", [4, 10], [2]));
        ModuleOutputs outputs = Read()[Module];
        Assert.Equal([1.414214f, 1.767767f], outputs.Gain!, (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.Null(outputs.Bias);
    }

    [Fact]
    public void Gains_of_a_large_module_equal_the_definition_in_float64()
    {
        const int Outputs = 1_500, Inputs = 4_000, Rank = 3;
        var random = new Random(1);
        float[] weight = Values(Outputs * Inputs), a = Values(Rank * Inputs), b = Values(Outputs * Rank), magnitude = Values(Outputs);
        WriteBase(weight, Outputs, Inputs);
        JsonObject config = PeftFiles.Config(Rank);
        (config["use_dora"], config["use_rslora"]) = (true, true);
        PeftFiles.Write(Adapter, config, new SafetensorsWriter()
            .Add(PeftFiles.NameOfA(Module), a, [Rank, Inputs]).Add(PeftFiles.NameOfB(Module), b, [Outputs, Rank])
            .Add($"base_model.model.{Module}.lora_magnitude_vector", magnitude, [Outputs]));
        float[] gains = Read()[Module].Gain!;
        double scale = 16 / Math.Sqrt(Rank);
        for (int j = 0; j < Outputs; j += 7)
        {
            double square = 0;
            for (int i = 0; i < Inputs; i++)
            {
                double merged = weight[(j * Inputs) + i] + (scale * Enumerable.Range(0, Rank).Sum(k => (double)b[(j * Rank) + k] * a[(k * Inputs) + i]));
                square += merged * merged;
            }

            Assert.Equal(magnitude[j] / Math.Sqrt(square), gains[j], 1e-9);
        }

        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
    }

    [Fact]
    public void The_bias_of_B_is_scaled_like_its_product()
    {
        WriteBase([1, 2, 3, 4]);
        JsonObject config = Config("lora_bias", true);
        (config["use_rslora"], config["lora_alpha"]) = (true, 16);
        (config["r"], config["rank_pattern"]) = (64, new JsonObject { ["q_proj"] = 1 });
        PeftFiles.Write(Adapter, config, Factors().Add($"base_model.model.{Module}.lora_B.bias", [0.5f, -1], [2]));
        Assert.Equal([8f, -16f], Read()[Module].Bias!);
    }

    [Theory]
    [InlineData("all", "base_layer.bias")]
    [InlineData("lora_only", "bias")]
    public void A_trained_bias_is_the_difference_to_the_bases(string setting, string name)
    {
        WriteBase([1, 2, 3, 4], bias: [10, 20]);
        WriteAdapter("bias", setting, Factors().Add($"base_model.model.{Module}.{name}", [10.5f, 19], [2]));
        Assert.Equal([0.5f, -1f], Read()[Module].Bias!);
    }

    [Fact]
    public void A_trained_bias_without_factors_and_the_bias_of_B_both_count()
    {
        const string Other = "model.layers.0.self_attn.k_proj";
        WriteBase([1, 2, 3, 4], bias: [10, 20], also: Other);
        JsonObject config = Config("bias", "all");
        config["lora_bias"] = true;
        PeftFiles.Write(Adapter, config, Factors()
            .Add($"base_model.model.{Module}.lora_B.bias", [1, 1], [2]).Add($"base_model.model.{Module}.base_layer.bias", [11, 20], [2])
            .Add($"base_model.model.{Other}.bias", [10, 23], [2]));
        var outputs = Read();
        Assert.Equal([3f, 2f], outputs[Module].Bias!);
        Assert.Equal([0f, 3f], outputs[Other].Bias!);
    }

    [Fact]
    public void Plain_adapters_have_none()
    {
        WriteBase([1, 2, 3, 4]);
        WriteAdapter("bias", "all", Factors());
        Assert.Empty(Read());
    }

    [Fact]
    public void What_does_not_fit_is_refused_by_name()
    {
        WriteBase([1, 2, -2, -2], bias: null);
        string magnitude = $"base_model.model.{Module}.lora_magnitude_vector";
        Refused("use_dora", true, Factors(), "is incomplete: lora_magnitude_vector is missing");
        Refused("use_dora", true, Factors().Add(magnitude, [1, 1, 1], [3]), "has 3 numbers; one for each of the 2 outputs");
        Refused("use_dora", true, Factors().Add(magnitude, [1, 1], [1, 2]), "[1, 2]; a non-empty vector was expected");
        Refused("use_dora", true, Factors().Add(magnitude, [1, float.NaN], [2]), "NaN at [1]");
        // A row of W is what B A takes away.
        WriteBase([-1, 0, 1, 1]);
        Refused("use_dora", true, Factors().Add(magnitude, [1, 1], [2]), "row 0 of W + ΔW has the norm 0");
        Refused("lora_bias", true, Factors(), "the bias of lora_B is missing");
        Refused("bias", "all", Factors().Add($"base_model.model.{Module}.base_layer.bias", [1, 1], [2]), "has none in the base model");
        WriteBase([1, 2, 3, 4], bias: [1, 2]);
        Refused("bias", "all", Factors().Add($"base_model.model.{Module}.base_layer.bias", [1, 1, 1], [3]), "has 3 numbers; the base model's bias has 2");
        Refused("lora_bias", true, Factors().Add($"base_model.model.{Module}.base_layer.bias", [1, 1], [2]), "sets neither bias nor lora_bias for it");
        JsonObject both = Config("use_dora", true);
        both["lora_bias"] = true;
        PeftFiles.Write(Adapter, both, Factors());
        Assert.Contains("exclude each other", Assert.Throws<AdapterFormatException>(() => Read()).Message, StringComparison.Ordinal);
    }

    private void Refused(string field, JsonNode value, SafetensorsWriter weights, string expected)
    {
        WriteAdapter(field, value, weights);
        Assert.Contains(expected, Assert.Throws<AdapterFormatException>(() => Read()).Message, StringComparison.Ordinal);
    }

    /// <summary>B A = [[1, 0], [1, 0]]; the scale is 1 for DoRA, as in §2.2, else 2.</summary>
    private static SafetensorsWriter Factors() => new SafetensorsWriter().Add(PeftFiles.NameOfA(Module), [1, 0], [1, 2]).Add(PeftFiles.NameOfB(Module), [1, 1], [2, 1]);

    private static JsonObject Config(string field, JsonNode value)
    {
        JsonObject config = PeftFiles.Config(1, alpha: field == "use_dora" ? 1 : 2);
        config[field] = value;
        return config;
    }

    private void WriteAdapter(string field, JsonNode value, SafetensorsWriter weights) => PeftFiles.Write(Adapter, Config(field, value), weights);

    private void WriteBase(float[] weight, int outputs = 2, int inputs = 2, float[]? bias = null, string? also = null)
    {
        var writer = new SafetensorsWriter();
        foreach (string? module in (string?[])[Module, also])
        {
            if (module is null)
                continue;
            writer.Add($"{module}.weight", weight, [outputs, inputs]);
            if (bias is not null)
                writer.Add($"{module}.bias", bias, [outputs]);
        }

        writer.Save(_folder["model.safetensors"]);
    }

    private IReadOnlyDictionary<string, ModuleOutputs> Read()
    {
        PeftAdapter adapter = PeftAdapter.Open(Adapter, BaseShapes.Read(_folder.Path), acceptOutputs: true);
        using var weights = new BaseWeights(_folder.Path);
        return OutputReader.Read(adapter, weights);
    }
}
