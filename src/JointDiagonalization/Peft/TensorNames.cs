using System.Text.RegularExpressions;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>What a tensor is of its module.</summary>
internal enum TensorRole
{
    /// <summary>lora_A, [l, d_in].</summary>
    A,

    /// <summary>lora_B, [d_out, l].</summary>
    B,

    /// <summary>The bias of lora_B, [d_out].</summary>
    FactorBias,

    /// <summary>DoRA's magnitude, [d_out].</summary>
    Magnitude,

    /// <summary>The trained bias that takes the place of the base's, [d_out].</summary>
    Bias,
}

/// <summary>Normalises PEFT tensor names (spec/adapters.md §1.3).</summary>
internal static partial class TensorNames
{
    private const string ModelPrefix = "base_model.model.";

    // The last is the least specific.
    private static readonly (Regex, TensorRole)[] Patterns =
        [(Factor(), TensorRole.A), (FactorBias(), TensorRole.FactorBias), (Magnitude(), TensorRole.Magnitude), (Bias(), TensorRole.Bias)];

    private static readonly string[] Wrappers = ["_orig_mod.", "_fsdp_wrapped_module.", "module."];

    /// <summary>The name that PEFT gives A [l, d_in] of a module.</summary>
    internal static string FactorA(string module) => $"{ModelPrefix}{module}.lora_A.weight";

    /// <summary>The name that PEFT gives B [d_out, l] of a module.</summary>
    internal static string FactorB(string module) => $"{ModelPrefix}{module}.lora_B.weight";

    /// <summary>Module path, what the tensor is of it, and the adapter-name segment that odd exports keep; null when it is none of these.</summary>
    internal static (string Module, TensorRole Role, string? Segment)? Parse(string tensor)
    {
        string name = Normalise(tensor);
        foreach (var (pattern, role) in Patterns)
        {
            Match match = pattern.Match(name);
            if (!match.Success)
                continue;
            TensorRole of = role == TensorRole.A && match.Groups["side"].Value == "B" ? TensorRole.B : role;
            return (match.Groups["module"].Value, of, match.Groups["name"].Success ? match.Groups["name"].Value : null);
        }

        return null;
    }

    /// <summary>Why a tensor that is no LoRA factor is refused.</summary>
    internal static string WhyRefused(string tensor)
    {
        string name = Normalise(tensor);
        if (name.Contains("lora_embedding_", StringComparison.Ordinal))
            return "belongs to an embedding adapter, which is not supported";
        if (name.Contains("lora_magnitude_vector", StringComparison.Ordinal))
            return $"belongs to a DoRA adapter, but {PeftConfig.FileName} does not set use_dora";
        if (name.Contains("lora_latent_mapping", StringComparison.Ordinal))
            return "belongs to a LoRA-XS adapter, which is not supported";
        if (name.EndsWith(".bias", StringComparison.Ordinal))
            return $"is a trained bias, but {PeftConfig.FileName} sets neither bias nor lora_bias for it";
        if (name.Contains("trainable_tokens", StringComparison.Ordinal))
            return "holds retrained token embeddings, which are not supported";
        return name.EndsWith(".weight", StringComparison.Ordinal)
            ? "is a full weight (modules_to_save or a resized vocabulary), which is not supported"
            : "is not consumed by any rule";
    }

    private static string Normalise(string tensor)
    {
        string name = tensor.StartsWith(ModelPrefix, StringComparison.Ordinal) ? tensor[ModelPrefix.Length..] : tensor;
        while (Array.Find(Wrappers, w => name.StartsWith(w, StringComparison.Ordinal)) is { } wrapper)
            name = name[wrapper.Length..];
        return name;
    }

    [GeneratedRegex(@"\A(?<module>.+)\.lora_(?<side>[AB])(\.(?<name>[^.]+))?\.weight\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Factor();

    [GeneratedRegex(@"\A(?<module>.+)\.lora_B(\.(?<name>[^.]+))?\.bias\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex FactorBias();

    [GeneratedRegex(@"\A(?<module>.+)\.lora_magnitude_vector(\.(?!weight\z)(?<name>[^.]+))?(\.weight)?\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Magnitude();

    [GeneratedRegex(@"\A(?<module>.+?)(\.base_layer)?\.bias\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Bias();
}
