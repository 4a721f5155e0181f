using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>
/// The weights of an uncompressed adapter as they lie in the index: a safetensors container with <c>&lt;module&gt;.A</c> [r, in]
/// and <c>&lt;module&gt;.B</c> [out, r] in float32, and the metadata <c>format</c> and <c>scale.&lt;module&gt;</c>, so that ΔW = scale · B · A.
/// </summary>
internal static class ExactAdapterBlob
{
    private const string ScalePrefix = "scale.";
    private const string FormatKey = "format";
    private const string Format = "eigengate-exact-adapter";

    /// <exception cref="AdapterFormatException">The adapter's file cannot be read or holds values that are not finite.</exception>
    public static byte[] Write(PeftAdapter adapter)
    {
        SafetensorsWriter writer = new SafetensorsWriter().Metadata(FormatKey, Format);
        foreach (string module in adapter.Modules.Keys)
        {
            LoraDelta delta = adapter.ReadDelta(module);
            writer.Metadata(ScalePrefix + module, delta.Scale.ToString("R", CultureInfo.InvariantCulture));
            writer.Add($"{module}.A", delta.A, [delta.Rank, delta.InFeatures]);
            writer.Add($"{module}.B", delta.B, [delta.OutFeatures, delta.Rank]);
        }

        return writer.ToArray();
    }

    /// <summary>False when the container holds something else, such as compressed cores.</summary>
    /// <exception cref="SafetensorsException">Not a safetensors container, or one whose parts do not fit together.</exception>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out IReadOnlyDictionary<string, LoraFactors>? factors)
    {
        using SafetensorsFile file = SafetensorsFile.Parse(bytes, "adapter weights");
        factors = file.Metadata.TryGetValue(FormatKey, out string? format) && format == Format ? ReadModules(file) : null;
        return factors is not null;
    }

    private static Dictionary<string, LoraFactors> ReadModules(SafetensorsFile file)
    {
        var modules = new Dictionary<string, LoraFactors>(StringComparer.Ordinal);
        foreach (var (key, value) in file.Metadata.Where(entry => entry.Key.StartsWith(ScalePrefix, StringComparison.Ordinal)))
        {
            string module = key[ScalePrefix.Length..];
            long[] a = file.Entry($"{module}.A").Shape, b = file.Entry($"{module}.B").Shape;
            if (a.Length != 2 || b.Length != 2 || a[0] != b[1] || !float.TryParse(value, CultureInfo.InvariantCulture, out float scale))
                throw new SafetensorsException(file.Source, $"{module} has A [{string.Join(", ", a)}], B [{string.Join(", ", b)}], scale '{value}', which do not fit together");
            modules.Add(module, new LoraFactors(
                file.ReadFloat32($"{module}.A"), file.ReadFloat32($"{module}.B"), (int)b[0], (int)a[1], (int)a[0], scale));
        }

        return modules;
    }
}
