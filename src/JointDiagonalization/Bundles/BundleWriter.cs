using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Eigengate.JointDiagonalization.Reports;
using Eigengate.JointDiagonalization.Runs;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>
/// Lays finished modules out cluster by cluster and adapter by adapter (docs/bundle-format.md). Tensors are copied as they
/// are; memory holds one file's worth.
/// </summary>
/// <param name="folder">Where the files go.</param>
/// <param name="modules">Paths, in the order of <paramref name="finished"/>.</param>
/// <param name="finished">The fitted modules.</param>
internal sealed class BundleWriter(string folder, IReadOnlyList<string> modules, IReadOnlyList<FinishedModule> finished)
{
    private const long CoreShardBytes = 64L << 20;

    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);

    /// <summary>Size of the data files so far.</summary>
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

    /// <summary>Copies the data files of a published bundle as they are; cores that are written then go to files of their own.</summary>
    internal void TakeOver(Bundle bundle, CancellationToken cancellation)
    {
        foreach (string name in bundle.Manifest.Bases.Select(b => b.File).Concat(bundle.Manifest.Cores.Select(c => c.File)))
        {
            cancellation.ThrowIfCancellationRequested();
            DiskWriter.Copy(Path.Combine(bundle.Folder, name), Path.Combine(folder, name));
            DataBytes += new FileInfo(Path.Combine(folder, name)).Length;
            _taken.Add(name);
        }
    }

    internal BundleBasis[] WriteBases(int clusters, CancellationToken cancellation)
    {
        var bases = new BundleBasis[clusters];
        for (int c = 0; c < clusters; c++)
        {
            cancellation.ThrowIfCancellationRequested();
            var writer = new SafetensorsWriter();
            var ranks = new Dictionary<string, int[]>(StringComparer.Ordinal);
            for (int m = 0; m < modules.Count; m++)
            {
                if (finished[m].CopyBasis(c, writer, modules[m]) is { } rank)
                    ranks.Add(modules[m], rank);
            }

            BundleFile file = Save(writer, string.Create(CultureInfo.InvariantCulture, $"bases-{c}.safetensors"));
            bases[c] = new BundleBasis(c, file.File, file.Sha256, ranks);
        }

        return bases;
    }

    /// <summary>Whole adapters in files of about 64 MiB.</summary>
    /// <returns>The files, and the one that each adapter is in.</returns>
    internal (BundleFile[] Files, string[] FileOfAdapter) WriteCores(IReadOnlyList<string> adapters, CancellationToken cancellation)
    {
        List<BundleFile> files = [];
        string[] fileOfAdapter = new string[adapters.Count];
        var writer = new SafetensorsWriter();
        for (int i = 0; i < adapters.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            fileOfAdapter[i] = FreeCoresFile();
            for (int m = 0; m < modules.Count; m++)
                finished[m].CopyProduct(i, writer, CoreName(adapters[i], modules[m]));
            if (writer.DataBytes < CoreShardBytes && i < adapters.Count - 1)
                continue;
            files.Add(Save(writer, fileOfAdapter[i]));
            _taken.Add(fileOfAdapter[i]);
            writer = new SafetensorsWriter();
        }

        return ([.. files], fileOfAdapter);
    }

    internal void WriteDescription(BundleManifest manifest, CompressionReport? report)
    {
        DiskWriter.Save(manifest.ToJson(), Path.Combine(folder, BundleManifest.FileName));
        if (report is null)
            return;
        DiskWriter.Save(JsonSerializer.SerializeToUtf8Bytes(report, BundleManifest.Json), Path.Combine(folder, CompressionReport.FileName));
        DiskWriter.Save(Encoding.UTF8.GetBytes(HtmlReport.Render(report)), Path.Combine(folder, HtmlReport.FileName));
    }

    /// <summary>The first name of a file of cores that is not in use.</summary>
    private string FreeCoresFile()
    {
        for (int number = 0; ; number++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"cores-{number:D5}.safetensors");
            if (!_taken.Contains(name))
                return name;
        }
    }

    private BundleFile Save(SafetensorsWriter writer, string name)
    {
        string path = Path.Combine(folder, name);
        DiskWriter.Save(writer, path);
        DataBytes += new FileInfo(path).Length;
        using FileStream stream = File.OpenRead(path);
        return new BundleFile(name, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }
}
