using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;
using Eigengate.JointDiagonalization.Revisions;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>How well adapters that were not compressed with a bundle fit on it.</summary>
internal static class ProjectCommand
{
    private const double DefaultThreshold = 0.1;

    private static readonly Option<string> Source = new("--bundle") { Description = "Bundle folder", HelpName = "BUNDLE", Required = true };
    private static readonly Option<string> Adapter = new("--adapter") { Description = "PEFT adapter folder, or a folder of such", HelpName = "DIR", Required = true };

    private static readonly Option<double> Threshold = new("--threshold")
    {
        Description = "Largest mean relative squared error of an adapter that may be served compressed",
        HelpName = "E",
        DefaultValueFactory = _ => DefaultThreshold,
    };

    private static readonly Option<string?> Out = new("--out") { Description = "Bundle to write: everything of --bundle, byte for byte, and the adapters within the threshold", HelpName = "BUNDLE" };
    private static readonly Option<bool> Overwrite = new("--overwrite") { Description = "Replace the bundle in --out" };
    private static readonly Option<bool> Json = new("--json") { Description = "Machine-readable output" };

    private static readonly JsonSerializerOptions JsonFormat = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public static Command Create()
    {
        var command = new Command("project", """
            Places new adapters on a bundle: the best cluster, the error there, and whether to serve them compressed or exactly.

            The bases were not fitted to a newcomer, so its error is higher than it will be once it is compressed with the others.
            Without --out nothing is written. Adapters that the bundle has already are tried but not added.

            Example:  eigengate project --bundle my-bundle --adapter new-adapters --out my-bundle-2
            """)
        {
            Source, Adapter, Threshold, Out, Overwrite, Json,
        };
        // On another thread: Ctrl+C is heeded only once this call has returned a task.
        command.SetAction((options, cancel) => Task.Run(() => Run(options, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult options, CancellationToken cancel)
    {
        double threshold = options.GetValue(Threshold);
        if (threshold is not (>= 0 and <= 1))
            throw new ArgumentException($"--threshold is {threshold.ToString(CultureInfo.InvariantCulture)}; a number from 0 (lossless) to 1 (nothing kept) was expected");
        string root = options.GetValue(Adapter)!;
        IReadOnlyList<string> folders = PeftAdapter.FindFolders(root);
        if (folders.Count == 0)
            throw new DirectoryNotFoundException($"no adapter was found in '{root}'");

        using Bundle bundle = Bundle.Open(options.GetValue(Source)!);
        List<AdapterPlacement> placements = [];
        List<AddedAdapter> added = [];
        string? output = options.GetValue(Out);
        bool leftOut = false;
        foreach (string folder in folders)
        {
            try
            {
                PeftAdapter adapter = PeftAdapter.Open(folder);
                AdapterPlacement placement = AdapterPlacer.Place(bundle, adapter, cancel);
                placements.Add(placement);
                if (output is not null && placement.IsWithin(threshold) && !bundle.Contains(adapter.Id))
                    added.Add(AdapterPlacer.Realise(bundle, adapter, placement, cancel));
            }
            catch (AdapterFormatException e) when (folders.Count > 1)
            {
                leftOut = true;
                Console.Error.WriteLine($"left out: {e.Adapter}: {e.Problem}");
            }
        }

        BundleManifest? written = output is null || added.Count == 0 ? null : BundleExtension.Write(bundle, added, output, options.GetValue(Overwrite), cancel);
        if (options.GetValue(Json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(
                new { threshold, adapters = placements.Select(p => Described(p, threshold)), added = added.Select(a => a.Id), written?.Generation }, JsonFormat));
        }
        else if (folders.Count == 1)
            ShowModules(placements[0], threshold);
        else
            ShowAll(placements, threshold);
        if (output is not null && !options.GetValue(Json))
        {
            Console.Out.WriteLine(written is null
                ? "no bundle was written: there is nothing to add"
                : $"bundle {output}, generation {written.Generation[..16]}, {written.Adapters.Length} adapters, {added.Count} of them new");
        }

        return leftOut ? ExitCode.Partial : ExitCode.Success;
    }

    private static object Described(AdapterPlacement placement, double threshold) => new
    {
        id = placement.Adapter,
        placement.Cluster,
        placement.RelSqError,
        verdict = Verdict(placement, threshold),
        placement.Modules,
        placement.WithoutBasis,
    };

    private static void ShowModules(AdapterPlacement placement, double threshold)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns(new TableColumn("module"), new TableColumn("error").RightAligned());
        foreach (var (module, error) in placement.Modules)
            table.AddRow(Markup.Escape(module), placement.WithoutBasis.Contains(module) ? "no basis" : Percent(error));
        AnsiConsole.Write(table);
        Console.Out.WriteLine(
            $"{placement.Adapter}: mean relative squared error {Percent(placement.RelSqError)} on cluster {placement.Cluster}: {Verdict(placement, threshold)} (threshold {Percent(threshold)})");
    }

    private static void ShowAll(List<AdapterPlacement> placements, double threshold)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns(new TableColumn("adapter"), new TableColumn("cluster").RightAligned(), new TableColumn("error").RightAligned(), new TableColumn("verdict"));
        foreach (AdapterPlacement placement in placements)
        {
            table.AddRow(
                Markup.Escape(placement.Adapter),
                placement.Cluster.ToString(CultureInfo.InvariantCulture),
                Percent(placement.RelSqError),
                Verdict(placement, threshold));
        }

        AnsiConsole.Write(table);
        Console.Out.WriteLine($"{placements.Count(p => p.IsWithin(threshold))} of {placements.Count} within {Percent(threshold)}");
    }

    private static string Verdict(AdapterPlacement placement, double threshold) => placement.IsWithin(threshold) ? "compressed" : "exact";

    private static string Percent(double share) => share.ToString("P2", CultureInfo.InvariantCulture);
}
