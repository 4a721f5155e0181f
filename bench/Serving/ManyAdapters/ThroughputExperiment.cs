using Eigengate.Inference;
using Eigengate.Inference.Adapters;

namespace Eigengate.Bench.Serving.ManyAdapters;

/// <summary>
/// Requests per second with one adapter to 1,024, drawn uniformly and by Zipf's law, against one adapter that is merged into the weights. Turns
/// go in pairs between two turns of the merged adapter, and each is compared with their mean.
/// </summary>
internal sealed class ThroughputExperiment
{
    private const int DecodeBatch = 64;

    private static readonly int[] Counts = [1, 4, 16, 64, 256, 1024];

    private readonly Lab _lab;
    private readonly EngineLoop _many, _merged;
    private readonly Population[] _populations;
    private readonly Series[] _series;
    private readonly List<double> _mergedSpeeds = [];

    private ThroughputExperiment(Lab lab, IReadOnlyList<Popularity> popularities)
    {
        _lab = lab;
        _merged = lab.Start(merge: random => random.Exact("merged", Lab.Rank, seed: 1));
        _many = lab.Start(Counts.Sum());
        _populations = Population.Load(_many.Engine, Counts, lab.Options.Sizes);
        // One adapter is drawn in one way only.
        _series =
        [
            new Series(null, null),
            .. popularities.SelectMany((popularity, i) => _populations.Where(p => i == 0 || p.Adapters > 1).Select(p => new Series(p, popularity))),
        ];
    }

    public static async Task RunAsync(LabOptions options, IReadOnlyList<Popularity> popularities, string? plot, CancellationToken cancel)
    {
        await using var lab = new Lab(options);
        var experiment = new ThroughputExperiment(lab, popularities);
        await lab.CalibrateAsync(experiment._many, experiment._populations[^1].Drawn(experiment._many.Engine, lab.Draw(Popularity.Uniform, Counts[^1], seed: 0)), cancel);
        await experiment.MergedAsync(0, cancel);
        experiment._mergedSpeeds.Clear();
        for (int round = 0; round < options.Rounds; round++)
            await experiment.RoundAsync(round, cancel);
        experiment.Report();
        if (plot is not null)
            await File.WriteAllTextAsync(plot, experiment.Plot(popularities), cancel);
        await experiment.StepTimeAsync(cancel);
    }

    private async Task RoundAsync(int round, CancellationToken cancel)
    {
        // Backwards every other time, so that no series is always the first of its pair.
        IEnumerable<Series> order = round % 2 == 0 ? _series : _series.Reverse();
        double before = await MergedAsync(round, cancel);
        foreach (Series[] pair in order.Chunk(2))
        {
            double[] speeds = new double[pair.Length];
            for (int i = 0; i < pair.Length; i++)
                speeds[i] = await _lab.SaturateAsync(_many, round, Adapters(pair[i], round), cancel);
            double after = await MergedAsync(round, cancel);
            for (int i = 0; i < pair.Length; i++)
                pair[i].Add(speeds[i], (before + after) / 2);
            before = after;
        }
    }

    private Func<int, ValueTask<ResidentAdapter?>> Adapters(Series series, int round) => series is { Population: { } population, Popularity: { } popularity }
        ? population.Drawn(_many.Engine, _lab.Draw(popularity, population.Adapters, round))
        : Lab.NoAdapter;

    private async Task<double> MergedAsync(int round, CancellationToken cancel)
    {
        double speed = await _lab.SaturateAsync(_merged, round, Lab.NoAdapter, cancel);
        _mergedSpeeds.Add(speed);
        return speed;
    }

    private void Report()
    {
        Console.WriteLine("| adapters | drawn | clusters | basis rank | requests/s | ÷ merged | quartiles |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        Console.WriteLine($"| one, merged | | | | {Statistics.Median(_mergedSpeeds):F2} | 1 | |");
        foreach (Series series in _series)
        {
            string name = series.Population is { } p ? $"{p.Adapters:N0} | {series.Popularity} | {p.Clusters} | {p.Rank}" : "none: the base | | |";
            Console.WriteLine($"| {name} | {Statistics.Median(series.Speeds):F2} | {series.Ratio(0.5):F3} | {series.Ratio(0.25):F2} – {series.Ratio(0.75):F2} |");
        }
    }

    private string Plot(IReadOnlyList<Popularity> popularities) => RatioPlot.Draw("Requests per second ÷ one merged adapter", [.. popularities.Select(popularity =>
        ($"adapters drawn {(popularity == Popularity.Zipf ? "by Zipf's law" : "uniformly")}", (IReadOnlyList<(int, double, double, double)>)
            [.. _series.Where(s => s.Popularity == popularity).Select(s => (s.Population!.Adapters, s.Ratio(0.5), s.Ratio(0.25), s.Ratio(0.75)))]))]);

    /// <summary>Of steps that decode 64 sequences of different adapters, what does not run in the model's kernels.</summary>
    private async Task StepTimeAsync(CancellationToken cancel)
    {
        const int DecodeTokens = 24;
        var load = new Load(_many, [.. Enumerable.Range(0, DecodeBatch).Select(i => new[] { 3 + i, 4, 5, 6 })], DecodeTokens);
        var metrics = _many.Engine.Metrics;
        TimeSpan step = metrics.StepTime, model = metrics.ModelTime;
        long steps = _many.Stats.Steps;
        int[] drawn = AdapterChoice.Draw(Popularity.Uniform, Counts[^1], DecodeBatch, seed: 1);
        await load.RunAsync(double.PositiveInfinity, seed: 0, _populations[^1].Drawn(_many.Engine, drawn), cancel);
        step = metrics.StepTime - step;
        model = metrics.ModelTime - model;
        steps = _many.Stats.Steps - steps;
        Console.WriteLine();
        Console.WriteLine($"a step of {DecodeBatch} decoding sequences, {Counts[^1]:N0} adapters: {step.TotalMilliseconds / steps:F2} ms, of it outside of the model's kernels "
            + $"{(step - model) / step:P2} (scheduling, building the batch, sampling, reporting)");
    }

    /// <summary>The turns of one row of the table; without a population, those of the base alone.</summary>
    private sealed record Series(Population? Population, Popularity? Popularity)
    {
        private readonly List<double> _ratios = [];

        public List<double> Speeds { get; } = [];

        public void Add(double speed, double merged)
        {
            Speeds.Add(speed);
            _ratios.Add(speed / merged);
        }

        /// <summary>To the merged adapter's speed, at a fraction <paramref name="q"/> of the rounds.</summary>
        public double Ratio(double q) => Statistics.Percentile(_ratios, q);
    }
}
