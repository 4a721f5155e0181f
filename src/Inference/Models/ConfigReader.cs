using System.Text.Json;

namespace Eigengate.Inference.Models;

/// <summary>Reads config.json and refuses by name every feature that would change results if it were ignored.</summary>
internal sealed class ConfigReader(string path, JsonElement root)
{
    public ModelConfig Read()
    {
        string type = Text("model_type") ?? throw Problem("'model_type' is missing");
        if (type != "llama")
            throw Problem($"model_type '{type}' is not supported; supported are: llama");
        RefuseUnsupported();

        int hidden = Positive("hidden_size");
        int heads = Positive("num_attention_heads");
        int kvHeads = Has("num_key_value_heads") ? Positive("num_key_value_heads") : heads;
        if (heads % kvHeads != 0)
            throw Problem($"num_attention_heads {heads} is not a multiple of num_key_value_heads {kvHeads}");
        if (!Has("head_dim") && hidden % heads != 0)
            throw Problem($"hidden_size {hidden} is not a multiple of num_attention_heads {heads} and head_dim is not given");
        int headDim = Has("head_dim") ? Positive("head_dim") : hidden / heads;
        if (headDim % 2 != 0)
            throw Problem($"head_dim {headDim} is odd; rotary embedding needs pairs");

        return new ModelConfig
        {
            ModelType = type,
            HiddenSize = hidden,
            IntermediateSize = Positive("intermediate_size"),
            Layers = Positive("num_hidden_layers"),
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            VocabularySize = Positive("vocab_size"),
            MaxPositions = Has("max_position_embeddings") ? Positive("max_position_embeddings") : 2048,
            NormEpsilon = (float)Number(root, "rms_norm_eps", 1e-6),
            RopeTheta = Number(RopeParameters, "rope_theta", Number(root, "rope_theta", 10000)),
            RopeScaling = ReadRopeScaling(),
            TiedEmbeddings = Has("tie_word_embeddings") ? root.GetProperty("tie_word_embeddings").GetBoolean() : null,
        };
    }

    /// <summary>Newer files put theta and scaling in one object; older ones keep only the scaling in an object.</summary>
    private JsonElement RopeParameters =>
        Has("rope_parameters") ? root.GetProperty("rope_parameters") : Has("rope_scaling") ? root.GetProperty("rope_scaling") : default;

    private void RefuseUnsupported()
    {
        string activation = Text("hidden_act") ?? "silu";
        if (activation != "silu")
            throw Problem($"hidden_act '{activation}' is not supported; silu was expected");
        foreach (string name in (string[])["attention_bias", "mlp_bias"])
        {
            if (Has(name) && root.GetProperty(name).GetBoolean())
                throw Problem($"{name} is not supported");
        }

        if (Has("pretraining_tp") && root.GetProperty("pretraining_tp").GetInt32() != 1)
            throw Problem("pretraining_tp other than 1 is not supported");
        if (Has("quantization_config"))
            throw Problem("a quantized checkpoint (quantization_config) is not supported; float32, bfloat16 or float16 weights were expected");
    }

    private RopeScaling ReadRopeScaling()
    {
        JsonElement rope = RopeParameters;
        if (rope.ValueKind != JsonValueKind.Object)
            return RopeScaling.None;
        string kind = (Property(rope, "rope_type") ?? Property(rope, "type"))?.GetString() ?? "default";
        switch (kind)
        {
            case "default":
                return RopeScaling.None;
            case "linear":
                return new RopeScaling(RopeScalingKind.Linear, Required(rope, "factor"));
            case "llama3":
                return new RopeScaling(
                    RopeScalingKind.Llama3,
                    Required(rope, "factor"),
                    Required(rope, "low_freq_factor"),
                    Required(rope, "high_freq_factor"),
                    (int)Required(rope, "original_max_position_embeddings"));
            default:
                throw Problem($"rope scaling '{kind}' is not supported; supported are: default, linear, llama3");
        }
    }

    private static JsonElement? Property(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    private bool Has(string name) => Property(root, name) is not null;

    private string? Text(string name) => Property(root, name)?.GetString();

    private int Positive(string name)
    {
        JsonElement value = Property(root, name) ?? throw Problem($"'{name}' is missing");
        int number = value.GetInt32();
        return number > 0 ? number : throw Problem($"'{name}' is {number}; a positive number was expected");
    }

    private static double Number(JsonElement element, string name, double otherwise) => Property(element, name)?.GetDouble() ?? otherwise;

    private double Required(JsonElement element, string name) =>
        Property(element, name)?.GetDouble() ?? throw Problem($"rope scaling needs '{name}'");

    private InvalidModelException Problem(string problem) => new($"'{path}': {problem}");
}
