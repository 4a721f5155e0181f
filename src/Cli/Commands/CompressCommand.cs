using System.CommandLine;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Choosing;
using Eigengate.JointDiagonalization.Fitting;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.Safetensors;

namespace Eigengate.Cli.Commands;

/// <summary>PEFT adapter folders in, a bundle out.</summary>
internal static class CompressCommand
{
    private static readonly Option<string> Adapters = new("--adapters") { Description = "Folder whose subfolders are PEFT adapters", HelpName = "DIR", Required = true };
    private static readonly Option<string> Out = new("--out") { Description = "Bundle folder to write", HelpName = "BUNDLE", Required = true };
    private static readonly Option<string?> Model = new("--model") { Description = "Base model folder; checks every adapter's names and shapes against it", HelpName = "DIR" };

    private static readonly Option<string> Method = new Option<string>("--method")
    {
        Description = "full: rank² numbers per adapter and module; diagonal: rank numbers, so a higher rank for the same bytes; "
            + "svd: each adapter alone, cut to the rank; ties: all merged into one adapter, a baseline",
        DefaultValueFactory = _ => "full",
    }.OneOf("full", "diagonal", "svd", "ties");

    private static readonly Option<(int U, int V)> Rank = new("--rank")
    {
        Description = "Columns of the shared bases, N or UxV; more keeps more and costs U·V numbers per adapter and module. "
            + "Adapters trained from one start share most of V: 32x16 then beats 24",
        HelpName = "N|UxV",
        DefaultValueFactory = _ => (CompressorOptions.DefaultRank, CompressorOptions.DefaultRank),
        CustomParser = RankOption.Parse,
    };

    private static readonly Option<int> Residual = new("--residual") { Description = "Singular pairs of what the core misses, kept for each adapter and module: t·(d_out + d_in) numbers", HelpName = "T" };
    private static readonly Option<double> Keep = new("--keep") { Description = "With ties: share of each adapter's largest entries that is merged", HelpName = "K", DefaultValueFactory = _ => CompressorOptions.DefaultKeep };
    private static readonly Option<double> Scale = new("--scale") { Description = "With ties: what the merge is multiplied by", HelpName = "L", DefaultValueFactory = _ => 1 };

    private static readonly Option<ulong> Seed = new("--seed") { Description = "The same input and seed give the same bytes", HelpName = "N" };
    private static readonly Option<int?> Iterations = new("--iterations") { Description = "Upper limit of refinement steps of the final fits [default: 10 full, 200 diagonal]", HelpName = "N" };

    private static readonly Option<int> Restarts = new("--restarts") { Description = "Further starts of every fit, the best is kept: the mean product, then random. Helps collections of equal, unrelated groups", HelpName = "N" };
    private static readonly Option<double?> Tolerance = new("--tolerance") { Description = "Stop a fit when a step lowers its error by less than this fraction [default: 1e-3 full, 1e-6 diagonal]", HelpName = "T" };

    private static readonly Option<string> Algorithm = new Option<string>("--algorithm")
    {
        Description = "Step of --method full: krylov is fastest to the limit; exact solves dense eigenproblems; power is the paper's eigen-iteration",
        DefaultValueFactory = _ => "krylov",
    }.AcceptOnlyFromAmong("krylov", "exact", "power");

    private static readonly Option<string> Dtype = new Option<string>("--dtype") { Description = "Storage type of bases, residuals and cores", DefaultValueFactory = _ => "float32" }
        .OneOf("float32", "bfloat16", "float16");

    private static readonly Option<string?> CoreDtype = new Option<string?>("--core-dtype") { Description = "Storage type of cores alone [default: as --dtype]; int8 has a scale for each row" }
        .OneOf("float32", "bfloat16", "float16", "int8");

    private static readonly Option<string> Device = new Option<string>("--device") { Description = "Where to compute", DefaultValueFactory = _ => "cpu" }
        .OneOf("cpu", "cuda");

    private static readonly Option<int?> Threads = new("--threads") { Description = "Compute threads; by default one for small modules, else all cores. Equal bytes need equal threads", HelpName = "N" };
    private static readonly Option<bool> Strict = new("--strict") { Description = "Refuse the whole run when one adapter cannot be used" };
    private static readonly Option<bool> Overwrite = new("--overwrite") { Description = "Replace the bundle in --out" };

