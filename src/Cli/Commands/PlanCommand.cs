using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Planning;
using Eigengate.Safetensors;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>What a bundle will cost, before any adapter is read.</summary>
internal static partial class PlanCommand
{
    private static readonly Option<int> Adapters = new("--adapters") { Description = "Number of adapters", HelpName = "N", Required = true };
    private static readonly Option<string?> Model = new("--model") { Description = "Base model folder, whose file headers give the shapes", HelpName = "DIR" };

    private static readonly Option<string[]> Modules = new("--modules")
    {
        Description = "Adapted modules of --model, by name or path",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => ["q_proj", "k_proj", "v_proj"],
    };

    private static readonly Option<string[]> Shapes = new("--shape")
    {
        Description = "Instead of --model: adapted shapes of one layer, e.g. 4096x4096 1024x4096",
        HelpName = "OUTxIN",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<int> Layers = new("--layers") { Description = "Layers of --shape", HelpName = "N", DefaultValueFactory = _ => 1 };

    private static readonly Option<string> Method = new Option<string>("--method") { Description = "As in compress", DefaultValueFactory = _ => "full" }
        .OneOf("full", "diagonal");

    private static readonly Option<(int U, int V)[]> Ranks = new("--rank")
    {
        Description = "Columns of the shared bases, N or UxV; several are compared",
        HelpName = "N|UxV",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [(CompressorOptions.DefaultRank, CompressorOptions.DefaultRank)],
        CustomParser = RankOption.ParseAll,
    };

    private static readonly Option<int[]> Clusters = new("--clusters")
    {
        Description = "Clusters; several are compared",
        HelpName = "N",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [CompressorOptions.DefaultClusters],
    };

    private static readonly Option<int[]> Residuals = new("--residual")
    {
        Description = "Rank of what each adapter keeps for itself of the remainder; several are compared",
        HelpName = "T",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [0],
    };

    private static readonly Option<int> LoraRank = new("--lora-rank") { Description = "Rank of the adapters as they are", HelpName = "N", DefaultValueFactory = _ => 16 };
    private static readonly Option<string> Dtype = DtypeOption("--dtype", "Storage type of bases, residuals and cores");

    private static readonly Option<string?> CoreDtype = new Option<string?>("--core-dtype")
    {
        Description = "Storage type of cores alone; int8 takes a byte per number and a float32 scale per row",
    }.OneOf("float32", "bfloat16", "float16", "int8");

    private static readonly Option<string> LoraDtype = DtypeOption("--lora-dtype", "Storage type of the adapters as they are");
    private static readonly Option<string?> Memory = new("--memory") { Description = "Says how many adapters fit, e.g. 16GB or 512MiB", HelpName = "SIZE" };
    private static readonly Option<bool> Json = new("--json") { Description = "Machine-readable output" };

    private static readonly JsonSerializerOptions JsonFormat = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
    };

    public static Command Create()
    {
        var command = new Command("plan", """
            Says what compressed adapters will cost in memory, next to the same adapters as they are.

            Pure arithmetic on the model's real shapes; the error that a rank costs depends on the adapters and is measured by compress.

            Example:  eigengate plan --adapters 500 --model my-base --rank 16 32 64 --clusters 1 8 --memory 8GB
            """)
        {
            Adapters, Model, Modules, Shapes, Layers, Method, Ranks, Clusters, Residuals, LoraRank, Dtype, CoreDtype, LoraDtype, Memory, Json,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult options)
    {
        int adapters = options.GetValue(Adapters);
        if (adapters < 1)
            throw new ArgumentException($"--adapters is {adapters}; a positive number was expected");
        long? memory = options.GetValue(Memory) is { } text ? ByteSize.Parse(text) : null;
        IReadOnlyList<ModuleShape> shapes = ShapesOf(options);
        var settings = new PlanSettings
        {
            Method = options.GetValue(Method) == "diagonal" ? CompressionMethod.Diagonal : CompressionMethod.Full,
            LoraRank = options.GetValue(LoraRank),
            DType = DtypeOf(options.GetValue(Dtype)!),
            CoreDType = options.GetValue(CoreDtype) is { } core ? DtypeOf(core) : null,
            LoraDType = DtypeOf(options.GetValue(LoraDtype)!),
        };
        PlanRow[] rows =
        [
            .. from rank in options.GetValue(Ranks)!
               from clusters in options.GetValue(Clusters)!
               from residual in options.GetValue(Residuals)!
               select PlanRow.Of(shapes, settings with { RankU = rank.U, RankV = rank.V, Clusters = clusters, Residual = residual }, adapters, memory),
        ];
        if (options.GetValue(Json))
            Console.Out.WriteLine(JsonSerializer.Serialize(new { modules = shapes.Count, adapters, memory_bytes = memory, plans = rows }, JsonFormat));
        else
            Show(rows, shapes.Count, adapters, settings.LoraRank, memory);
        return ExitCode.Success;
    }

    private static void Show(PlanRow[] rows, int modules, int adapters, int loraRank, long? memory)
    {
        AnsiConsole.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"{adapters:N0} adapters of rank {loraRank} in {modules} modules: {ByteSize.Format(rows[0].PlainBytes)} as they are");
        var table = new Table { Border = TableBorder.Simple };
        foreach (string name in (string[])["rank", "C", "t", "bases", "adapter", "together", "saved", "each", "plain"])
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().PadLeft(0));
        if (memory is not null)
            table.AddColumn(new TableColumn("fit").RightAligned().NoWrap().PadLeft(0));
        foreach (PlanRow row in rows)
        {
            List<string> cells =
            [
                RankOption.Format(row.Rank[0], row.Rank[1]), Text($"{row.Clusters}"), Text($"{row.Residual}"), ByteSize.Format(row.BasisBytes), ByteSize.Format(row.AdapterBytes), ByteSize.Format(row.TotalBytes),
                Text($"{row.ParametersSaved:P1}"), Text($"{row.ParametersSavedPerAdapter:P1}"), Text($"{row.PlainEquivalent:F1}"),
            ];
            if (row.AdaptersThatFit is { } fit)
                cells.Add(Text($"{fit:N0}"));
            table.AddRow([.. cells]);
        }

