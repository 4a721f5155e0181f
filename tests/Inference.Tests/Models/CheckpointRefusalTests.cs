using System.Text.Json.Nodes;
using Eigengate.Inference.Models;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Tests.Models;

public class CheckpointRefusalTests
{
    [Fact]
    public void Missing_directory_is_named() =>
        Refused<InvalidModelException>("/nowhere/model", "'/nowhere/model' does not exist");

    [Fact]
    public void Directory_without_config_or_weights_is_refused()
    {
        using var model = new TestModel();
        File.Delete(model.WeightsPath);
        Refused<InvalidModelException>(model.Directory, "neither model.safetensors nor model.safetensors.index.json");
        File.Delete(Path.Combine(model.Directory, "config.json"));
        Refused<InvalidModelException>(model.Directory, "config.json");
    }

    [Theory]
    [InlineData("pytorch_model.bin", "'pytorch_model.bin' is a pickle")]
    [InlineData("consolidated.00.pth", "'consolidated.00.pth' is a pickle")]
    [InlineData("consolidated.safetensors", "consolidated.safetensors has other tensor names")]
    public void Other_forms_of_weights_are_refused_with_advice(string file, string advice)
    {
        using var model = new TestModel();
        File.Move(model.WeightsPath, Path.Combine(model.Directory, file));
        Refused<InvalidModelException>(model.Directory, advice);
    }

    [Fact]
    public void Consolidated_weights_beside_the_shards_are_ignored()
    {
        using var model = new TestModel(family: "mistral");
        Shard(model);
        File.WriteAllText(Path.Combine(model.Directory, "consolidated.safetensors"), "not read");
        Engine.Load(model.Directory, TestEngine.Options()).Dispose();
    }

    [Fact]
    public void Missing_tensor_is_named_with_its_shape()
    {
        using var model = new TestModel();
        model.Weights.Remove("model.layers.1.mlp.up_proj.weight");
        model.SaveWeights();
        Refused<InvalidModelException>(model.Directory, "'model.layers.1.mlp.up_proj.weight' of shape [48, 32] is missing");
    }

    [Fact]
    public void Wrong_shape_names_tensor_file_and_expectation()
    {
        using var model = new TestModel();
        model.Weights["model.layers.0.self_attn.k_proj.weight"] = (new float[32 * 32], [32, 32]);
        model.SaveWeights();
        Refused<InvalidModelException>(
            model.Directory, "'model.layers.0.self_attn.k_proj.weight' in '" + model.WeightsPath + "' has shape [32, 32]; [16, 32] was expected");
    }

