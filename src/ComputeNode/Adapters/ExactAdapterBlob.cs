using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>
/// The weights of an uncompressed adapter as they lie in the index: a safetensors container with <c>&lt;module&gt;.A</c> [r, in]
/// and <c>&lt;module&gt;.B</c> [out, r] in float32, and the metadata <c>format</c> and <c>scale.&lt;module&gt;</c>, so that ΔW = scale · B · A;
/// where a module has them, <c>&lt;module&gt;.gain_base</c>, <c>&lt;module&gt;.gain_delta</c> and <c>&lt;module&gt;.delta_bias</c> [out] (spec/adapters.md §0).
/// </summary>
internal static class ExactAdapterBlob
{
    private const string ScalePrefix = "scale.";
    private const string FormatKey = "format";
    private const string Format = "eigengate-exact-adapter";
    private const string BaseGain = ".gain_base";
    private const string DeltaGain = ".gain_delta";
    private const string Bias = ".delta_bias";

    /// <exception cref="AdapterFormatException">The adapter's file cannot be read or holds values that are not finite.</exception>
    public static byte[] Write(ExactAdapter adapter)
    {
        SafetensorsWriter writer = new SafetensorsWriter().Metadata(FormatKey, Format);
        foreach (string module in adapter.Peft.Modules.Keys)
        {
            LoraDelta delta = adapter.Peft.ReadDelta(module);
            writer.Metadata(ScalePrefix + module, delta.Scale.ToString("R", CultureInfo.InvariantCulture));
            writer.Add($"{module}.A", delta.A, [delta.Rank, delta.InFeatures]);
            writer.Add($"{module}.B", delta.B, [delta.OutFeatures, delta.Rank]);
        }

        foreach (var (module, outputs) in adapter.Outputs)
        {
            Add(module + BaseGain, outputs.Gain);
            Add(module + DeltaGain, outputs.Gain);
            Add(module + Bias, outputs.Bias);
        }

        return writer.ToArray();

        void Add(string name, float[]? values)
        {
            if (values is not null)
                writer.Add(name, values, [values.Length]);
        }
    }

    /// <summary>False when the container holds something else, such as compressed cores.</summary>
    /// <exception cref="SafetensorsException">Not a safetensors container, or one whose parts do not fit together.</exception>
    public static bool TryRead(string id, string version, ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out AdapterWeights? weights)
    {
        using SafetensorsFile file = SafetensorsFile.Parse(bytes, "adapter weights");
        bool isExact = file.Metadata.TryGetValue(FormatKey, out string? format) && format == Format;
        weights = isExact ? AdapterWeights.Exact(id, version, ReadModules(file)) with { Outputs = ReadOutputs(file) } : null;
        return isExact;
    }

    private static Dictionary<string, OutputVectors> ReadOutputs(SafetensorsFile file)
    {
        IEnumerable<string> modules = file.Tensors.Keys.SelectMany(name => ((string[])[BaseGain, DeltaGain, Bias]).Where(suffix => name.EndsWith(suffix, StringComparison.Ordinal)).Select(suffix => name[..^suffix.Length]));
        return modules.Distinct(StringComparer.Ordinal).ToDictionary(module => module, module => new OutputVectors(Read(module + BaseGain), Read(module + DeltaGain), Read(module + Bias)));

        float[]? Read(string name) => file.Tensors.ContainsKey(name) ? file.ReadFloat32(name) : null;
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
