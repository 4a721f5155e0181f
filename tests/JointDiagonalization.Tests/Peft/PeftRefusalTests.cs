using System.Text.Json.Nodes;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Tests.Support;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Tests.Peft;

/// <summary>Everything outside plain LoRA and rsLoRA is refused by name unless gains and biases are accepted (spec/adapters.md §1).</summary>
public sealed class PeftRefusalTests : IDisposable
{
    private const string Module = "model.layers.0.self_attn.q_proj";
    private readonly TemporaryFolder _folder = new();

    private string Adapter => _folder["my-adapter"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("peft_type", "\"LOHA\"", "peft_type 'LOHA'")]
    [InlineData("peft_type", "null", "peft_type is missing")]
    [InlineData("use_dora", "true", "the setting use_dora adds gains or biases to A and B; such an adapter is only served uncompressed")]
    [InlineData("lora_bias", "true", "the setting lora_bias")]
    [InlineData("bias", "\"all\"", "the setting bias")]
    [InlineData("bias", "\"vera_only\"", "bias is \"vera_only\"")]
    [InlineData("bias", "true", "bias is true")]
    [InlineData("modules_to_save", "[\"lm_head\"]", "modules_to_save")]
    [InlineData("trainable_token_indices", "[1, 2]", "trainable_token_indices")]
    [InlineData("layer_replication", "[[0, 4]]", "layer_replication")]
    [InlineData("target_parameters", "[\"experts\"]", "target_parameters")]
    [InlineData("alora_invocation_tokens", "[5]", "alora_invocation_tokens")]
    [InlineData("use_qalora", "true", "use_qalora")]
    [InlineData("use_bdlora", "{\"a\": 1}", "use_bdlora")]
    [InlineData("arrow_config", "{\"a\": 1}", "arrow_config")]
    [InlineData("megatron_config", "{\"a\": 1}", "megatron_config")]
    [InlineData("task_type", "\"SEQ_CLS\"", "task_type is \"SEQ_CLS\"")]
    [InlineData("init_lora_weights", "\"pissa_niter_4\"", "init_lora_weights")]
    [InlineData("init_lora_weights", "\"OLoRA\"", "init_lora_weights")]
    [InlineData("r", "0", "r is 0")]
    [InlineData("r", "1.5", "r is 1.5")]
    [InlineData("r", "\"2\"", "r is \"2\"")]
    [InlineData("r", "3", "the tensors have rank 2, but adapter_config.json states 3")]
    [InlineData("lora_alpha", "\"16\"", "lora_alpha")]
    [InlineData("rank_pattern", "[1]", "rank_pattern")]
    [InlineData("rank_pattern", "{\"(\": 2}", "'(' is not a usable regular expression")]
    [InlineData("rank_pattern", "{\"q_proj\": \"2\"}", "q_proj")]
    [InlineData("rank_pattern", "{\"q_proj\": 0}", "rank_pattern gives 0")]
    [InlineData("alpha_pattern", "{\"(.*)*x(.*)*y(.*)*z(.*)*\": 1}", "is not a usable regular expression")]
    public void A_setting_that_is_not_served_is_refused_by_name(string field, string value, string expected)
    {
        JsonObject config = PeftFiles.Config(2);
        config[field] = JsonNode.Parse(value);
        WriteValid(config);
        Refused(expected);
    }

    [Theory]
    [InlineData("use_dora", "false")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("modules_to_save", "[]")]
    [InlineData("loftq_config", "{}")]
    [InlineData("qalora_group_size", "16")]
    [InlineData("megatron_core", "\"megatron.core\"")]
    [InlineData("init_lora_weights", "true")]
    [InlineData("task_type", "null")]
    [InlineData("something_new", "{\"a\": 1}")]
    public void Harmless_settings_are_accepted(string field, string value)
    {
        JsonObject config = PeftFiles.Config(2);
        config[field] = JsonNode.Parse(value);
        WriteValid(config);
        Assert.Single(PeftAdapter.Open(Adapter).Modules);
    }

