using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>What is in a bundle or in a PEFT adapter.</summary>
internal static class InspectCommand
{
    private const int WorstShown = 5;

    private static readonly Argument<string> Folder = new("DIR") { Description = "A bundle, or a PEFT adapter" };
    private static readonly Option<bool> Json = new("--json") { Description = "Machine-readable output" };

    private static readonly JsonSerializerOptions JsonFormat = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public static Command Create()
    {
        var command = new Command("inspect", """
            Describes a bundle (clusters, ranks, errors, sizes, how much of the bases is used) or a PEFT adapter (shapes, rank, scale, spectrum of every module).

            Example:  eigengate inspect my-bundle
            """)
        {
            Folder, Json,
        };
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        string folder = options.GetValue(Folder)!;
        bool json = options.GetValue(Json);
        if (File.Exists(Path.Combine(folder, BundleManifest.FileName)))
            InspectBundle(folder, json, cancel);
        else if (PeftAdapter.FindFolders(folder) is [var adapter])
            InspectAdapter(adapter, json);
        else
            throw new ArgumentException($"'{folder}' is neither a bundle nor a single PEFT adapter");
        return ExitCode.Success;
    }

    private static void InspectBundle(string folder, bool json, CancellationToken cancel)
    {
        using Bundle bundle = Bundle.Open(folder);
        BundleManifest manifest = bundle.Manifest;
        ClusterLine[] clusters = [.. manifest.Bases.Select(b => ClusterLine.Of(manifest, b, Bytes(folder, b.File)))];
        double[] errors = [.. manifest.Adapters.Select(a => a.RelSqError).Order()];
        BundleAdapter[] worst = [.. manifest.Adapters.OrderByDescending(a => a.RelSqError).Take(WorstShown)];
        IReadOnlyList<BasisSpectrum> spectra = BasisSpectrum.ReadAll(bundle, cancel);
        long coreBytes = manifest.Cores.Sum(c => Bytes(folder, c.File));
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(
                new
                {
                    manifest.Generation,
                    manifest.BaseModel,
                    manifest.Method,
                    manifest.Rank,
                    manifest.Residual,
                    manifest.Dtype,
                    manifest.CoreDtype,
                    manifest.Merge,
                    adapters = manifest.Adapters.Length,
                    modules = manifest.Modules,
                    clusters,
                    coreBytes,
                    meanRelSqError = errors.DefaultIfEmpty().Average(),
                    medianRelSqError = Quantile(errors, 0.5),
                    worst = worst.Select(a => new { a.Id, a.Cluster, a.RelSqError }),
                    adapterErrors = manifest.Adapters.Select(a => new { a.Id, a.Cluster, a.Rank, a.Norm, a.RelSqError }),
                    spectra,
                },
                JsonFormat));
            return;
        }

        var summary = new Table { Border = TableBorder.Simple, ShowHeaders = false };
        summary.AddColumns("", "");
        Row("base model", manifest.BaseModel ?? "(adapters disagree)");
        Row("method", $"{manifest.Method}, rank {manifest.Rank[0]} x {manifest.Rank[1]}, private rank {manifest.Residual}, {manifest.Dtype} with cores in {manifest.CoreDtype}");
        Row("generation", manifest.Generation[..16]);
        Row("adapters", $"{manifest.Adapters.Length} in {manifest.Modules.Length} modules");
        Row("bytes", $"{Megabytes(clusters.Sum(c => c.BasisBytes))} of bases, {Megabytes(coreBytes)} of cores and residuals");
        Row("error of adapters", $"median {Percent(Quantile(errors, 0.5))}, nine of ten within {Percent(Quantile(errors, 0.9))}, worst {Percent(Quantile(errors, 1))}");
        Row("worst", string.Join(", ", worst.Select(a => $"{a.Id} {Percent(a.RelSqError)}")));
        AnsiConsole.Write(summary);

        var table = new Table { Border = TableBorder.Simple };
        foreach (string name in (string[])["cluster", "adapters", "mean error", "worst", "modules", "r_U", "r_V", "basis"])
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().PadLeft(0));
        foreach (ClusterLine line in clusters)
        {
            table.AddRow(
                Number(line.Cluster), Number(line.Adapters), Percent(line.MeanRelSqError), Percent(line.WorstRelSqError), Number(line.Modules),
                Range(line.RankU), Range(line.RankV), Megabytes(line.BasisBytes));
        }

        AnsiConsole.Write(table);
        ShowUse(spectra, CompressionReport.TryRead(folder));
        Console.Out.WriteLine("errors: relative squared Frobenius, mean over an adapter's modules; 0 is lossless");

        void Row(string name, string value) => summary.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    /// <summary>How much of the bases the cores use, by kind of module over all layers and clusters.</summary>
    private static void ShowUse(IReadOnlyList<BasisSpectrum> spectra, CompressionReport? report)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn(new TableColumn("modules"));
        foreach (string name in (string[])["mean error", "r_U", "used", "first", "r_V", "used", "first"])
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().PadLeft(0));
        foreach (var kind in spectra.GroupBy(s => KindOf(s.Module)))
        {
            double[] errors = [.. report?.Adapters.SelectMany(a => a.Modules).Where(m => KindOf(m.Key) == kind.Key).Select(m => m.Value) ?? []];
            table.AddRow(
                Markup.Escape(kind.Key), errors.Length == 0 ? "" : Percent(errors.Average()),
                Range([kind.Min(s => s.EnergyU.Length), kind.Max(s => s.EnergyU.Length)]), Short(kind.Average(s => s.EffectiveRankU)), Percent(kind.Average(s => s.EnergyU[0])),
                Range([kind.Min(s => s.EnergyV.Length), kind.Max(s => s.EnergyV.Length)]), Short(kind.Average(s => s.EffectiveRankV)), Percent(kind.Average(s => s.EnergyV[0])));
        }

        AnsiConsole.Write(table);
        Console.Out.WriteLine("used: effective rank, the columns that would hold the cores' energy if all held as much; first: share of the strongest column");

        static string KindOf(string path) => path[(path.LastIndexOf('.') + 1)..];
    }

    private static void InspectAdapter(string folder, bool json)
    {
        PeftAdapter adapter = PeftAdapter.Open(folder);
        ModuleLine[] modules = [.. adapter.Modules.Values.Select(m => ModuleLine.Of(m, adapter.ReadDelta(m.Path)))];
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(new { adapter.Id, adapter.BaseModel, adapter.Rank, bytes = adapter.WeightBytes, modules }, JsonFormat));
            return;
        }

        Console.Out.WriteLine($"{adapter.Id}: LoRA of rank {adapter.Rank} for {adapter.BaseModel ?? "an unnamed base"}, {Megabytes(adapter.WeightBytes)}");
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn(new TableColumn("module"));
        foreach (string name in (string[])["shape", "rank", "scale", "norm", "largest", "90 %", "99 %"])
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().PadLeft(0));
        foreach (ModuleLine line in modules)
        {
            table.AddRow(
                Markup.Escape(line.Path), $"{line.DOut}x{line.DIn}", Number(line.Rank), Short(line.Scale), Short(line.Norm),
                Short(line.SingularValues.FirstOrDefault()), Number(line.RankFor90), Number(line.RankFor99));
        }

        AnsiConsole.Write(table);
        Console.Out.WriteLine("norm: Frobenius, scale included; largest: singular value; 90 %, 99 %: singular values that hold this share of norm²");
    }

    private static double Quantile(double[] sorted, double share) => sorted.Length == 0 ? 0 : sorted[(int)Math.Round(share * (sorted.Length - 1))];

    private static long Bytes(string folder, string file) => new FileInfo(Path.Combine(folder, file)).Length;

    private static string Range(int[] span) => span is [var low, var high] && low != high ? $"{Number(low)}-{Number(high)}" : Number(span[0]);

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Short(double value) => value.ToString("G3", CultureInfo.InvariantCulture);

    private static string Percent(double share) => share.ToString("P1", CultureInfo.InvariantCulture);

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("F1", CultureInfo.InvariantCulture) + " MB";

    /// <summary>One cluster; ranks are the smallest and the largest over its modules.</summary>
    private sealed record ClusterLine(
        int Cluster, int Adapters, double MeanRelSqError, double WorstRelSqError, int Modules, int[] RankU, int[] RankV, long BasisBytes)
    {
        public static ClusterLine Of(BundleManifest manifest, BundleBasis basis, long bytes)
        {
            double[] errors = [.. manifest.Adapters.Where(a => a.Cluster == basis.Cluster).Select(a => a.RelSqError)];
            return new ClusterLine(
                basis.Cluster, errors.Length, errors.DefaultIfEmpty().Average(), errors.DefaultIfEmpty().Max(), basis.Ranks.Count, Span(0), Span(1), bytes);

            int[] Span(int side) => basis.Ranks.Count == 0 ? [0, 0] : [basis.Ranks.Values.Min(r => r[side]), basis.Ranks.Values.Max(r => r[side])];
        }
    }

    /// <summary>One module of an adapter; singular values are those of scale · B · A, falling.</summary>
    private sealed record ModuleLine(
        string Path, int DOut, int DIn, int Rank, double Scale, double Norm, double[] SingularValues, int RankFor90, int RankFor99)
    {
        public static ModuleLine Of(PeftModule module, LoraDelta delta)
        {
            using CanonicalFactors factors = CanonicalFactors.From([(0, delta)]);
            double[] values = factors.Count == 0 ? [] : factors.SingularValues(0);
            return new ModuleLine(
                module.Path, module.OutFeatures, module.InFeatures, module.Rank, module.Scale, factors.Count == 0 ? 0 : factors.Norms[0],
                values, RankFor(values, 0.9), RankFor(values, 0.99));
        }

        private static int RankFor(double[] values, double share)
        {
            double left = share * values.Sum(s => s * s);
            int rank = 0;
            while (rank < values.Length && left > 0)
                left -= values[rank] * values[rank++];
            return rank;
        }
    }
}
