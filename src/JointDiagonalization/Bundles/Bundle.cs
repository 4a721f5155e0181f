using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;
using TorchSharp;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>
/// A compressed collection on disk: shared bases per cluster and one small core per adapter and module
/// (docs/bundle-format.md). Immutable; safe for concurrent reading.
/// </summary>
public sealed class Bundle : IDisposable
{
    private readonly string _directory;
    private readonly Dictionary<string, BundleAdapter> _adapters;
    private readonly Dictionary<string, BundleModule> _modules;
    private readonly ConcurrentDictionary<string, Lazy<SafetensorsFile>> _coreFiles = new(StringComparer.Ordinal);

    private Bundle(string directory, BundleManifest manifest)
    {
        _directory = directory;
        Manifest = manifest;
        _adapters = manifest.Adapters.ToDictionary(a => a.Id, StringComparer.Ordinal);
        _modules = manifest.Modules.ToDictionary(m => m.Path, StringComparer.Ordinal);
    }

    public BundleManifest Manifest { get; }

    /// <summary>Where it lies.</summary>
    public string Folder => _directory;

    /// <param name="directory">Folder with manifest.json.</param>
    /// <param name="verify">Whether to read every data file and compare its SHA-256; existence is always checked.</param>
    /// <exception cref="BundleFormatException">Missing, altered, or inconsistent.</exception>
    public static Bundle Open(string directory, bool verify = true)
    {
        string path = Path.Combine(directory, BundleManifest.FileName);
        if (!File.Exists(path))
            throw new BundleFormatException(path, "the file is missing; a bundle folder holds a manifest");
        BundleManifest manifest;
        byte[] json;
        try
        {
            json = File.ReadAllBytes(path);
            manifest = JsonSerializer.Deserialize<BundleManifest>(json, BundleManifest.Json)
                ?? throw new BundleFormatException(path, "holds null; an object was expected");
        }
        catch (Exception e) when (e is JsonException or IOException and not BundleFormatException)
        {
            throw new BundleFormatException(path, $"is not a bundle manifest: {e.Message}", e);
        }

        ManifestCheck.Require(manifest, json, path);
        foreach (BundleFile file in manifest.Bases.Select(b => new BundleFile(b.File, b.Sha256)).Concat(manifest.Cores))
            CheckFile(Path.Combine(directory, file.File), file.Sha256, verify);
        return new Bundle(directory, manifest);
    }

    /// <summary>The bases of one cluster by module path, on the CPU in float32. The caller disposes them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such cluster.</exception>
    /// <exception cref="BundleFormatException">The file does not hold what the manifest says.</exception>
    public IReadOnlyDictionary<string, SharedBasis> ReadBasis(int cluster)
    {
        BundleBasis entry = BasisEntry(cluster);
        var bases = new SortedDictionary<string, SharedBasis>(StringComparer.Ordinal);
        try
        {
            foreach (var (module, basis) in StreamBasis(entry))
                bases.Add(module, basis);
            return bases;
        }
        catch
        {
            foreach (SharedBasis basis in bases.Values)
                basis.Dispose();
            throw;
        }
    }

    /// <summary>The same one module at a time, in the manifest's order; the caller disposes each.</summary>
    internal IEnumerable<(string Module, SharedBasis Basis)> StreamBasis(int cluster) => StreamBasis(BasisEntry(cluster));