    [Theory]
    [InlineData("base_model.model.model.embed_tokens.lora_embedding_A", "embedding adapter")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", "trained bias")]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj_lora_latent_mapping.weight", "LoRA-XS")]
    [InlineData("base_model.model.lm_head.weight", "full weight")]
    [InlineData("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta", "token embeddings")]
    [InlineData("base_model.model.something", "not consumed")]
    public void A_tensor_that_no_rule_consumes_is_refused_by_name(string tensor, string expected)
    {
        PeftFiles.Write(Adapter, PeftFiles.Config(2), Valid().Add(tensor, [1, 2], [2, 1]));
        Refused($"'{tensor}'", expected);
    }

    [Theory]
    [InlineData('A')]
    [InlineData('B')]
    public void A_module_with_one_factor_is_incomplete(char side)
    {
        SafetensorsWriter weights = Valid().Add($"base_model.model.model.layers.1.self_attn.q_proj.lora_{side}.weight", new float[4], [2, 2]);
        PeftFiles.Write(Adapter, PeftFiles.Config(2), weights);
        Refused("model.layers.1.self_attn.q_proj is incomplete", $"lora_{(side == 'A' ? 'B' : 'A')} is missing");
    }

    [Fact]
    public void Factors_that_disagree_about_the_rank_are_refused()
    {
        PeftFiles.Write(
            Adapter,
            PeftFiles.Config(2),
            new SafetensorsWriter().Add(PeftFiles.NameOfA(Module), new float[10], [2, 5]).Add(PeftFiles.NameOfB(Module), new float[12], [4, 3]));
        Refused(Module, "A is [2, 5] and B is [4, 3]");
    }

    [Fact]
    public void A_factor_that_is_no_matrix_or_no_float_is_refused()
    {
        PeftFiles.Write(Adapter, PeftFiles.Config(2), new SafetensorsWriter().Add(PeftFiles.NameOfA(Module), new float[10], [2, 5, 1]));
        Refused(PeftFiles.NameOfA(Module), "[2, 5, 1]");
        PeftFiles.Write(Adapter, PeftFiles.Config(2), new SafetensorsWriter().AddRaw(PeftFiles.NameOfA(Module), DType.I8, [2, 5], new byte[10]));
        Refused(PeftFiles.NameOfA(Module), "I8");
    }

    [Fact]
    public void Two_adapters_in_one_file_are_refused()
    {
        var weights = new SafetensorsWriter()
            .Add($"base_model.model.{Module}.lora_A.one.weight", new float[10], [2, 5])
            .Add($"base_model.model.{Module}.lora_B.two.weight", new float[8], [4, 2]);
        PeftFiles.Write(Adapter, PeftFiles.Config(2), weights);
        Refused("'two'", "'one'");
    }

    [Fact]
    public void The_same_factor_under_two_spellings_is_refused()
    {
        PeftFiles.Write(Adapter, PeftFiles.Config(2), Valid().Add($"{Module}.lora_A.weight", new float[10], [2, 5]));
        Refused("the same factor");
    }

    [Fact]
    public void A_file_without_factors_is_refused()
    {
        PeftFiles.Write(Adapter, PeftFiles.Config(2), new SafetensorsWriter());
        Refused("no lora_A and lora_B");
    }

    [Theory]
    [InlineData("adapter_config.json")]
    [InlineData("adapter_model.safetensors")]
    public void A_missing_file_is_named(string name)
    {
        WriteValid(PeftFiles.Config(2));
        File.Delete(Path.Combine(Adapter, name));
        Refused($"the file {name} is missing");
    }

    [Fact]
    public void A_pickle_file_is_refused_with_the_way_out()
    {
        WriteValid(PeftFiles.Config(2));
        File.Move(Path.Combine(Adapter, "adapter_model.safetensors"), Path.Combine(Adapter, "adapter_model.bin"));
        Refused("adapter_model.bin is a pickle file", "convert it to adapter_model.safetensors");
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"peft_type\": \"LORA\", \"lora_alpha\": NaN}")]
    [InlineData("{\"peft_type\": \"LORA\", \"lora_alpha\": 1e999}")]
    [InlineData("{\"peft_type\": \"LORA\"")]
    public void A_config_that_is_no_JSON_object_is_refused(string text)
    {
        WriteValid(PeftFiles.Config(2));
        File.WriteAllText(Path.Combine(Adapter, "adapter_config.json"), text);
        Refused("adapter_config.json");
    }

    [Fact]
    public void A_weights_file_cut_at_any_length_is_refused()
    {
        WriteValid(PeftFiles.Config(2));
        string path = Path.Combine(Adapter, "adapter_model.safetensors");
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length; length += 7)
        {
            File.WriteAllBytes(path, whole[..length]);
            Refused("adapter_model.safetensors");
        }
    }

    private static SafetensorsWriter Valid() => PeftFiles.Weights([KeyValuePair.Create(Module, Synthetic.Random(new Random(1), 4, 5, 2))]);

    private void WriteValid(JsonObject config) => PeftFiles.Write(Adapter, config, Valid());

    private void Refused(params string[] fragments)
    {
        var error = Assert.Throws<AdapterFormatException>(() => PeftAdapter.Open(Adapter));
        Assert.StartsWith("adapter 'my-adapter': ", error.Message, StringComparison.Ordinal);
        Assert.All(fragments, f => Assert.Contains(f, error.Message, StringComparison.Ordinal));
    }
}
