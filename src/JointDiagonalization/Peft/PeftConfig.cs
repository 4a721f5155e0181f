using System.Text.Json;
using System.Text.RegularExpressions;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>The parts of adapter_config.json that LoRA, rsLoRA, DoRA and biases need; everything else that changes the mathematics is refused by name.</summary>
public sealed class PeftConfig
{
    internal const string FileName = "adapter_config.json";
    private const int DefaultRank = 8;
    private const double DefaultAlpha = 8;

    // A pattern comes from outside: a catastrophic one must not stall an import.
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    private static readonly string[] RefusedWhenSet =
    [
        "layer_replication", "target_parameters", "alora_invocation_tokens", "use_qalora", "use_bdlora", "arrow_config",
        "kasa_config", "monteclora_config", "velora_config", "megatron_config", "modules_to_save", "trainable_token_indices",
    ];

    private static readonly string[] InitialisationsThatChangeTheBase = ["pissa", "olora", "corda", "lora_ga", "loftq"];

    private readonly string _adapter;
    private readonly List<(string Key, double Value)> _rankPattern;
    private readonly List<(string Key, double Value)> _alphaPattern;
    private readonly int _rank;
    private readonly double _alpha;
    private readonly bool _rankStabilised;

    private PeftConfig(string adapter, JsonElement root)
    {
        _adapter = adapter;
        RefuseOtherMethods(root);
        double rank = Number(root, "r") ?? DefaultRank;
        if (rank != Math.Floor(rank) || rank is < 1 or > int.MaxValue)
            throw Error($"r is {rank}; a positive whole number was expected");
        _rank = (int)rank;
        _alpha = Number(root, "lora_alpha") ?? DefaultAlpha;
        _rankStabilised = IsTruthy(root, "use_rslora");
        UsesDora = IsTruthy(root, "use_dora");
        HasFactorBiases = IsTruthy(root, "lora_bias");
        TrainsBiases = ReadsTrainedBiases(root);
        if (UsesDora && HasFactorBiases)
            throw Error("use_dora and lora_bias exclude each other");
        _rankPattern = Pattern(root, "rank_pattern");
        _alphaPattern = Pattern(root, "alpha_pattern");
        BaseModel = root.TryGetProperty("base_model_name_or_path", out JsonElement name) && name.ValueKind == JsonValueKind.String
            ? name.GetString()
            : null;
    }

    /// <summary>base_model_name_or_path, when the file states it.</summary>
    public string? BaseModel { get; }

    /// <summary>DoRA: every module has a magnitude for each output (spec/adapters.md §2.2).</summary>
    internal bool UsesDora { get; }

    /// <summary>lora_bias: every module's B has a bias (§2.1).</summary>
    internal bool HasFactorBiases { get; }

    /// <summary>bias: the base's own biases were trained too (§1.6).</summary>
    internal bool TrainsBiases { get; }

    /// <summary>The setting that goes beyond A and B, for whoever can only take these; null when there is none.</summary>
    internal string? OutputSetting => UsesDora ? "use_dora" : HasFactorBiases ? "lora_bias" : TrainsBiases ? "bias" : null;

