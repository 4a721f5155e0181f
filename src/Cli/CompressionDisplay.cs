using System.Globalization;
using System.Text.Json;
using Eigengate.JointDiagonalization;
using Spectre.Console;

namespace Eigengate.Cli;

/// <summary>
/// Shows a compression's stage, rate and remaining time on standard error: bars on a terminal, now and then a line
/// elsewhere, JSON lines for machines. Standard output is left to the result.
/// </summary>
internal static class CompressionDisplay
{
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenEvents = TimeSpan.FromSeconds(0.1);

    private static readonly JsonSerializerOptions EventFormat = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static CompressionResult Show(Func<IProgress<CompressionProgress>, CompressionResult> compress, bool json = false)
    {
        if (json)
            return compress(new Lines(BetweenEvents, EventOf));
        if (Console.IsErrorRedirected)
            return compress(new Lines(BetweenLines, Describe));

        CompressionResult? result = null;
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) }).Progress()
            .Columns(new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
            .Start(context => result = compress(new Bars(context)));
        return result!;
    }

    /// <summary>e.g. "Fitting modules 12 of 96, 3.4 modules/s, 25 s left, error 1.20 %".</summary>
    internal static string Describe(StageStatus status)
    {
        var (_, done, total, _, error) = status.Progress;
        List<string> parts = [Text($"{status.Name} {done} of {total}")];
        if (status.PerSecond > 0)
            parts.Add($"{Rate(status.PerSecond)} {status.Unit}/s");
        if (done < total && status.Remaining is { } remaining)
            parts.Add(Text($"{Duration(remaining)} left"));
        if (error is { } e)
            parts.Add(Text($"error {e:P2}"));
        return string.Join(", ", parts);
    }

    internal static string EventOf(StageStatus status) => JsonSerializer.Serialize(
        new
        {
            Event = "progress",
            Stage = JsonNamingPolicy.SnakeCaseLower.ConvertName(status.Progress.Stage.ToString()),
            status.Progress.Done,
            status.Progress.Total,
            status.Unit,
            status.PerSecond,
            RemainingSeconds = status.Remaining?.TotalSeconds,
            status.Progress.Detail,
            status.Progress.RelSqError,
        },
        EventFormat);

    private static string Rate(double perSecond) => perSecond.ToString(perSecond switch { >= 10 => "0", >= 1 => "0.0", _ => "0.00" }, CultureInfo.InvariantCulture);

    private static string Duration(TimeSpan time) => time switch
    {
        { TotalHours: >= 1 } => Text($"{(int)time.TotalHours} h {time.Minutes} min"),
        { TotalMinutes: >= 2 } => Text($"{(int)time.TotalMinutes} min"),
        _ => Text($"{Math.Ceiling(time.TotalSeconds):F0} s"),
    };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>The first and the last step of each stage, and between them a line per interval.</summary>
    private sealed class Lines(TimeSpan interval, Func<StageStatus, string> format) : IProgress<CompressionProgress>
    {
        private readonly StageClock _clock = new(TimeProvider.System);
        private CompressionProgress? _shown;
        private long _shownAt;

        public void Report(CompressionProgress value)
        {
            StageStatus status = _clock.Advance(value);
            bool first = _shown?.Stage != value.Stage, last = value.Done == value.Total && _shown?.Done != value.Done;
            if (!first && !last && TimeProvider.System.GetElapsedTime(_shownAt) < interval)
                return;
            _shown = value;
            _shownAt = TimeProvider.System.GetTimestamp();
            Console.Error.WriteLine(format(status));
        }
    }

    private sealed class Bars(ProgressContext context) : IProgress<CompressionProgress>
    {
        private readonly StageClock _clock = new(TimeProvider.System);
        private readonly Dictionary<CompressionStage, ProgressTask> _bars = [];

        public void Report(CompressionProgress value)
        {
            if (!_bars.TryGetValue(value.Stage, out ProgressTask? bar))
            {
                foreach (ProgressTask earlier in _bars.Values)
                    earlier.Value = earlier.MaxValue;
                bar = _bars[value.Stage] = context.AddTask("");
            }

            bar.MaxValue = value.Total;
            bar.Value = value.Done;
            bar.Description = Markup.Escape(Describe(_clock.Advance(value)));
        }
    }
}