    [Fact]
    public void Extra_tensor_is_named()
    {
        using var model = new TestModel();
        model.Weights["model.layers.0.self_attn.q_norm.weight"] = (new float[8], [8]);
        model.Weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = (new float[4], [4]);
        model.SaveWeights();
        InvalidModelException e = Refused<InvalidModelException>(model.Directory, "model.layers.0.self_attn.q_norm.weight");
        Assert.DoesNotContain("inv_freq", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Truncated_file_is_refused()
    {
        using var model = new TestModel();
        using (FileStream file = File.OpenWrite(model.WeightsPath))
            file.SetLength(file.Length - 100);
        Refused<SafetensorsException>(model.Directory, "truncated");
    }

    [Fact]
    public void Untied_model_without_head_is_refused_but_unsaid_tying_follows_the_file()
    {
        using var model = new TestModel();
        model.Weights.Remove("lm_head.weight");
        model.SaveWeights();
        Refused<InvalidModelException>(model.Directory, "'lm_head.weight'");
        model.With("tie_word_embeddings", null);
        Engine.Load(model.Directory, TestEngine.Options()).Dispose();
    }

    [Fact]
    public void Integer_weights_are_refused()
    {
        using var model = new TestModel();
        var writer = new SafetensorsWriter();
        foreach (var (name, (values, shape)) in model.Weights.Where(w => w.Key != "model.norm.weight"))
            writer.Add(name, values, shape);
        writer.AddRaw("model.norm.weight", DType.I8, [32], new byte[32]).Save(model.WeightsPath);
        Refused<InvalidModelException>(model.Directory, "'model.norm.weight'");
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"", "gpt2")]
    [InlineData("hidden_act", "\"gelu\"", "gelu")]
    [InlineData("architectures", "[\"LlamaForSequenceClassification\"]", "LlamaForSequenceClassification")]
    [InlineData("pretraining_tp", "2", "pretraining_tp")]
    [InlineData("partial_rotary_factor", "0.5", "partial_rotary_factor")]
    [InlineData("tie_word_embeddings", "\"yes\"", "'tie_word_embeddings' is \"yes\"")]
    [InlineData("head_dim", "7", "head_dim 7 is odd")]
    [InlineData("rms_norm_eps", "-1", "rms_norm_eps")]
    [InlineData("rope_scaling", "{\"rope_type\": \"longrope\"}", "longrope")]
    [InlineData("rope_scaling", "{\"type\": \"linear\"}", "'rope_scaling.factor' is missing")]
    [InlineData("rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 0}", "'rope_parameters.factor' is 0")]
    [InlineData("rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 2, \"truncate\": false}", "truncate")]
    [InlineData("rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2, \"original_max_position_embeddings\": 64}", "dynamic")]
    [InlineData("quantization_config", "{\"quant_method\": \"bitsandbytes\"}", "quantization_config")]
    [InlineData("num_attention_heads", "3", "num_attention_heads 3")]
    [InlineData("num_hidden_layers", "0", "num_hidden_layers")]
    [InlineData("num_hidden_layers", "\"two\"", "'num_hidden_layers' is \"two\"")]
    [InlineData("num_hidden_layers", "2000000000", "num_hidden_layers")]
    [InlineData("head_dim", "16000000", "16000000")]
    [InlineData("vocab_size", "null", "vocab_size")]
    public void Unsupported_configuration_is_named(string key, string value, string reason)
    {
        using var model = new TestModel();
        model.With(key, JsonNode.Parse(value));
        Refused<InvalidModelException>(model.Directory, reason);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("mistral")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    public void A_configuration_with_any_byte_changed_is_read_or_refused_but_never_crashes(string family)
    {
        using var model = new TestModel(family: family, headDim: 8, attentionBias: true);
        model.With("sliding_window", 7).With("use_sliding_window", true).With("layer_types", new JsonArray("full_attention", "sliding_attention"))
            .With("rope_parameters", new JsonObject { ["rope_type"] = "yarn", ["factor"] = 2.0, ["rope_theta"] = 1e4, ["beta_fast"] = 32 });
        string path = Path.Combine(model.Directory, "config.json");
        byte[] original = File.ReadAllBytes(path);
        var random = new Random(1);
        for (int i = 0; i < 500; i++)
        {
            byte[] changed = [.. original];
            changed[random.Next(changed.Length)] = (byte)"0-9{}[]\"\\:, ue"[random.Next(14)];
            File.WriteAllBytes(path, changed);
            try
            {
                ModelConfig.Load(model.Directory);
            }
            catch (InvalidModelException refusal)
            {
                Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Sharded_checkpoint_equals_the_single_file()
    {
        using var model = new TestModel();
        using Engine single = Engine.Load(model.Directory, TestEngine.Options());
        int[] expected = single.Generate(model.Prompt(6, 1), 10);
        Shard(model);
        using Engine sharded = Engine.Load(model.Directory, TestEngine.Options());
        Assert.Equal(expected, sharded.Generate(model.Prompt(6, 1), 10));
    }

    [Fact]
    public void Missing_shard_is_named()
    {
        using var model = new TestModel();
        Shard(model);
        File.Delete(Path.Combine(model.Directory, "model-00002-of-00002.safetensors"));
        Refused<InvalidModelException>(model.Directory, "'model-00002-of-00002.safetensors'");
    }

    [Fact]
    public void Bad_options_are_named()
    {
        using var model = new TestModel();
        Assert.Contains("tpu", Assert.Throws<ArgumentException>(() => Engine.Load(model.Directory, new EngineOptions { Device = "tpu" })).Message, StringComparison.Ordinal);
        Assert.Contains("BlockSize", Assert.Throws<ArgumentException>(() => Engine.Load(model.Directory, new EngineOptions { BlockSize = 0 })).Message, StringComparison.Ordinal);
        Assert.Contains("KvCacheBytes", Assert.Throws<ArgumentException>(() => Engine.Load(model.Directory, new EngineOptions { KvCacheBytes = 10 })).Message, StringComparison.Ordinal);
        if (!TorchSharp.torch.cuda.is_available())
            Assert.Contains("cuda", Assert.Throws<NotSupportedException>(() => Engine.Load(model.Directory, new EngineOptions { Device = "cuda" })).Message, StringComparison.Ordinal);
    }

    private static void Shard(TestModel model)
    {
        string[] files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
        SafetensorsWriter[] writers = [new(), new()];
        var map = new JsonObject();
        foreach (var (name, (values, shape)) in model.Weights)
        {
            int shard = map.Count % 2;
            writers[shard].Add(name, values, shape);
            map[name] = files[shard];
        }

        for (int i = 0; i < 2; i++)
            writers[i].Save(Path.Combine(model.Directory, files[i]));
        File.Delete(model.WeightsPath);
        File.WriteAllText(model.WeightsPath + ".index.json", new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private static T Refused<T>(string directory, string reason)
        where T : Exception
    {
        T e = Assert.Throws<T>(() => Engine.Load(directory, TestEngine.Options()));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        return e;
    }
}