        AnsiConsole.Write(table);
        AnsiConsole.WriteLine("C, t: clusters, rank of the private residual; saved, each: numbers saved against A and B, with bases and without; plain: uncompressed adapters of as many numbers");
        if (memory is { } limit)
            AnsiConsole.WriteLine(Text($"fit: compressed adapters in {ByteSize.Format(limit)}, where {rows[0].PlainAdaptersThatFit:N0} fit as they are"));
    }

    private static IReadOnlyList<ModuleShape> ShapesOf(ParseResult options)
    {
        string? model = options.GetValue(Model);
        string[] shapes = options.GetValue(Shapes) ?? [];
        if ((model is null) == (shapes.Length == 0))
            throw new ArgumentException("a plan needs either --model or --shape");
        return model is not null
            ? ModuleSelection.Choose(BaseShapes.Read(model), options.GetValue(Modules)!)
            : [.. Enumerable.Repeat(shapes.Select(ParseShape), options.GetValue(Layers)).SelectMany(layer => layer)];
    }

    private static ModuleShape ParseShape(string text)
    {
        Match match = Shape().Match(text);
        return match.Success && int.TryParse(match.Groups[1].ValueSpan, out int rows) && int.TryParse(match.Groups[2].ValueSpan, out int columns) && rows > 0 && columns > 0
            ? new ModuleShape(rows, columns)
            : throw new ArgumentException($"the shape '{text}' was not understood; d_out x d_in like 1024x4096 was expected");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static Option<string> DtypeOption(string name, string description) =>
        new Option<string>(name) { Description = description, DefaultValueFactory = _ => "float32" }.OneOf("float32", "bfloat16", "float16");

    private static DType DtypeOf(string name) => name switch { "bfloat16" => DType.BF16, "float16" => DType.F16, "int8" => DType.I8, _ => DType.F32 };

    [GeneratedRegex(@"\A(\d+)x(\d+)\z")]
    private static partial Regex Shape();

    /// <summary>One line of the table and of the JSON; bytes are bytes, shares are of 1.</summary>
    private sealed record PlanRow(
        int[] Rank,
        int Clusters,
        int Residual,
        long BasisBytes,
        long AdapterBytes,
        long TotalBytes,
        long PlainBytes,
        double ParametersSaved,
        double ParametersSavedPerAdapter,
        double PlainEquivalent,
        long PlainAdapters,
        long? AdaptersThatFit,
        long? PlainAdaptersThatFit)
    {
        public static PlanRow Of(IReadOnlyCollection<ModuleShape> shapes, PlanSettings settings, int adapters, long? memory)
        {
            var plan = new MemoryPlan(shapes, settings);
            return new PlanRow(
                [settings.RankU, settings.RankV],
                settings.Clusters,
                settings.Residual,
                plan.BasisBytes(adapters),
                plan.AdapterBytes,
                plan.TotalBytes(adapters),
                adapters * plan.LoraBytes,
                plan.Saved(adapters),
                plan.SavedPerAdapter,
                plan.PlainEquivalent(adapters),
                plan.PlainAdapters(adapters),
                memory is { } bytes ? plan.AdaptersIn(bytes) : null,
                memory is { } limit ? plan.PlainAdaptersIn(limit) : null);
        }
    }
}
