using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>
/// Collects bases and cores module by module, then lays them out cluster by cluster and adapter by adapter. What has been
/// added lies in a spill file, so that memory holds one module while fitting and one file's worth while writing.
/// Everything happens in a temporary sibling of the output, which becomes the bundle in one rename.
/// </summary>
internal sealed class BundleWriter : IDisposable
{
    private const long CoreShardBytes = 64L << 20;
    private const string SpillFile = "spill.tmp";

    private readonly string _output;
    private readonly string _working;
    private readonly DType _dtype;
    private readonly FileStream _spill;
    private readonly Dictionary<(int Cluster, string Module), (Block U, Block V)> _bases = [];
    private readonly Dictionary<(string Adapter, string Module), Block> _cores = [];

    internal BundleWriter(string output, bool overwrite, DType dtype)
    {
        _output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        RequireFree(_output, overwrite);
        _dtype = dtype;
        _working = $"{_output}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(_working);
        _spill = new FileStream(Path.Combine(_working, SpillFile), FileMode.CreateNew, FileAccess.ReadWrite);
    }

    /// <summary>Size of the data files, known after <see cref="Complete"/> wrote them.</summary>
    internal long DataBytes { get; private set; }

    internal static string CoreName(string adapter, string module) => $"{adapter}/{module}";

    /// <exception cref="IOException">The output exists and is not a bundle that may be replaced.</exception>
    internal static void RequireFree(string output, bool overwrite)
    {
        if (File.Exists(output))
            throw new IOException($"the output '{output}' is a file");
        if (!Directory.Exists(output))
            return;
        bool bundle = File.Exists(Path.Combine(output, BundleManifest.FileName));
        if (!bundle && Directory.EnumerateFileSystemEntries(output).Any())
            throw new IOException($"the output folder '{output}' exists and is not a bundle");
        if (bundle && !overwrite)
            throw new IOException($"the bundle '{output}' exists; allow overwriting to replace it");
    }

    internal void AddBasis(int cluster, string module, SharedBasis basis) =>
        _bases.Add((cluster, module), (Spill(basis.U.ToFloats(), basis.OutFeatures, basis.RankU), Spill(basis.V.ToFloats(), basis.InFeatures, basis.RankV)));

    internal void AddCore(string adapter, string module, Sigma core) =>
        _cores.Add((adapter, module), core.IsDiagonal ? Spill(core.Values, core.RankU) : Spill(core.Values, core.RankU, core.RankV));

    /// <summary>Writes the data files; the result still lacks what only the compressor knows.</summary>
    internal (BundleBasis[] Bases, BundleFile[] Cores, IReadOnlyDictionary<string, string> FileOfAdapter) WriteData(
        int clusters, IReadOnlyList<string> adapters, CancellationToken cancellation)
    {
        _spill.Flush();
        var bases = new BundleBasis[clusters];
        for (int c = 0; c < clusters; c++)
        {
            cancellation.ThrowIfCancellationRequested();
            var writer = new SafetensorsWriter();
            var ranks = new Dictionary<string, int[]>(StringComparer.Ordinal);
            foreach (var ((_, module), (u, v)) in _bases.Where(b => b.Key.Cluster == c).OrderBy(b => b.Key.Module, StringComparer.Ordinal))
            {
                Add(writer, $"{module}.U", u);
                Add(writer, $"{module}.V", v);
                ranks.Add(module, [(int)u.Shape[1], (int)v.Shape[1]]);
            }

            BundleFile file = Save(writer, string.Create(CultureInfo.InvariantCulture, $"bases-{c}.safetensors"));
            bases[c] = new BundleBasis(c, file.File, file.Sha256, ranks);
        }

        var (cores, fileOfAdapter) = WriteCores(adapters, cancellation);
        return (bases, cores, fileOfAdapter);
    }

    /// <summary>Writes manifest and report and moves the finished folder to its place.</summary>
    internal void Complete(BundleManifest manifest, CompressionReport report)
    {
        File.WriteAllBytes(Path.Combine(_working, BundleManifest.FileName), manifest.ToJson());
        File.WriteAllBytes(Path.Combine(_working, CompressionReport.FileName), JsonSerializer.SerializeToUtf8Bytes(report, BundleManifest.Json));
        HtmlReport.Write(report, Path.Combine(_working, HtmlReport.FileName));
        _spill.Dispose();
        File.Delete(Path.Combine(_working, SpillFile));
        string retired = $"{_output}.{Guid.NewGuid():N}.old";
        bool replaces = Directory.Exists(_output);
        if (replaces)
            Directory.Move(_output, retired);
        Directory.Move(_working, _output);
        if (replaces)
            Directory.Delete(retired, recursive: true);
    }

    /// <summary>Removes the working folder when the bundle was not completed.</summary>
    public void Dispose()
    {
        _spill.Dispose();
        if (Directory.Exists(_working))
            Directory.Delete(_working, recursive: true);
    }

    private (BundleFile[] Files, Dictionary<string, string> FileOfAdapter) WriteCores(IReadOnlyList<string> adapters, CancellationToken cancellation)
    {
        var byAdapter = _cores.ToLookup(c => c.Key.Adapter, c => (c.Key.Module, Block: c.Value), StringComparer.Ordinal);
        List<BundleFile> files = [];
        var fileOfAdapter = new Dictionary<string, string>(StringComparer.Ordinal);
        var writer = new SafetensorsWriter();
        long pending = 0;
        for (int i = 0; i < adapters.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            string name = string.Create(CultureInfo.InvariantCulture, $"cores-{files.Count:D5}.safetensors");
            fileOfAdapter.Add(adapters[i], name);
            foreach (var (module, block) in byAdapter[adapters[i]])
            {
                Add(writer, CoreName(adapters[i], module), block);
                pending += (long)block.Count * sizeof(float);
            }

            if (pending < CoreShardBytes && i < adapters.Count - 1)
                continue;
            files.Add(Save(writer, name));
            writer = new SafetensorsWriter();
            pending = 0;
        }

        return ([.. files], fileOfAdapter);
    }

    private Block Spill(float[] values, params long[] shape)
    {
        var block = new Block(_spill.Position, values.Length, shape);
        _spill.Write(MemoryMarshal.AsBytes(values.AsSpan()));
        return block;
    }

    private void Add(SafetensorsWriter writer, string name, Block block)
    {
        float[] values = new float[block.Count];
        Span<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
        for (int read = 0; read < bytes.Length;)
        {
            int count = RandomAccess.Read(_spill.SafeFileHandle, bytes[read..], block.Offset + read);
            if (count == 0)
                throw new EndOfStreamException($"the spill file of '{_output}' ends early");
            read += count;
        }

        writer.Add(name, values, block.Shape, StorageType(values));
    }

    /// <summary>A core whose restored norm leaves the range of F16 is stored as F32 (spec/joint-diagonalization.md §9).</summary>
    private DType StorageType(float[] values) =>
        _dtype == DType.F16 && Array.Exists(values, v => Math.Abs(v) > (float)Half.MaxValue) ? DType.F32 : _dtype;

    private BundleFile Save(SafetensorsWriter writer, string name)
    {
        string path = Path.Combine(_working, name);
        writer.Save(path);
        DataBytes += new FileInfo(path).Length;
        using FileStream stream = File.OpenRead(path);
        return new BundleFile(name, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    /// <summary>A row-major float32 tensor in the spill file.</summary>
    private readonly record struct Block(long Offset, int Count, long[] Shape);
}
