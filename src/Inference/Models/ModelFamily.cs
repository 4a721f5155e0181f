namespace Eigengate.Inference.Models;

/// <summary>
/// Where the families of decoders differ (spec/adapters.md §5). All are pre-norm decoders with rotary embedding, grouped
/// queries and SwiGLU; a family says which optional parts its layers have and how its config.json names them.
/// </summary>
/// <param name="ModelType">model_type of config.json.</param>
/// <param name="Architecture">The class name that config.json lists, where it lists any.</param>
internal sealed record ModelFamily(string ModelType, string Architecture)
{
    private const int DefaultWindow = 4096;
    private const int DefaultFirstWindowLayer = 28;

    /// <summary>Query, key and value projections always have a bias, the output projection never.</summary>
    public bool AlwaysQkvBias { get; private init; }

    /// <summary>config.json's attention_bias puts a bias on the query, key, value and output projections.</summary>
    public bool ReadsAttentionBias { get; private init; }

    /// <summary>config.json's mlp_bias puts a bias on the gate, up and down projections.</summary>
    public bool ReadsMlpBias { get; private init; }

    /// <summary>Each query and key head is normalized between projection and rotation.</summary>
    public bool HeadNorm { get; private init; }

    /// <summary>head_dim must be written; hidden_size / num_attention_heads would be a wrong guess.</summary>
    public bool NeedsHeadDim { get; private init; }

    /// <summary>sliding_window of config.json applies to every layer.</summary>
    public bool WindowEverywhere { get; private init; }

    /// <summary>sliding_window applies where use_sliding_window and layer_types or max_window_layers say so.</summary>
    public bool WindowByLayer { get; private init; }

    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new("llama", "LlamaForCausalLM") { ReadsAttentionBias = true, ReadsMlpBias = true },
        new("mistral", "MistralForCausalLM") { WindowEverywhere = true },
        new("qwen2", "Qwen2ForCausalLM") { AlwaysQkvBias = true, WindowByLayer = true },
        new("qwen3", "Qwen3ForCausalLM") { ReadsAttentionBias = true, HeadNorm = true, NeedsHeadDim = true, WindowByLayer = true },
    ];

    /// <exception cref="InvalidModelException">No family has this model_type, or the file wants another class of it.</exception>
    public static ModelFamily Of(ConfigObject config)
    {
        string type = config.Text("model_type") ?? throw config.Problem("'model_type' is missing");
        ModelFamily family = All.FirstOrDefault(f => f.ModelType == type)
            ?? throw config.Problem($"model_type '{type}' is not supported; supported are: {string.Join(", ", All.Select(f => f.ModelType))}");
        if (config.Array("architectures") is [var first, ..] && !string.Equals(first.ToString(), family.Architecture, StringComparison.OrdinalIgnoreCase))
            throw config.Problem($"architecture '{first}' is not supported; {family.Architecture} was expected");
        return family;
    }

    /// <summary>Positions that a row of each layer attends to at most, itself included; int.MaxValue where there is no limit.</summary>
    public IReadOnlyList<int> Windows(ConfigObject config, int layers)
    {
        bool used = WindowEverywhere || (WindowByLayer && config.Flag("use_sliding_window") == true);
        bool unlimited = !used || (config.Mentions("sliding_window") && !config.Has("sliding_window"));
        int window = unlimited ? int.MaxValue : config.Count("sliding_window", DefaultWindow);
        if (!WindowByLayer)
            return [.. Enumerable.Repeat(window, layers)];
        if (config.Array("layer_types") is { } types)
        {
            if (types.Count != layers)
                throw config.Problem($"'layer_types' has {types.Count} entries for {layers} layers");
            return [.. types.Select(type => type.ToString() switch
            {
                "full_attention" => int.MaxValue,
                "sliding_attention" => window,
                var other => throw config.Problem($"layer type '{other}' is not supported; full_attention or sliding_attention was expected"),
            })];
        }

        int firstWindowLayer = unlimited ? layers : config.Count("max_window_layers", DefaultFirstWindowLayer, least: 0);
        return [.. Enumerable.Range(0, layers).Select(layer => layer >= firstWindowLayer ? window : int.MaxValue)];
    }
}
