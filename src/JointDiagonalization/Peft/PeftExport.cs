using System.Text.Json;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>
/// Writes compressed adapters as ordinary LoRA adapters that any PEFT reader loads: U Σ Vᵀ + P Qᵀ = B′ A′ with A′ = [Vᵀ; Qᵀ]
/// and B′ = [U Σ, P], or Σ Vᵀ and U where U has fewer columns. The rank is that of the basis and of the private residual
/// together, and the scale is 1.
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
    /// <exception cref="IOException">The output exists or cannot be written, for one because the disk is full.</exception>
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
                            skipped.Add(new SkippedAdapter(adapter.Id, "has nothing in the bundle: all its products are zero"));
                        else
                            WriteAdapter(Path.Combine(working, adapter.Id), bundle.Manifest.BaseModel, bundle.ReadCores(adapter.Id), bundle.ReadResiduals(adapter.Id), basis, dtype);
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
    /// <exception cref="ArgumentException">It stores nothing.</exception>
    /// <exception cref="IOException">The output exists or cannot be written.</exception>
    public static void Write(Bundle bundle, AddedAdapter adapter, string output, DType dtype = DType.F32)
    {
        output = RequireFree(output);
        if (adapter.Modules.Length == 0)
            throw new ArgumentException($"adapter '{adapter.Id}' stores nothing: all its products are zero", nameof(adapter));
        var shapes = bundle.Manifest.Modules.ToDictionary(m => m.Path, StringComparer.Ordinal);
        var basis = bundle.ReadBasis(adapter.Cluster);
        string working = $"{output}.{Guid.NewGuid():N}.tmp";
        try
        {
            WriteAdapter(
                working,
                bundle.Manifest.BaseModel,
                adapter.Products.Where(p => p.Value.Core is not null).ToDictionary(p => p.Key, p => CoreMatrix.From(p.Value.Core!)),
                adapter.Products.Where(p => p.Value.Residual is not null).ToDictionary(p => p.Key, p => PrivateResidual.From(p.Value.Residual!)),
                basis,
                dtype);
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
        string folder,
        string? baseModel,
        IReadOnlyDictionary<string, CoreMatrix> cores,
        IReadOnlyDictionary<string, PrivateResidual> residuals,
        IReadOnlyDictionary<string, SharedBasis> basis,
        DType dtype)
    {
        var writer = new SafetensorsWriter().Metadata("format", "pt");
        var ranks = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (string module in cores.Keys.Union(residuals.Keys))
        {
            using var scope = NewDisposeScope();
            List<(Tensor A, Tensor B)> parts = [];
            if (cores.TryGetValue(module, out CoreMatrix? core))
                parts.Add(Factors(basis[module], core));
            if (residuals.TryGetValue(module, out PrivateResidual? residual))
                parts.Add((tensor(residual.Q, [residual.InFeatures, residual.Rank]).t(), tensor(residual.P, [residual.OutFeatures, residual.Rank])));
            Tensor a = cat([.. parts.Select(p => p.A)], 0), b = cat([.. parts.Select(p => p.B)], 1);
            ranks.Add(module, (int)a.shape[0]);
            writer.Add(TensorNames.FactorA(module), a.ToFloats(), a.shape, dtype);
            writer.Add(TensorNames.FactorB(module), b.ToFloats(), b.shape, dtype);
        }

        Directory.CreateDirectory(folder);
        DiskWriter.Save(Config(baseModel, ranks), Path.Combine(folder, PeftConfig.FileName));
        DiskWriter.Save(writer, Path.Combine(folder, PeftAdapter.WeightsFile));
    }

    /// <summary>A′ [r, d_in] and B′ [d_out, r] of one core, float32; they belong to the caller's scope.</summary>
    private static (Tensor A, Tensor B) Factors(SharedBasis shared, CoreMatrix core)
    {
        Tensor sigma = tensor(core.Values, [core.RankU, core.RankV]).to(ScalarType.Float64);
        Tensor u = shared.U.to(ScalarType.Float64), vt = shared.V.to(ScalarType.Float64).t();
        var (a, b) = core.RankU < core.RankV ? (sigma.mm(vt), u) : (vt, u.mm(sigma));
        return (a.to(ScalarType.Float32), b.to(ScalarType.Float32));
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
