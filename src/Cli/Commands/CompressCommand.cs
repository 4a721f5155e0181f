using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Eigengate.JointDiagonalization;
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
        Description = "full: rank² numbers per adapter and module; diagonal: rank numbers, so a higher rank for the same bytes",
        DefaultValueFactory = _ => "full",
    }.OneOf("full", "diagonal");

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

    private static readonly Option<string> Dtype = new Option<string>("--dtype") { Description = "Storage type of bases and cores", DefaultValueFactory = _ => "float32" }
        .OneOf("float32", "bfloat16", "float16");

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
            An adapter that cannot be used is left out and named, and the exit code is 2.

            Example:  eigengate compress --adapters my-adapters --model my-base --out my-bundle --rank 32 --clusters 8
            """)
        {
            Adapters, Out, Model, Method, Rank, Clusters, Seed, Iterations, Dtype, Device, Threads, Strict, Overwrite, FigureModules, Json,
        };
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
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
            DType = options.GetValue(Dtype) switch { "bfloat16" => DType.BF16, "float16" => DType.F16, _ => DType.F32 },
            Device = options.GetValue(Device)!,
            Threads = options.GetValue(Threads),
            Strict = options.GetValue(Strict),
            Overwrite = options.GetValue(Overwrite),
            BaseModelFolder = options.GetValue(Model),
            FigureModules = options.GetValue(FigureModules),
        };
        bool json = options.GetValue(Json);
        CompressionResult result = CompressionDisplay.Show(json, progress => Compressor.Compress(settings, folders, progress, cancel));
        CompressionSummary.Write(result, settings.Output, json);
        return result.Skipped.Count == 0 ? ExitCode.Success : ExitCode.Partial;
    }
}
