using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
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
    private readonly ConcurrentDictionary<string, Lazy<SafetensorsFile>> _coreFiles = new(StringComparer.Ordinal);

    private Bundle(string directory, BundleManifest manifest)
    {
        _directory = directory;
        Manifest = manifest;
        _adapters = manifest.Adapters.ToDictionary(a => a.Id, StringComparer.Ordinal);
    }

    public BundleManifest Manifest { get; }

    /// <param name="directory">Folder with manifest.json.</param>
    /// <param name="verify">Whether to read every data file and compare its SHA-256; existence is always checked.</param>
    /// <exception cref="BundleFormatException">Missing, altered, or inconsistent.</exception>
    public static Bundle Open(string directory, bool verify = true)
    {
        string path = Path.Combine(directory, BundleManifest.FileName);
        if (!File.Exists(path))
            throw new BundleFormatException(path, "the file is missing; a bundle folder holds a manifest");
        BundleManifest manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<BundleManifest>(File.ReadAllBytes(path), BundleManifest.Json)
                ?? throw new BundleFormatException(path, "holds null; an object was expected");
        }
        catch (Exception e) when (e is JsonException or IOException and not BundleFormatException)
        {
            throw new BundleFormatException(path, $"is not a bundle manifest: {e.Message}", e);
        }

        ManifestCheck.Require(manifest, path);
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

    /// <summary>The cores of one adapter by module path.</summary>
    /// <exception cref="KeyNotFoundException">The bundle has no such adapter.</exception>
    /// <exception cref="BundleFormatException">The file does not hold what the manifest says.</exception>
    public IReadOnlyDictionary<string, CoreMatrix> ReadCores(string adapterId)
    {
        var cores = new SortedDictionary<string, CoreMatrix>(StringComparer.Ordinal);
        foreach (var (module, file, tensor) in CoreEntries(Adapter(adapterId)))
            cores.Add(module, Bundles.CoreBlob.ReadCore(file, tensor, adapterId));
        return cores;
    }

    /// <summary>
    /// The adapter's cores as a self-contained safetensors container, to be stored elsewhere and read by
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
        foreach (var (module, file, tensor) in CoreEntries(adapter))
            writer.AddRaw(module, tensor.DType, tensor.Shape, file.Bytes(tensor).ToArray());
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

    private IEnumerable<(string Module, SafetensorsFile File, TensorEntry Tensor)> CoreEntries(BundleAdapter adapter)
    {
        SafetensorsFile file = CoreFile(adapter.CoresFile);
        Dictionary<string, int[]> ranks = Array.Find(Manifest.Bases, b => b.Cluster == adapter.Cluster)!.Ranks;
        foreach (string module in adapter.Modules)
        {
            string name = BundleWriter.CoreName(adapter.Id, module);
            if (!file.Tensors.TryGetValue(name, out TensorEntry? tensor))
                throw new BundleFormatException(file.Source, $"tensor '{name}' is missing");
            if (!ranks.TryGetValue(module, out int[]? rank) || !Fits(tensor.Shape, rank))
            {
                throw new BundleFormatException(
                    file.Source, $"tensor '{name}' is [{string.Join(", ", tensor.Shape)}]; the basis of cluster {adapter.Cluster} has [{string.Join(", ", rank ?? [])}]");
            }

            yield return (module, file, tensor);
        }
    }

    /// <summary>[r_U, r_V], or a diagonal [r] on a basis of r and r columns.</summary>
    private static bool Fits(ReadOnlySpan<long> shape, int[] rank) => shape switch
    {
        [var r] => r == rank[0] && r == rank[1],
        [var u, var v] => u == rank[0] && v == rank[1],
        _ => false,
    };

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
            yield return (module.Path, Reading(path, () => new SharedBasis(
                ReadMatrix(file, $"{module.Path}.U", module.DOut, rank[0]), ReadMatrix(file, $"{module.Path}.V", module.DIn, rank[1]))));
        }
    }

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