    /// <exception cref="AdapterFormatException">Not JSON, not LoRA, or a setting that this product does not serve.</exception>
    public static PeftConfig Parse(string adapter, ReadOnlyMemory<byte> json)
    {
        try
        {
            // Some exporters write a byte-order mark, which the JSON reader refuses.
            if (json.Span.StartsWith("\uFEFF"u8))
                json = json[3..];
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new AdapterFormatException(adapter, $"{FileName} holds a JSON {document.RootElement.ValueKind}; an object was expected");
            return new PeftConfig(adapter, document.RootElement);
        }
        catch (JsonException e)
        {
            throw new AdapterFormatException(adapter, $"{FileName} is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>LoRA rank that the config states for a module, rank_pattern first.</summary>
    public int RankOf(string module)
    {
        double rank = Match(_rankPattern, "rank_pattern", module) ?? _rank;
        return rank == Math.Floor(rank) && rank is >= 1 and <= int.MaxValue
            ? (int)rank
            : throw Error($"rank_pattern gives {rank} for {module}; a positive whole number was expected");
    }

    /// <summary>alpha / r, or alpha / sqrt(r) with use_rslora, patterns included (spec/adapters.md §2.1).</summary>
    public double ScaleOf(string module)
    {
        double alpha = Match(_alphaPattern, "alpha_pattern", module) ?? _alpha;
        int rank = RankOf(module);
        return alpha / (_rankStabilised ? Math.Sqrt(rank) : rank);
    }

    private void RefuseOtherMethods(JsonElement root)
    {
        string? type = root.TryGetProperty("peft_type", out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        if (type is null)
            throw Error("the field peft_type is missing; \"LORA\" was expected");
        if (type != "LORA")
            throw Error($"peft_type '{type}' is not supported; \"LORA\" was expected");
        foreach (string field in RefusedWhenSet)
        {
            if (IsTruthy(root, field))
                throw Error($"the setting {field} is not supported; plain LoRA or rsLoRA was expected");
        }

        if (root.TryGetProperty("task_type", out JsonElement task) && task.ValueKind != JsonValueKind.Null && !task.ValueEquals("CAUSAL_LM"))
            throw Error($"task_type is {task.GetRawText()}; \"CAUSAL_LM\" or null was expected");
        if (root.TryGetProperty("init_lora_weights", out JsonElement start) && start.ValueKind == JsonValueKind.String
            && Array.Exists(InitialisationsThatChangeTheBase, name => start.GetString()!.StartsWith(name, StringComparison.OrdinalIgnoreCase)))
        {
            throw Error($"init_lora_weights is {start.GetRawText()}: training changed the base weights; convert the adapter to plain LoRA on saving");
        }
    }

    private bool ReadsTrainedBiases(JsonElement root)
    {
        if (!root.TryGetProperty("bias", out JsonElement bias) || bias.ValueKind == JsonValueKind.Null)
            return false;
        return bias.ValueKind == JsonValueKind.String && bias.GetString() is "none" or "all" or "lora_only"
            ? bias.GetString() != "none"
            : throw Error($"bias is {bias.GetRawText()}; \"none\", \"all\" or \"lora_only\" was expected");
    }

    private double? Number(JsonElement root, string field)
    {
        if (!root.TryGetProperty(field, out JsonElement value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind != JsonValueKind.Number || !double.IsFinite(value.GetDouble()))
            throw Error($"{field} is {value.GetRawText()}; a finite number was expected");
        return value.GetDouble();
    }

    private List<(string Key, double Value)> Pattern(JsonElement root, string field)
    {
        if (!IsTruthy(root, field))
            return [];
        JsonElement pattern = root.GetProperty(field);
        if (pattern.ValueKind != JsonValueKind.Object)
            throw Error($"{field} is not an object of module patterns and numbers");
        return [.. pattern.EnumerateObject().Select(p => (p.Name, Number(pattern, p.Name) ?? throw Error($"{field}: '{p.Name}' has no number")))];
    }

    private double? Match(List<(string Key, double Value)> pattern, string field, string module)
    {
        foreach (var (key, value) in pattern)
        {
            try
            {
                if (Regex.IsMatch(module, $@"\A(?:.*\.)?(?:{key})\z", RegexOptions.CultureInvariant, PatternTimeout))
                    return value;
            }
            catch (Exception e) when (e is ArgumentException or RegexMatchTimeoutException)
            {
                throw new AdapterFormatException(_adapter, $"{FileName}: {field}: '{key}' is not a usable regular expression", e);
            }
        }

        return null;
    }

    private static bool IsTruthy(JsonElement root, string field)
    {
        if (!root.TryGetProperty(field, out JsonElement value))
            return false;
        return value.ValueKind switch
        {
            JsonValueKind.Null or JsonValueKind.False => false,
            JsonValueKind.Array => value.GetArrayLength() > 0,
            JsonValueKind.Object => value.EnumerateObject().Any(),
            JsonValueKind.String => value.GetString()!.Length > 0,
            JsonValueKind.Number => value.GetDouble() != 0,
            _ => true,
        };
    }

    private AdapterFormatException Error(string problem) => new(_adapter, $"{FileName}: {problem}");
}
