using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference.Tests;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Tests.Hosting;

/// <summary>PEFT folders with gains and biases, from the file to the log-probabilities over HTTP, against the dense model in float64.</summary>
public sealed class OutputVectorTests(SharedIndex index)
{
    private const int Rank = 3;
    private const double Scale = 2;

    private static readonly string[] Targets = ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"];

    [Theory]
    [InlineData("dora", false)]
    [InlineData("dora", true)]
    [InlineData("lora-bias", false)]
    [InlineData("trained-biases", false)]
    [InlineData("trained-biases", true)]
    public async Task Completions_AreThoseOfTheDenseModel(string kind, bool merged)
    {
        using var model = new TestModel(family: "qwen2");
        Float64Decoder? dense = null;
        await using RunningNode node = await RunningNode.StartAsync(index, (options, folder) =>
        {
            string adapters = Path.Combine(folder, "adapters");
            dense = WriteAdapter(Path.Combine(adapters, "tuned"), model, kind);
            return options with { ModelDirectory = model.Directory, AdapterDirectory = adapters, MergedAdapter = merged ? "tuned" : null };
        });
        foreach (int seed in (int[])[1, 2])
        {
            int[] prompt = model.Prompt(20, seed);
            double[] served = await ScoresAsync(node, prompt, "tuned");
            double[] expected = Scores(dense!.Logits(prompt), prompt);
            Assert.Equal(expected, served, (a, b) => Math.Abs(a - b) < 2e-3);
            double[] plain = Scores(new Float64Decoder(model).Logits(prompt), prompt);
            Assert.Contains(expected.Zip(plain), pair => Math.Abs(pair.First - pair.Second) > 0.1);
            if (!merged)
                Assert.Equal(plain, await ScoresAsync(node, prompt, null), (a, b) => Math.Abs(a - b) < 2e-3);
        }
    }

    [Fact]
    public async Task AnAdapterThatCannotBeServedExactly_StopsTheStart_ByName()
    {
        using var model = new TestModel();
        var refused = await Assert.ThrowsAsync<NodeStartException>(() => RunningNode.StartAsync(index, (options, folder) =>
        {
            string adapters = Path.Combine(folder, "adapters");
            WriteAdapter(Path.Combine(adapters, "tuned"), model, "dora");
            string weights = Path.Combine(adapters, "tuned", "adapter_model.safetensors");
            Rewrite(weights, name => !name.EndsWith("magnitude_vector", StringComparison.Ordinal));
            return options with { ModelDirectory = model.Directory, AdapterDirectory = adapters };
        }));
        Assert.Contains("'tuned'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("lora_magnitude_vector is missing", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>The folder, and the dense model it stands for.</summary>
    private static Float64Decoder WriteAdapter(string folder, TestModel model, string kind)
    {
        Directory.CreateDirectory(folder);
        var random = new Random(7);
        var dense = new Float64Decoder(model);
        var file = new SafetensorsWriter();
        foreach (string module in Targets.SelectMany(target => Enumerable.Range(0, 2).Select(layer => $"model.layers.{layer}.{target}")))
        {
            var (weight, shape) = model.Weights[$"{module}.weight"];
            int outputs = (int)shape[0], inputs = (int)shape[1];
            float[] a = Values(random, Rank * inputs, 0.3), b = Values(random, outputs * Rank, 0.3);
            double[] delta = Product(b, a, outputs, inputs);
            file.Add($"base_model.model.{module}.lora_A.weight", a, [Rank, inputs]).Add($"base_model.model.{module}.lora_B.weight", b, [outputs, Rank]);
            dense.Add(module, delta);
            float[] vector = Values(random, outputs, 1);
            if (kind == "dora")
            {
                // Around the norms, as training leaves them.
                double[] norms = [.. Enumerable.Range(0, outputs).Select(o => Math.Sqrt(Enumerable.Range(0, inputs).Sum(i => Math.Pow(weight[(o * inputs) + i] + delta[(o * inputs) + i], 2))))];
                float[] magnitude = [.. norms.Zip(vector, (norm, change) => (float)(norm * (1 + (0.3 * change))))];
                file.Add($"base_model.model.{module}.lora_magnitude_vector", magnitude, [outputs]);
                float[] gain = [.. magnitude.Zip(norms, (m, norm) => (float)(m / norm))];
                dense.SetOutputs(module, gain, gain, null);
            }
            else if (kind == "lora-bias")
            {
                file.Add($"base_model.model.{module}.lora_B.bias", vector, [outputs]);
                dense.SetOutputs(module, null, null, [.. vector.Select(value => (float)(Scale * value))]);
            }
        }

        if (kind == "trained-biases")
        {
            // Also of a module that has no factors.
            foreach (string module in ((string[])["self_attn.q_proj", "self_attn.k_proj"]).SelectMany(target => Enumerable.Range(0, 2).Select(layer => $"model.layers.{layer}.{target}")))
            {
                float[] before = model.Weights[$"{module}.bias"].Values, change = Values(random, before.Length, 1);
                file.Add($"base_model.model.{module}.{(module.Contains("q_proj") ? "base_layer.bias" : "bias")}", [.. before.Zip(change, (x, y) => x + y)], [before.Length]);
                dense.SetOutputs(module, null, null, change);
            }
        }

        file.Save(Path.Combine(folder, "adapter_model.safetensors"));
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), new JsonObject
        {
            ["peft_type"] = "LORA",
            ["r"] = Rank,
            ["lora_alpha"] = Scale * Rank,
            ["use_dora"] = kind == "dora",
            ["lora_bias"] = kind == "lora-bias",
            ["bias"] = kind == "trained-biases" ? "all" : "none",
        }.ToJsonString());
        return dense;
    }

    private static async Task<double[]> ScoresAsync(RunningNode node, int[] prompt, string? model)
    {
        JsonNode answer = await node.CompleteAsync(new { model, prompt, max_tokens = 0, echo = true, logprobs = 0 });
        return [.. answer["choices"]![0]!["logprobs"]!["token_logprobs"]!.AsArray().Skip(1).Select(value => (double)value!)];
    }

    /// <summary>Log-probability of each token after the first.</summary>
    private static double[] Scores(float[][] logits, int[] prompt) => [.. prompt.Skip(1).Select((token, i) =>
    {
        double max = logits[i].Max();
        return logits[i][token] - max - Math.Log(logits[i].Sum(value => Math.Exp(value - max)));
    })];

    private static double[] Product(float[] b, float[] a, int outputs, int inputs)
    {
        double[] product = new double[outputs * inputs];
        for (int o = 0; o < outputs; o++)
        {
            for (int i = 0; i < inputs; i++)
                product[(o * inputs) + i] = Scale * Enumerable.Range(0, Rank).Sum(k => (double)b[(o * Rank) + k] * a[(k * inputs) + i]);
        }

        return product;
    }

    private static float[] Values(Random random, int count, double scale) => [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * 2 * scale))];

    private static void Rewrite(string path, Func<string, bool> keep)
    {
        var rewritten = new SafetensorsWriter();
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach (TensorEntry entry in file.Tensors.Values.Where(entry => keep(entry.Name)))
                rewritten.Add(entry.Name, file.ReadFloat32(entry.Name), entry.Shape);
        }

        rewritten.Save(path);
    }
}
