using System.Globalization;
using Eigengate.JointDiagonalization;
using Spectre.Console;

namespace Eigengate.Cli;

/// <summary>Shows each stage of a compression as a bar with the remaining time.</summary>
internal static class CompressionDisplay
{
    public static CompressionResult Show(Func<IProgress<CompressionProgress>, CompressionResult> compress)
    {
        CompressionResult? result = null;
        AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => result = compress(new StageBars(context)));
        return result!;
    }

    private sealed class StageBars(ProgressContext context) : IProgress<CompressionProgress>
    {
        private readonly Dictionary<CompressionStage, ProgressTask> _bars = [];

        public void Report(CompressionProgress value)
        {
            if (!_bars.TryGetValue(value.Stage, out ProgressTask? bar))
            {
                foreach (ProgressTask earlier in _bars.Values)
                    earlier.Value = earlier.MaxValue;
                bar = _bars[value.Stage] = context.AddTask(NameOf(value.Stage));
            }

            bar.MaxValue = value.Total;
            bar.Value = value.Done;
            string error = value.RelSqError is { } e ? $"  error {e.ToString("P2", CultureInfo.InvariantCulture)}" : "";
            bar.Description = Markup.Escape($"{NameOf(value.Stage)}{error}");
        }

        private static string NameOf(CompressionStage stage) => stage switch
        {
            CompressionStage.Reading => "Reading adapters",
            CompressionStage.Resuming => "Unfinished run found",
            CompressionStage.Clustering => "Clustering",
            CompressionStage.Fitting => "Fitting modules",
            _ => "Writing the bundle",
        };
    }
}
