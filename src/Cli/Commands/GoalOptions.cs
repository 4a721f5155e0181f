using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Choosing;
using Spectre.Console;

namespace Eigengate.Cli.Commands;

/// <summary>The options of compress that leave settings to be chosen, and what is shown of a choice.</summary>
internal static class GoalOptions
{
    public static readonly Option<double?> TargetError = new("--target-error")
    {
        Description = "Instead of a rank: the smallest bundle whose mean relative squared error is at most this, e.g. 0.05",
        HelpName = "E",
    };

    public static readonly Option<string?> Budget = new("--budget-bytes")
    {
        Description = "Instead of a rank: the least error in a bundle of at most this size, e.g. 512MB or 2GiB",
        HelpName = "SIZE",
    };

    public static readonly Option<ClusterCount> Clusters = new("--clusters")
    {
        Description = "Groups of adapters with bases of their own, or auto; a node can hold one or several",
        HelpName = "N|auto",
        DefaultValueFactory = _ => new ClusterCount(CompressorOptions.DefaultClusters),
        CustomParser = ParseClusters,
    };

    /// <summary>What is to be chosen, or null when everything is stated. Options that the user gave himself are kept.</summary>
    public static CompressionGoal? GoalOf(ParseResult options, Option<(int U, int V)> rank, Option<int> residual)
    {
        long? budget = options.GetValue(Budget) is { } size ? ByteSize.Parse(size) : null;
        double? target = options.GetValue(TargetError);
        bool auto = options.GetValue(Clusters).Stated is null;
        if (target is null && budget is null)
            return auto ? new CompressionGoal { Rank = options.GetValue(rank), Residual = options.GetValue(residual) } : null;
        return new CompressionGoal
        {
            TargetError = target,
            BudgetBytes = budget,
            Rank = options.GetResult(rank) is { Implicit: false } ? options.GetValue(rank) : null,
            Residual = options.GetResult(residual) is { Implicit: false } ? options.GetValue(residual) : null,
            Clusters = options.GetResult(Clusters) is { Implicit: false } ? options.GetValue(Clusters).Stated : null,
        };
    }

    public static void Show(Choice choice)
    {
        AnsiConsole.MarkupLineInterpolated(
            CultureInfo.InvariantCulture,
            $"Read {choice.SampledModules.Count} of {choice.Modules} modules, compared {choice.Compared} settings, fitted {choice.Considered.Count(s => s.Fitted)}.");
        var table = new Table { Border = TableBorder.Simple };
        foreach (string name in (string[])["rank", "clusters", "residual", "expected error", "from", "size", ""])
            table.AddColumn(new TableColumn(name).RightAligned().NoWrap().PadLeft(0));
        foreach (ConsideredSetting considered in choice.Considered)
        {
            CompressionSetting setting = considered.Setting;
            table.AddRow(
                RankOption.Format(setting.RankU, setting.RankV), Number(setting.Clusters), Number(setting.Residual),
                considered.Error.ToString("P2", CultureInfo.InvariantCulture), considered.Fitted ? "fit" : "spectra", ByteSize.Format(considered.Bytes),
                setting == choice.Chosen.Setting ? "chosen" : "");
        }

        AnsiConsole.Write(table);
        foreach (string reason in choice.Reasons)
            Console.Out.WriteLine(reason);
    }

    /// <summary>What was promised against what was written.</summary>
    public static string Outcome(GoalResult goal, CompressionGoal asked)
    {
        var report = goal.Result.Report;
        string reached = $"error {Percent(report.MeanRelSqError)} (expected {Percent(goal.Choices[^1].Chosen.Error)}), {ByteSize.Format(report.BytesOut)}";
        string gap = report.CertifiedGap is { } g ? $"; at most {Percent(g)} of error above the best possible for these ranks and clusters" : "";
        string wanted = asked.TargetError is { } target ? $"target {Percent(target)}: " : asked.BudgetBytes is { } budget ? $"budget {ByteSize.Format(budget)}: " : "";
        string verdict = wanted.Length == 0 ? "" : goal.Met ? "met with " : "MISSED with ";
        return $"{wanted}{verdict}{reached}{gap}";
    }

    private static ClusterCount ParseClusters(ArgumentResult argument)
    {
        string text = argument.Tokens[0].Value;
        if (text == "auto")
            return new ClusterCount(null);
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int clusters) && clusters > 0)
            return new ClusterCount(clusters);
        argument.AddError($"--clusters takes a positive number or auto; '{text}' is neither");
        return default;
    }

    /// <summary>A number of clusters, or null to have it chosen.</summary>
    public readonly record struct ClusterCount(int? Stated)
    {
        public override string ToString() => Stated?.ToString(CultureInfo.InvariantCulture) ?? "auto";
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Percent(double share) => share.ToString("P2", CultureInfo.InvariantCulture);
}