    private static readonly Option<int?> FigureModules = new("--figure-modules")
    {
        Description = "Modules on which report.html shows the error at other ranks and clusters; 0 leaves that figure out [default: up to 4, fewer when they are large]",
        HelpName = "N",
    };

    private static readonly Option<bool> Json = new("--json") { Description = "Machine-readable: progress as JSON lines on standard error, one summary object on standard output" };

    public static Command Create()
    {
        var command = new Command("compress", """
            Compresses LoRA adapters of one base model by joint diagonalization: B·A ≈ U·Σ·Vᵀ with U and V shared by a cluster.

            Writes a bundle (safetensors and manifest.json), report.json with every adapter's error and report.html with pictures.
            An adapter that cannot be used is left out and named, and the exit code is 2; so it is when --target-error or
            --budget-bytes was missed. Ctrl+C leaves nothing behind; a run that was killed is continued by the next one of the same
            adapters and settings.

            Example:  eigengate compress --adapters my-adapters --model my-base --out my-bundle --rank 32 --clusters 8
            """)
        {
            Adapters, Out, Model, Method, Rank, Residual, GoalOptions.Clusters, GoalOptions.TargetError, GoalOptions.Budget, Seed, Iterations, Restarts, Tolerance, Algorithm, Keep, Scale,
            Dtype, CoreDtype, Device, Threads, Strict, Overwrite, FigureModules, Json,
        };
        // On another thread: Ctrl+C is heeded only once this call has returned a task.
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
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
            Method = Enum.Parse<CompressionMethod>(options.GetValue(Method)!, ignoreCase: true),
            RankU = options.GetValue(Rank).U,
            RankV = options.GetValue(Rank).V,
            Residual = options.GetValue(Residual),
            Keep = options.GetValue(Keep),
            MergeScale = options.GetValue(Scale),
            Clusters = options.GetValue(GoalOptions.Clusters).Stated ?? CompressorOptions.DefaultClusters,
            Seed = options.GetValue(Seed),
            Iterations = options.GetValue(Iterations),
            Restarts = options.GetValue(Restarts),
            Tolerance = options.GetValue(Tolerance),
            Algorithm = Enum.Parse<HalfStepMethod>(options.GetValue(Algorithm)!, ignoreCase: true),
            DType = StorageType(options.GetValue(Dtype)!),
            CoreDType = options.GetValue(CoreDtype) is { } coreDtype ? StorageType(coreDtype) : null,
            Device = options.GetValue(Device)!,
            Threads = options.GetValue(Threads),
            Strict = options.GetValue(Strict),
            Overwrite = options.GetValue(Overwrite),
            BaseModelFolder = options.GetValue(Model),
            FigureModules = options.GetValue(FigureModules),
        };
        bool json = options.GetValue(Json);
        if (GoalOptions.GoalOf(options, Rank, Residual) is { } goal)
            return RunFor(goal, settings, folders, json, cancel);
        CompressionResult result = CompressionDisplay.Show(progress => Compressor.Compress(settings, folders, progress, cancel), json);
        CompressionSummary.Write(result, settings.Output, json);
        return result.Skipped.Count == 0 ? ExitCode.Success : ExitCode.Partial;
    }

    private static int RunFor(CompressionGoal goal, CompressorOptions settings, IReadOnlyList<string> folders, bool json, CancellationToken cancel)
    {
        GoalResult? done = null;
        CompressionResult result = CompressionDisplay.Show(
            progress => (done = GoalCompressor.Compress(settings, goal, folders, progress: progress, cancellation: cancel)).Result, json);
        if (!json)
        {
            foreach (Choice choice in done!.Choices)
                GoalOptions.Show(choice);
        }

        CompressionSummary.Write(result, settings.Output, json, done);
        if (!json)
            Console.Out.WriteLine(GoalOptions.Outcome(done!, goal));
        return result.Skipped.Count == 0 && done!.Met ? ExitCode.Success : ExitCode.Partial;
    }

    private static DType StorageType(string name) => name switch { "bfloat16" => DType.BF16, "float16" => DType.F16, "int8" => DType.I8, _ => DType.F32 };
}
