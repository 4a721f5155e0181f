using System.CommandLine;
using System.Globalization;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Revisions;
using Eigengate.Safetensors;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>The next bundle of a collection that has changed.</summary>
internal static class RecompressCommand
{
    private const int MostNamed = 8;

    private static readonly Option<string> Source = new("--bundle") { Description = "The published bundle; it is not changed", HelpName = "OLD", Required = true };
    private static readonly Option<string> Adapters = new("--adapters") { Description = "Folder with all adapters of the new bundle; those that are gone from it are dropped", HelpName = "DIR", Required = true };
    private static readonly Option<string> Out = new("--out") { Description = "Bundle folder to write", HelpName = "NEW", Required = true };
    private static readonly Option<string?> Model = new("--model") { Description = "Base model folder; checks every adapter's names and shapes against it", HelpName = "DIR" };

    private static readonly Option<(int U, int V)?> Rank = new("--rank")
    {
        Description = "Columns of the shared bases [default: as before]",
        HelpName = "N|UxV",
        CustomParser = argument => RankOption.Parse(argument),
    };

    private static readonly Option<int?> Clusters = new("--clusters") { Description = "Number of clusters [default: as before]", HelpName = "N" };
    private static readonly Option<int?> Residual = new("--residual") { Description = "Rank of the private residuals [default: as before]", HelpName = "T" };

    private static readonly Option<string?> Dtype = new Option<string?>("--dtype") { Description = "Storage type of bases, residuals and cores [default: as before]" }
        .OneOf("float32", "bfloat16", "float16");

    private static readonly Option<string?> CoreDtype = new Option<string?>("--core-dtype") { Description = "Storage type of cores alone [default: as before, or as a --dtype that is given]" }
        .OneOf("float32", "bfloat16", "float16", "int8");

    private static readonly Option<int?> Iterations = new("--iterations") { Description = "Upper limit of refinement steps of the final fits [default: as before]", HelpName = "N" };
    private static readonly Option<bool> ColdCheck = new("--cold-check") { Description = "Also compress from nothing, to compare: warm starts stay in old optima. Takes as long again, twice the space meanwhile" };
    private static readonly Option<int?> Threads = new("--threads") { Description = "Compute threads [default: as compress]", HelpName = "N" };
    private static readonly Option<bool> Strict = new("--strict") { Description = "Refuse the whole run when one adapter cannot be used" };
    private static readonly Option<bool> Overwrite = new("--overwrite") { Description = "Replace the bundle in --out" };

    public static Command Create()
    {
        var command = new Command("recompress", """
            Compresses a collection that has changed, starting from its published bundle: newcomers in, leavers out.

            Faster than compress, and with unchanged settings never worse than the old bases are on the same adapters. Adapters keep
            their cluster unless another one is better. Settings are those of the old bundle unless given.

            Example:  eigengate recompress --bundle my-bundle --adapters my-adapters --out my-bundle-2
            """)
        {
            Source, Adapters, Out, Model, Rank, Clusters, Residual, Dtype, CoreDtype, Iterations, ColdCheck, Threads, Strict, Overwrite,
        };
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        string adapters = options.GetValue(Adapters)!;
        IReadOnlyList<string> folders = PeftAdapter.FindFolders(adapters);
        if (folders.Count == 0)
            throw new DirectoryNotFoundException($"no adapter was found in '{adapters}': each subfolder with an adapter_config.json and an adapter_model.safetensors is one");
        using Bundle bundle = Bundle.Open(options.GetValue(Source)!);
        CompressorOptions settings = Settings(options, Recompressor.SettingsOf(bundle.Manifest, options.GetValue(Out)!));
        RecompressionResult? done = null;
        CompressionResult result = CompressionDisplay.Show(
            progress => (done = Recompressor.Recompress(bundle, settings, folders, options.GetValue(ColdCheck), progress, cancel)).Result);
        Summarize(bundle, done!, settings.Output);
        return result.Skipped.Count == 0 ? ExitCode.Success : ExitCode.Partial;
    }

    private static CompressorOptions Settings(ParseResult options, CompressorOptions old) => old with
    {
        RankU = options.GetValue(Rank)?.U ?? old.RankU,
        RankV = options.GetValue(Rank)?.V ?? old.RankV,
        Clusters = options.GetValue(Clusters) ?? old.Clusters,
        Residual = options.GetValue(Residual) ?? old.Residual,
        DType = options.GetValue(Dtype) is { } dtype ? StorageType(dtype) : old.DType,
        CoreDType = options.GetValue(CoreDtype) is { } core ? StorageType(core) : options.GetValue(Dtype) is null ? old.CoreDType : null,
        Iterations = options.GetValue(Iterations) ?? old.Iterations,
        Threads = options.GetValue(Threads),
        Strict = options.GetValue(Strict),
        Overwrite = options.GetValue(Overwrite),
        BaseModelFolder = options.GetValue(Model),
    };

    private static DType StorageType(string name) => name switch { "bfloat16" => DType.BF16, "float16" => DType.F16, "int8" => DType.I8, _ => DType.F32 };

    private static void Summarize(Bundle old, RecompressionResult done, string output)
    {
        foreach (SkippedAdapter skipped in done.Result.Skipped)
            Console.Error.WriteLine($"left out: {skipped.Id}: {skipped.Reason}");
        var report = done.Result.Report;
        int moved = done.Result.Manifest.Adapters.Count(a => old.Contains(a.Id) && !done.Added.Contains(a.Id) && old.Adapter(a.Id).Cluster != a.Cluster);
        var table = new Table { Border = TableBorder.Simple, ShowHeaders = false };
        table.AddColumns("", "");
        Row("adapters", $"{report.Adapters.Length} in {report.Clusters} clusters, basis rank {RankOption.Format(report.Rank[0], report.Rank[1])}");
        Row("new or changed", Named(done.Added));
        Row("dropped", Named(done.Dropped));
        Row("moved to another cluster", moved.ToString(CultureInfo.InvariantCulture));
        Row("error of these adapters", $"{Percent(done.PublishedError)} on the old bases, {Percent(report.MeanRelSqError)} now");
        if (done.ColdError is { } cold)
            Row("from a cold start", $"{Percent(cold)}{(cold < report.MeanRelSqError ? ": compress afresh to get it" : "")}");
        Row("bytes", ByteSize.Format(report.BytesOut));
        Row("time", string.Create(CultureInfo.InvariantCulture, $"{report.Seconds:F1} s, {ByteSize.Format(report.PeakRssBytes)} of memory at most"));
        Row("bundle", $"{output}, generation {done.Result.Manifest.Generation[..16]}");
        AnsiConsole.Write(table);

        void Row(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    private static string Named(IReadOnlyList<string> ids) => ids.Count switch
    {
        0 => "none",
        > MostNamed => string.Create(CultureInfo.InvariantCulture, $"{ids.Count}: {string.Join(", ", ids.Take(MostNamed))}, …"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{ids.Count}: {string.Join(", ", ids)}"),
    };

    private static string Percent(double share) => share.ToString("P2", CultureInfo.InvariantCulture);
}
