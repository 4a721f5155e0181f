using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>PEFT adapter folders in, a bundle out.</summary>
internal static class CompressCommand
{
    private static readonly Option<string> Adapters = new("--adapters") { Description = "Folder whose subfolders are PEFT adapters", HelpName = "DIR", Required = true };
    private static readonly Option<string> Out = new("--out") { Description = "Bundle folder to write", HelpName = "BUNDLE", Required = true };
    private static readonly Option<string?> Model = new("--model") { Description = "Base model folder; checks every adapter's names and shapes against it", HelpName = "DIR" };

    private static readonly Option<string> Method = new Option<string>("--method")
    {
        Description = "full: rank² numbers per adapter and module; diagonal: rank numbers, so a higher rank for the same bytes",
        DefaultValueFactory = _ => "full",
    }.AcceptOnlyFromAmong("full", "diagonal");

    private static readonly Option<(int U, int V)> Rank = new("--rank")
    {
        Description = "Columns of the shared bases, N or UxV; more keeps more and costs U·V numbers per adapter and module. "
            + "Adapters trained from one start share most of V: 32x16 then beats 24",
        HelpName = "N|UxV",
        DefaultValueFactory = _ => (CompressorOptions.DefaultRank, CompressorOptions.DefaultRank),
        CustomParser = ParseRank,
    };

    private static readonly Option<int> Clusters = new("--clusters")
    {
        Description = "Groups of adapters with bases of their own; a node can hold one or several",
        HelpName = "N",
        DefaultValueFactory = _ => CompressorOptions.DefaultClusters,
    };

    private static readonly Option<ulong> Seed = new("--seed") { Description = "The same input and seed give the same bytes", HelpName = "N" };
    private static readonly Option<int?> Iterations = new("--iterations") { Description = "Upper limit of refinement steps of the final fits [default: 10 full, 200 diagonal]", HelpName = "N" };

    private static readonly Option<int> Restarts = new("--restarts") { Description = "Further starts of every fit, the best is kept: the mean product, then random. Helps collections of equal, unrelated groups", HelpName = "N" };
    private static readonly Option<double?> Tolerance = new("--tolerance") { Description = "Stop a fit when a step lowers its error by less than this fraction [default: 1e-3 full, 1e-6 diagonal]", HelpName = "T" };

    private static readonly Option<string> Algorithm = new Option<string>("--algorithm")
    {
        Description = "Step of --method full: krylov is fastest to the limit; exact solves dense eigenproblems; power is the paper's eigen-iteration",
        DefaultValueFactory = _ => "krylov",
    }.AcceptOnlyFromAmong("krylov", "exact", "power");

    private static readonly Option<string> Dtype = new Option<string>("--dtype") { Description = "Storage type of bases and cores", DefaultValueFactory = _ => "float32" }
        .AcceptOnlyFromAmong("float32", "bfloat16", "float16");

    private static readonly Option<string> Device = new Option<string>("--device") { Description = "Where to compute", DefaultValueFactory = _ => "cpu" }
        .AcceptOnlyFromAmong("cpu", "cuda");

    private static readonly Option<int?> Threads = new("--threads") { Description = "Compute threads; by default one for small modules, else all cores. Equal bytes need equal threads", HelpName = "N" };
    private static readonly Option<bool> Strict = new("--strict") { Description = "Refuse the whole run when one adapter cannot be used" };
    private static readonly Option<bool> Overwrite = new("--overwrite") { Description = "Replace the bundle in --out" };

    public static Command Create()
    {
        var command = new Command("compress", """
            Compresses LoRA adapters of one base model by joint diagonalization: B·A ≈ U·Σ·Vᵀ with U and V shared by a cluster.

            Writes a bundle (safetensors and manifest.json) and report.json with every adapter's error. An adapter that cannot be
            used is left out and named, and the exit code is 2.
            """)
        {
            Adapters, Out, Model, Method, Rank, Clusters, Seed, Iterations, Restarts, Tolerance, Algorithm, Dtype, Device, Threads, Strict, Overwrite,
        };
        command.SetAction((options, cancel) => Task.FromResult(Run(options, cancel)));
        return command;
    }

    private static (int U, int V) ParseRank(ArgumentResult argument)
    {
        int[] ranks = [.. argument.Tokens[0].Value.Split('x').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int rank) ? rank : 0)];
        if (ranks.Length is 1 or 2 && ranks.All(rank => rank > 0))
            return (ranks[0], ranks[^1]);
        argument.AddError($"--rank takes N or UxV with positive numbers, such as 24 or 32x16; '{argument.Tokens[0].Value}' is neither");
        return default;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        string adapters = options.GetValue(Adapters)!;
        IReadOnlyList<string> folders = PeftAdapter.FindFolders(adapters);
        if (folders.Count == 0)
            throw new DirectoryNotFoundException($"no adapter was found in '{adapters}': each subfolder with an adapter_config.json and an adapter_model.safetensors is one");

        var settings = new CompressorOptions
        {
            Output = options.GetValue(Out)!,
            Method = options.GetValue(Method) == "diagonal" ? CompressionMethod.Diagonal : CompressionMethod.Full,
            RankU = options.GetValue(Rank).U,
            RankV = options.GetValue(Rank).V,
            Clusters = options.GetValue(Clusters),
            Seed = options.GetValue(Seed),
            Iterations = options.GetValue(Iterations),
            Restarts = options.GetValue(Restarts),
            Tolerance = options.GetValue(Tolerance),
            Algorithm = Enum.Parse<HalfStepMethod>(options.GetValue(Algorithm)!, ignoreCase: true),
            DType = options.GetValue(Dtype) switch { "bfloat16" => DType.BF16, "float16" => DType.F16, _ => DType.F32 },
            Device = options.GetValue(Device)!,
            Threads = options.GetValue(Threads),
            Strict = options.GetValue(Strict),
            Overwrite = options.GetValue(Overwrite),
            BaseModelFolder = options.GetValue(Model),
        };
        CompressionResult result = CompressionDisplay.Show(progress => Compressor.Compress(settings, folders, progress, cancel));
        Summarize(result, settings.Output);
        return result.Skipped.Count == 0 ? ExitCode.Success : ExitCode.Partial;
    }

    private static void Summarize(CompressionResult result, string output)
    {
        foreach (SkippedAdapter skipped in result.Skipped)
            Console.Error.WriteLine($"left out: {skipped.Id}: {skipped.Reason}");

        var report = result.Report;
        var table = new Table { Border = TableBorder.Simple, ShowHeaders = false };
        table.AddColumns("", "");
        Row("adapters", $"{report.Adapters.Length} in {report.Clusters} clusters, basis rank {string.Join("x", report.Rank.Distinct())}");
        Row("mean relative squared error", report.MeanRelSqError.ToString("P2", CultureInfo.InvariantCulture));
        Row("parameters saved", report.ParametersSaved.ToString("P1", CultureInfo.InvariantCulture));
        Row("bytes", $"{Megabytes(report.BytesIn)} in, {Megabytes(report.BytesOut)} out");
        Row("time", $"{report.Seconds:F1} s, {Megabytes(report.PeakRssBytes)} of memory at most");
        Row("worst adapters", string.Join(", ", report.Adapters.OrderByDescending(a => a.RelSqError).Take(3)
            .Select(a => $"{a.Id} {a.RelSqError.ToString("P1", CultureInfo.InvariantCulture)}")));
        Row("bundle", output);
        AnsiConsole.Write(table);

        void Row(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    private static string Megabytes(long bytes) => (bytes / 1e6).ToString("F1", CultureInfo.InvariantCulture) + " MB";
}
