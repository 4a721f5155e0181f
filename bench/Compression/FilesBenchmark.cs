using System.Diagnostics;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;

namespace Eigengate.Bench.Compression;

/// <summary>From files to a bundle, by stage; then a newcomer on it.</summary>
internal static class FilesBenchmark
{
    internal static void Run(string work, ModuleSpec[] modules, int adapters, int rank, int clusters, int? figureModules, bool keep, bool newcomer)
    {
        string folder = Path.Combine(work, $"compression-bench-{Environment.ProcessId}");
        string bundle = Path.Combine(folder, "bundle");
        try
        {
            var files = new AdapterFiles(Path.Combine(folder, "adapters"), modules, rank, clusters, noise: 0.5);
            double made = MatrixProduct.Time(() => files.Write(0, adapters));
            double g = MatrixProduct.Seconds();
            string[] folders = [.. PeftAdapter.FindFolders(Path.Combine(folder, "adapters"))];
            var stages = new StageClock();
            CompressionResult result = Compressor.Compress(
                new CompressorOptions { Output = bundle, Clusters = clusters, FigureModules = figureModules }, folders, stages);
            CompressionReport report = result.Report;
            Console.WriteLine($"{adapters} adapters of rank {rank}, {modules.Length} modules, C={clusters}, r=16; files made in {made:F0} s; G = {g:F2} s");
            Console.WriteLine();
            Console.WriteLine($"| adapters | bytes in | bytes out | mean error | {string.Join(" | ", Enum.GetNames<CompressionStage>().Select(s => s.ToLowerInvariant() + " s"))} | total s | ÷ G | peak memory |");
            Console.WriteLine(string.Concat(Enumerable.Repeat("|---", 7 + Enum.GetValues<CompressionStage>().Length)) + "|");
            Console.WriteLine(
                $"| {adapters} | {report.BytesIn / 1e9:F2} GB | {report.BytesOut / 1e9:F2} GB | {report.MeanRelSqError:F4} | {stages} | {report.Seconds:F0} | {report.Seconds / g:F0} | {report.PeakRssBytes / (double)(1 << 30):F2} GiB |");
            Check(bundle, adapters);
            if (newcomer)
                Newcomer(bundle, files, adapters);
        }
        finally
        {
            if (!keep && Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Opens the bundle with all its checksums and reads every adapter's cores.</summary>
    private static void Check(string bundle, int adapters)
    {
        long cores = 0;
        double seconds = MatrixProduct.Time(() =>
        {
            using Bundle open = Bundle.Open(bundle);
            cores = open.Manifest.Adapters.Sum(a => (long)open.ReadCores(a.Id).Count);
            if (open.Manifest.Adapters.Length != adapters)
                throw new InvalidDataException($"the bundle has {open.Manifest.Adapters.Length} adapters; {adapters} were compressed");
        });
        Console.WriteLine();
        Console.WriteLine($"opened with every checksum verified, {cores} cores read: {seconds:F1} s");
    }

    private static void Newcomer(string bundle, AdapterFiles files, int number)
    {
        PeftAdapter adapter = PeftAdapter.Open(files.Write(number, 1)[0]);
        using Bundle open = Bundle.Open(bundle, verify: false);
        Console.WriteLine();
        Console.WriteLine("| placement of a newcomer | seconds | cluster | error |");
        Console.WriteLine("|---|---|---|---|");
        for (int repeat = 0; repeat < 3; repeat++)
        {
            AdapterPlacement? placed = null;
            double seconds = MatrixProduct.Time(() => placed = AdapterPlacer.Place(open, adapter));
            Console.WriteLine($"| {(repeat == 0 ? "first" : "again")} | {seconds:F2} | {placed!.Cluster} | {placed.RelSqError:F4} |");
        }
    }

    /// <summary>Seconds per stage, from the progress reports.</summary>
    private sealed class StageClock : IProgress<CompressionProgress>
    {
        private readonly Dictionary<CompressionStage, double> _seconds = [];
        private long _last = Stopwatch.GetTimestamp();

        public void Report(CompressionProgress value)
        {
            _seconds[value.Stage] = _seconds.GetValueOrDefault(value.Stage) + Stopwatch.GetElapsedTime(_last).TotalSeconds;
            _last = Stopwatch.GetTimestamp();
            if (value.Stage is not (CompressionStage.Reading or CompressionStage.Comparing))
                Console.Error.WriteLine($"{value.Stage} {_seconds[value.Stage]:F1} s: {value.Done} of {value.Total}, {value.Detail} {value.RelSqError:F4}");
        }

        public override string ToString() =>
            string.Join(" | ", Enum.GetValues<CompressionStage>().Select(s => _seconds.GetValueOrDefault(s).ToString("F1")));
    }
}
