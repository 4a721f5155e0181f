using System.Globalization;
using Eigengate.JointDiagonalization.Clustering;
using Eigengate.JointDiagonalization.Planning;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// Chooses ranks, clusters and residual for a goal: reads a sample of modules, takes the errors of all ranks from its
/// spectra for several numbers of clusters, and fits the best settings on the sample until the best one is a fitted one,
/// first on a coarse grid of ranks and then on every rank around what that gave
/// (spec/joint-diagonalization.md §3 tails, §11).
/// </summary>
internal sealed class SettingChooser
{
    private const int MaxFits = 8;
    private const int MembersPerCluster = 3;

    private static readonly int[] ClusterCounts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

    private static readonly int[] Residuals = [0, 1, 2, 4, 8];

    private readonly CompressionGoal _goal;
    private readonly SettingSearch _search;
    private readonly ModuleSample _sample;

    private SettingChooser(CompressionGoal goal, ModuleSample sample, SettingSearch search) => (_goal, _sample, _search) = (goal, sample, search);

    internal Choice Choice { get; private set; } = null!;

    /// <exception cref="ArgumentException">The goal makes no sense, or no setting is as small as the budget.</exception>
    internal static SettingChooser Choose(
        AdapterCollection collection, CompressorOptions options, CompressionGoal goal, IProgress<CompressionProgress>? progress, CancellationToken cancellation)
    {
        goal.Validate();
        using var scope = NewDisposeScope();
        using ModuleSample sample = ModuleSample.Read(collection, device(options.Device), options.Seed, progress, cancellation);
        if (sample.Modules.Count == 0)
            throw new ArgumentException("nothing can be chosen: all products of the sampled modules are zero");

        using var starts = new AffinityStarts(sample.CollectionAdapters, [.. sample.Modules.Select(m => m.Factors)]);
        RankGrid grid = GridFor(goal, collection);
        int[] residuals = goal.Residual is { } only ? [only] : goal.TargetError is null && goal.BudgetBytes is null ? [0] : Residuals;
        int[] counts = goal.Clusters is { } given ? [Math.Min(given, starts.Active)] : [.. ClusterCounts.Where(c => c == 1 || c * MembersPerCluster <= starts.Active)];
        var assignments = counts.ToDictionary(c => c, c => starts.Assign(c, options.Seed));
        var size = new BundleSize(collection, new PlanSettings { DType = options.DType, CoreDType = options.CoreDType });
        Dictionary<int, ErrorSurface> surfaces = [];
        foreach (int count in counts)
        {
            surfaces[count] = ErrorSurface.Of(
                sample, assignments[count], count, grid, Promising(goal, grid, residuals, count, surfaces, size), [.. residuals.Where(t => t > 0)], cancellation);
            progress?.Report(new CompressionProgress(CompressionStage.Choosing, surfaces.Count, counts.Length, $"spectra of {count} clusters"));
        }

        IEnumerable<CompressionSetting> settings =
            from c in counts
            from t in residuals
            from pair in t == 0 ? grid.Pairs : surfaces[c].WithResidual
            select new CompressionSetting(pair.U, pair.V, c, t);
        var search = new SettingSearch(goal, settings, s => surfaces[s.Clusters].Error(s), size.Of);
        var chooser = new SettingChooser(goal, sample, search);
        var fit = new SampleFit(sample, options.Seed, cancellation);
        chooser.FitUntilSettled(fit, assignments, progress, hopeful: true);
        CompressionSetting found = chooser.Choice.Chosen.Setting;
        if (goal.Rank is null && found.Residual == 0)
        {
            search.Add(grid.Around(found.RankU, found.RankV).Select(p => found with { RankU = p.U, RankV = p.V }));
            chooser.FitUntilSettled(fit, assignments, progress, hopeful: false);
        }

        return chooser;
    }

