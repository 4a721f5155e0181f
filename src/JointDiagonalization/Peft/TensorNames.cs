using System.Text.RegularExpressions;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>Normalises PEFT tensor names (spec/adapters.md §1.3).</summary>
internal static partial class TensorNames
{
    private const string ModelPrefix = "base_model.model.";
    private static readonly string[] Wrappers = ["_orig_mod.", "_fsdp_wrapped_module.", "module."];

    /// <summary>The name that PEFT gives A [l, d_in] of a module.</summary>
    internal static string FactorA(string module) => $"{ModelPrefix}{module}.lora_A.weight";

    /// <summary>The name that PEFT gives B [d_out, l] of a module.</summary>
    internal static string FactorB(string module) => $"{ModelPrefix}{module}.lora_B.weight";

    /// <summary>Module path, 'A' or 'B', and the adapter-name segment that odd exports keep; null when this is no LoRA factor.</summary>
    internal static (string Module, char Side, string? Segment)? ParseFactor(string tensor)
    {
        Match match = Factor().Match(Normalise(tensor));
        if (!match.Success)
            return null;
        return (match.Groups["module"].Value, match.Groups["side"].Value[0], match.Groups["name"].Success ? match.Groups["name"].Value : null);
    }

    /// <summary>Why a tensor that is no LoRA factor is refused.</summary>
    internal static string WhyRefused(string tensor)
    {
        string name = Normalise(tensor);
        if (name.Contains("lora_embedding_", StringComparison.Ordinal))
            return "belongs to an embedding adapter, which is not supported";
        if (name.Contains("lora_magnitude_vector", StringComparison.Ordinal))
            return "belongs to a DoRA adapter, which is not supported";
        if (name.Contains("lora_latent_mapping", StringComparison.Ordinal))
            return "belongs to a LoRA-XS adapter, which is not supported";
        if (name.EndsWith(".bias", StringComparison.Ordinal))
            return "is a trained bias, which is not supported";
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
}