    /// <summary>The basis of one module in one cluster, or null when that cluster has none there. The caller disposes it.</summary>
    /// <inheritdoc cref="ReadBasis(int)" path="/exception"/>
    public SharedBasis? ReadBasis(int cluster, string module)
    {
        BundleBasis entry = BasisEntry(cluster);
        if (!_modules.TryGetValue(module, out BundleModule? shape) || !entry.Ranks.TryGetValue(module, out int[]? rank))
            return null;
        string path = Path.Combine(_directory, entry.File);
        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            return ReadBasis(file, shape, rank);
        }
        catch (SafetensorsException e)
        {
            throw new BundleFormatException(path, e.Message, e);
        }
    }

    /// <summary>Whether it has an adapter of this id.</summary>
    public bool Contains(string adapterId) => _adapters.ContainsKey(adapterId);

    /// <summary>The cores of one adapter by module path; modules without a basis in its cluster have none.</summary>
    /// <exception cref="KeyNotFoundException">The bundle has no such adapter.</exception>
    /// <exception cref="BundleFormatException">The file does not hold what the manifest says.</exception>
    public IReadOnlyDictionary<string, CoreMatrix> ReadCores(string adapterId) =>
        ReadParts(adapterId, part => part.Core is null ? null : AdapterPart.ReadCore(part.File, part.Core, adapterId));

    /// <summary>The private residuals of one adapter by module path; empty when the bundle has none.</summary>
    /// <inheritdoc cref="ReadCores" path="/exception"/>
    public IReadOnlyDictionary<string, PrivateResidual> ReadResiduals(string adapterId) =>
        ReadParts(adapterId, part => part.Residual is var (p, q) ? AdapterPart.ReadResidual(part.File, p, q, adapterId) : null);

    /// <summary>
    /// The adapter's cores and private residuals as a self-contained safetensors container, to be stored elsewhere and read by
    /// <see cref="Bundles.CoreBlob.Parse(ReadOnlyMemory{byte})"/>.
    /// </summary>
    /// <inheritdoc cref="ReadCores" path="/exception"/>
    public byte[] CoreBlob(string adapterId)
    {
        BundleAdapter adapter = Adapter(adapterId);
        SafetensorsWriter writer = new SafetensorsWriter()
            .Metadata("adapter", adapter.Id)
            .Metadata("cluster", adapter.Cluster.ToString(CultureInfo.InvariantCulture))
            .Metadata("generation", Manifest.Generation)
            .Metadata("digest", adapter.Digest);
        foreach (AdapterPart part in Parts(adapter))
        {
            foreach (TensorEntry tensor in part.Tensors)
                StoredTensor.Copy(part.File, tensor.Name, writer, part.Module + tensor.Name[BundleWriter.CoreName(adapter.Id, part.Module).Length..]);
        }

        return writer.ToArray();
    }

    public BundleAdapter Adapter(string adapterId) =>
        _adapters.TryGetValue(adapterId, out BundleAdapter? adapter) ? adapter : throw new KeyNotFoundException($"the bundle has no adapter '{adapterId}'");

    public void Dispose()
    {
        foreach (Lazy<SafetensorsFile> file in _coreFiles.Values)
        {
            if (file.IsValueCreated)
                file.Value.Dispose();
        }
    }

    private SortedDictionary<string, T> ReadParts<T>(string adapterId, Func<AdapterPart, T?> read)
        where T : class
    {
        var values = new SortedDictionary<string, T>(StringComparer.Ordinal);
        try
        {
            foreach (AdapterPart part in Parts(Adapter(adapterId)))
            {
                if (read(part) is { } value)
                    values.Add(part.Module, value);
            }

            return values;
        }
        catch (SafetensorsException e)
        {
            throw new BundleFormatException(_directory, e.Message, e);
        }
    }

    private IEnumerable<AdapterPart> Parts(BundleAdapter adapter)
    {
        SafetensorsFile file = CoreFile(adapter.CoresFile);
        Dictionary<string, int[]> ranks = Manifest.Bases[adapter.Cluster].Ranks;
        foreach (string module in adapter.Modules)
        {
            if (!_modules.TryGetValue(module, out BundleModule? shape))
                throw new BundleFormatException(file.Source, $"adapter '{adapter.Id}' adapts {module}, which is not in the list of modules");
            yield return AdapterPart.Find(file, adapter, shape, ranks.GetValueOrDefault(module));
        }
    }

    private SafetensorsFile CoreFile(string name)
    {
        string path = Path.Combine(_directory, name);
        try
        {
            return _coreFiles.GetOrAdd(name, _ => new Lazy<SafetensorsFile>(() => SafetensorsFile.Open(path))).Value;
        }
        catch (IOException e)
        {
            throw new BundleFormatException(path, e.Message, e);
        }
    }

    /// <summary>Numbers in bases, cores and residuals; not their scales.</summary>
    internal long CountNumbers()
    {
        long count = 0;
        foreach (string name in Manifest.Bases.Select(b => b.File).Concat(Manifest.Cores.Select(c => c.File)))
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_directory, name));
            count += file.Tensors.Values.Where(t => !t.Name.EndsWith(StoredTensor.ScaleSuffix, StringComparison.Ordinal)).Sum(t => t.Count);
        }

        return count;
    }

    private BundleBasis BasisEntry(int cluster) => Array.Find(Manifest.Bases, b => b.Cluster == cluster)
        ?? throw new ArgumentOutOfRangeException(nameof(cluster), cluster, $"the bundle has {Manifest.Clusters} clusters");

    private IEnumerable<(string Module, SharedBasis Basis)> StreamBasis(BundleBasis entry)
    {
        string path = Path.Combine(_directory, entry.File);
        using SafetensorsFile file = Reading(path, () => SafetensorsFile.Open(path));
        foreach (BundleModule module in Manifest.Modules)
        {
            if (!entry.Ranks.TryGetValue(module.Path, out int[]? rank))
                continue;
            yield return (module.Path, Reading(path, () => ReadBasis(file, module, rank)));
        }
    }

    private static SharedBasis ReadBasis(SafetensorsFile file, BundleModule module, int[] rank) => new(
        ReadMatrix(file, $"{module.Path}.U", module.DOut, rank[0]), ReadMatrix(file, $"{module.Path}.V", module.DIn, rank[1]));

    private static T Reading<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (SafetensorsException e)
        {
            throw new BundleFormatException(path, e.Message, e);
        }
    }

    private static torch.Tensor ReadMatrix(SafetensorsFile file, string name, int rows, int columns)
    {
        TensorEntry entry = file.Entry(name);
        if (entry.Shape is not [var r, var c] || r != rows || c != columns)
            throw new BundleFormatException(file.Source, $"tensor '{name}' is [{string.Join(", ", entry.Shape)}]; [{rows}, {columns}] was expected");
        torch.Tensor matrix = torch.empty([rows, columns], torch.ScalarType.Float32);
        file.ReadFloat32(entry, MemoryMarshal.Cast<byte, float>(matrix.bytes));
        return matrix;
    }

    private static void CheckFile(string path, string sha256, bool verify)
    {
        if (!File.Exists(path))
            throw new BundleFormatException(path, "the file is missing, but the manifest names it");
        if (!verify)
            return;
        using FileStream stream = File.OpenRead(path);
        string actual = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (actual != sha256)
            throw new BundleFormatException(path, $"the SHA-256 is {actual}; the manifest expects {sha256}");
    }
}
