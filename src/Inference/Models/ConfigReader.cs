namespace Eigengate.Inference.Models;

/// <summary>Reads config.json and refuses by name every feature that would change results if it were ignored.</summary>
internal sealed class ConfigReader(ConfigObject config)
{
    /// <summary>Numbers in one row of activations.</summary>
    private const int MaxWidth = 1 << 24;

    public ModelConfig Read()
    {
        ModelFamily family = ModelFamily.Of(config);
        RefuseUnsupported();

        int heads = config.Count("num_attention_heads"), layers = config.Count("num_hidden_layers");
        int kvHeads = config.Count("num_key_value_heads", heads);
        if (heads % kvHeads != 0)
            throw config.Problem($"num_attention_heads {heads} is not a multiple of num_key_value_heads {kvHeads}");
        bool attentionBias = family.ReadsAttentionBias && config.Flag("attention_bias") == true;
        int maxPositions = config.Count("max_position_embeddings", 2048);
        RopeScaling scaling = RopeScalingReader.Read(config, maxPositions);
        int headDim = HeadDim(family, heads), intermediate = config.Count("intermediate_size");
        if (Math.Max((heads + (2L * kvHeads)) * headDim, 2L * intermediate) > MaxWidth)
            throw config.Problem($"{heads} and {kvHeads} heads of {headDim}, or an intermediate_size of {intermediate}, are more than {MaxWidth} wide");
        return new ModelConfig
        {
            ModelType = family.ModelType,
            HiddenSize = config.Count("hidden_size"),
            IntermediateSize = intermediate,
            Layers = layers,
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            VocabularySize = config.Count("vocab_size"),
            MaxPositions = Math.Max(maxPositions, scaling.StretchedContext),
            NormEpsilon = (float)config.Positive("rms_norm_eps", 1e-6),
            RopeTheta = RopeScalingReader.Parameters(config)?.Positive("rope_theta", Theta) ?? Theta,
            RopeScaling = scaling,
            QkvBias = family.AlwaysQkvBias || attentionBias,
            OutputBias = attentionBias,
            MlpBias = family.ReadsMlpBias && config.Flag("mlp_bias") == true,
            HeadNorm = family.HeadNorm,
            Windows = family.Windows(config, layers),
            TiedEmbeddings = config.Flag("tie_word_embeddings"),
        };
    }

    private double Theta => config.Positive("rope_theta", 10000);

    private int HeadDim(ModelFamily family, int heads)
    {
        int hidden = config.Count("hidden_size");
        if (!config.Has("head_dim") && hidden % heads != 0)
            throw config.Problem($"hidden_size {hidden} is not a multiple of num_attention_heads {heads} and head_dim is not given");
        int width = config.Count("head_dim", family.NeedsHeadDim ? null : hidden / heads);
        return width % 2 == 0 ? width : throw config.Problem($"head_dim {width} is odd; rotary embedding needs pairs");
    }

    private void RefuseUnsupported()
    {
        string activation = config.Text("hidden_act") ?? "silu";
        if (activation != "silu")
            throw config.Problem($"hidden_act '{activation}' is not supported; silu was expected");
        if (config.Count("pretraining_tp", 1) != 1)
            throw config.Problem("pretraining_tp other than 1 is not supported");
        if (config.Positive("partial_rotary_factor", 1) != 1)
            throw config.Problem("partial_rotary_factor other than 1 is not supported");
        if (config.Has("quantization_config"))
            throw config.Problem("a quantized checkpoint (quantization_config) is not supported; float32, bfloat16 or float16 weights were expected");
    }
}