    /// <summary>Pairs whose smallest residual fits the budget, or is smaller than what is known to meet the target without one.</summary>
    private static (int U, int V)[] Promising(
        CompressionGoal goal, RankGrid grid, int[] residuals, int clusters, Dictionary<int, ErrorSurface> surfaces, BundleSize size)
    {
        if (!residuals.Contains(0))
            return grid.WithResidual;
        long most = goal.BudgetBytes ?? (
            from surface in surfaces
            from pair in grid.Pairs
            let setting = new CompressionSetting(pair.U, pair.V, surface.Key, 0)
            where surface.Value.Error(setting) <= goal.TargetError
            select size.Of(setting)).DefaultIfEmpty(long.MaxValue).Min();
        return [.. grid.WithResidual.Where(p => size.Of(new CompressionSetting(p.U, p.V, clusters, 1)) <= most)];
    }

    /// <summary>The next choice after a run that missed the goal, now that its error and size are known; null when nothing considered is expected to do better.</summary>
    internal Choice? After(double error, long bytes)
    {
        ConsideredSetting before = Choice.Chosen;
        _search.LearnFromRun(before, error, bytes);
        var (next, reachable) = _search.Pick(hopeful: false);
        if (next.Setting == before.Setting || (!reachable && next.Error >= error))
            return null;
        Choice = Describe(next, reachable);
        return Choice;
    }

    private void FitUntilSettled(SampleFit fit, Dictionary<int, int[]> assignments, IProgress<CompressionProgress>? progress, bool hopeful)
    {
        for (int fits = 1; ; fits++)
        {
            var (best, reachable) = _search.Pick(hopeful && fits <= MaxFits);
            if (_goal.BudgetBytes is { } budget && !reachable)
                throw new ArgumentException($"the budget of {budget} bytes is too small; the smallest setting considered, {best.Setting}, needs {best.Bytes}");
            if (_search.IsFitted(best.Setting) || fits > MaxFits)
            {
                Choice = Describe(best, reachable);
                return;
            }

            _search.Learn(best.Setting, fit.Error(best.Setting, assignments[best.Setting.Clusters]));
            progress?.Report(new CompressionProgress(CompressionStage.Choosing, fits, MaxFits, best.Setting.ToString(), _search.Of(best.Setting).Error));
        }
    }

    private Choice Describe(ConsideredSetting chosen, bool reachable) => new()
    {
        Chosen = chosen,
        Reachable = reachable,
        Considered = _search.Telling(chosen.Setting),
        Compared = _search.Count,
        SampledModules = [.. _sample.Modules.Select(m => m.Module.Path)],
        Modules = _sample.CollectionModules,
        Reasons = [.. Reasons(chosen, reachable)],
    };

    private IEnumerable<string> Reasons(ConsideredSetting chosen, bool reachable)
    {
        string error = chosen.Error.ToString("P2", CultureInfo.InvariantCulture);
        if (_goal.TargetError is { } target)
        {
            yield return reachable
                ? $"{chosen.Setting} is the smallest setting expected to stay within {target.ToString("P2", CultureInfo.InvariantCulture)}: {error}."
                : $"No setting considered stays within {target.ToString("P2", CultureInfo.InvariantCulture)}; {chosen.Setting} comes closest: {error}.";
        }
        else if (_goal.BudgetBytes is not null)
        {
            yield return $"{chosen.Setting} has the least expected error of all settings that fit: {error}.";
        }
        else
        {
            yield return chosen.Setting.Clusters == 1
                ? $"One cluster: at this rank, further bases lower the error by less per byte than a higher rank would. Expected error {error}."
                : $"{chosen.Setting.Clusters} clusters: up to here more bases lower the error by more per byte than a higher rank would. Expected error {error}.";
        }
    }

    private static RankGrid GridFor(CompressionGoal goal, AdapterCollection collection) => goal.Rank is { } rank
        ? RankGrid.Only(rank.U, rank.V, larger: goal.TargetError is null && goal.BudgetBytes is null)
        : RankGrid.UpTo(collection.Modules.Max(m => m.DOut), collection.Modules.Max(m => m.DIn));
}
