using System.Text.Json;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>
/// Writes compressed adapters as ordinary LoRA adapters that any PEFT reader loads: U Σ Vᵀ = B′ A′ with A′ = Vᵀ and
/// B′ = U Σ, or A′ = Σ Vᵀ and B′ = U where U has fewer columns. The rank is that of the basis and the scale is 1.
/// </summary>
public static class PeftExport
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, NewLine = "\n" };

    /// <param name="bundle">Where the adapters are.</param>
    /// <param name="adapters">Ids; each becomes a folder of that name.</param>
    /// <param name="output">Folder to create; nothing is left there when the export fails.</param>
    /// <param name="dtype">F32, BF16 or F16.</param>
    /// <param name="cancellation">Checked between adapters.</param>
    /// <returns>Adapters that have no core in the bundle and so cannot be written as LoRA.</returns>
    /// <exception cref="KeyNotFoundException">The bundle has no such adapter.</exception>
    /// <exception cref="IOException">The output exists or cannot be written.</exception>
    public static IReadOnlyList<SkippedAdapter> Write(
        Bundle bundle, IReadOnlyCollection<string> adapters, string output, DType dtype = DType.F32, CancellationToken cancellation = default)
    {
        output = RequireFree(output);
        BundleAdapter[] chosen = [.. adapters.Distinct().Select(bundle.Adapter)];
        if (Array.Find(chosen, a => Path.GetFileName(a.Id) != a.Id || a.Id is "." or "..") is { } strange)
            throw new IOException($"the adapter id '{strange.Id}' is no folder name");

        List<SkippedAdapter> skipped = [];
        string working = $"{output}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(working);
        try
        {
            foreach (var cluster in chosen.GroupBy(a => a.Cluster).OrderBy(g => g.Key))
            {
                var basis = bundle.ReadBasis(cluster.Key);
                try
                {
                    foreach (BundleAdapter adapter in cluster)
                    {
                        cancellation.ThrowIfCancellationRequested();
                        if (adapter.Modules.Length == 0)
                            skipped.Add(new SkippedAdapter(adapter.Id, "has no core in the bundle: all its products are zero"));
                        else
                            WriteAdapter(Path.Combine(working, adapter.Id), bundle.Manifest.BaseModel, bundle.ReadCores(adapter.Id), basis, dtype);
                    }
                }
                finally
                {
                    foreach (SharedBasis shared in basis.Values)
                        shared.Dispose();
                }
            }

            Directory.Move(working, output);
            return skipped;
        }
        finally
        {
            if (Directory.Exists(working))
                Directory.Delete(working, recursive: true);
        }
    }

    /// <summary>One adapter that stands on a bundle's bases without being in it, as the folder <paramref name="output"/>.</summary>
    /// <inheritdoc cref="Write(Bundle, IReadOnlyCollection{string}, string, DType, CancellationToken)" path="/exception"/>
    public static void Write(Bundle bundle, AddedAdapter adapter, string output, DType dtype = DType.F32)
    {
        output = RequireFree(output);
        if (adapter.Cores.Count == 0)
            throw new ArgumentException($"adapter '{adapter.Id}' has no core: all its products are zero", nameof(adapter));
        var basis = bundle.ReadBasis(adapter.Cluster);
        string working = $"{output}.{Guid.NewGuid():N}.tmp";
        try
        {
            WriteAdapter(working, bundle.Manifest.BaseModel, adapter.Cores.ToDictionary(c => c.Key, c => CoreMatrix.From(c.Value)), basis, dtype);
            Directory.Move(working, output);
        }
        finally
        {
            foreach (SharedBasis shared in basis.Values)
                shared.Dispose();
            if (Directory.Exists(working))
                Directory.Delete(working, recursive: true);
        }
    }

    private static string RequireFree(string output)
    {
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        return Path.Exists(output) ? throw new IOException($"the output '{output}' exists") : output;
    }

    private static void WriteAdapter(
        string folder, string? baseModel, IReadOnlyDictionary<string, CoreMatrix> cores, IReadOnlyDictionary<string, SharedBasis> basis, DType dtype)
    {
        var writer = new SafetensorsWriter().Metadata("format", "pt");
        var ranks = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var (module, core) in cores)
        {
            SharedBasis shared = basis[module];
            int rank = Math.Min(core.RankU, core.RankV);
            var (a, b) = Factors(shared, core);
            ranks.Add(module, rank);
            writer.Add(TensorNames.FactorA(module), a, [rank, shared.InFeatures], dtype);
            writer.Add(TensorNames.FactorB(module), b, [shared.OutFeatures, rank], dtype);
        }

        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, PeftConfig.FileName), Config(baseModel, ranks));
        writer.Save(Path.Combine(folder, PeftAdapter.WeightsFile));
    }

    private static (float[] A, float[] B) Factors(SharedBasis shared, CoreMatrix core)
    {
        using var scope = NewDisposeScope();
        Tensor sigma = tensor(core.Values, [core.RankU, core.RankV]).to(ScalarType.Float64);
        Tensor u = shared.U.to(ScalarType.Float64), vt = shared.V.to(ScalarType.Float64).t();
        return core.RankU < core.RankV
            ? (sigma.mm(vt).ToFloats(), u.ToFloats())
            : (vt.ToFloats(), u.mm(sigma).ToFloats());
    }

    /// <summary>The most common rank stands as r; modules of another have patterns, where alpha follows so that every scale is 1.</summary>
    private static byte[] Config(string? baseModel, SortedDictionary<string, int> ranks)
    {
        int common = ranks.Values.GroupBy(r => r).OrderByDescending(g => g.Count()).ThenByDescending(g => g.Key).First().Key;
        Dictionary<string, int> others = ranks.Where(r => r.Value != common).ToDictionary();
        return JsonSerializer.SerializeToUtf8Bytes(
            new SortedDictionary<string, object?>(StringComparer.Ordinal)
            {
                ["peft_type"] = "LORA",
                ["task_type"] = "CAUSAL_LM",
                ["base_model_name_or_path"] = baseModel,
                ["inference_mode"] = true,
                ["r"] = common,
                ["lora_alpha"] = common,
                ["lora_dropout"] = 0,
                ["bias"] = "none",
                ["fan_in_fan_out"] = false,
                ["target_modules"] = ranks.Keys,
                ["rank_pattern"] = others,
                ["alpha_pattern"] = others,
            },
            Json);
    }
}
