namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// Picks among settings by estimated error and exact size. Estimates come from the surfaces of the cluster counts; what
/// fits and the finished run showed corrects them.
/// </summary>
internal sealed class SettingSearch
{
    // A fit beats what the spectra say by about this much, so whatever is this near the goal is worth a fit.
    private const double FitGain = 0.03;

    private readonly CompressionGoal _goal;
    private readonly Func<CompressionSetting, double> _error;
    private readonly Func<CompressionSetting, long> _bytes;
    private readonly List<(CompressionSetting Setting, double Error, long Bytes)> _all = [];
    private readonly Dictionary<CompressionSetting, double> _fitted = [];
    private readonly Dictionary<int, double> _corrections = [];
    private double _runCorrection = 1;
    private double _sizeCorrection = 1;

    internal SettingSearch(CompressionGoal goal, IEnumerable<CompressionSetting> settings, Func<CompressionSetting, double> error, Func<CompressionSetting, long> bytes)
    {
        (_goal, _error, _bytes) = (goal, error, bytes);
        Add(settings);
    }

    internal int Count => _all.Count;

    internal void Add(IEnumerable<CompressionSetting> settings) => _all.AddRange(settings.Select(s => (s, _error(s), _bytes(s))));

    internal ConsideredSetting Of(CompressionSetting setting)
    {
        var (_, error, bytes) = _all.Find(a => a.Setting == setting);
        return Estimate(setting, error, bytes);
    }

    /// <summary>What fitting the sample with a setting showed; settings of as many clusters, or all when none was fitted, are corrected in proportion.</summary>
    internal void Learn(CompressionSetting setting, double fitted)
    {
        _fitted[setting] = fitted;
        double read = _all.Find(a => a.Setting == setting).Error;
        if (read > 0)
            _corrections[setting.Clusters] = fitted / read;
    }

    /// <summary>What the finished run of a setting showed.</summary>
    internal void LearnFromRun(ConsideredSetting estimate, double error, long bytes)
    {
        _runCorrection *= estimate.Error > 0 ? error / estimate.Error : 1;
        _sizeCorrection *= (double)bytes / estimate.Bytes;
    }

    internal bool IsFitted(CompressionSetting setting) => _fitted.ContainsKey(setting);

    /// <summary>The best setting by the goal and whether it meets it.</summary>
    /// <param name="hopeful">Whether settings that were not fitted get the benefit of the doubt, in order to be fitted next.</param>
    internal (ConsideredSetting Setting, bool Reachable) Pick(bool hopeful)
    {
        ConsideredSetting[] all = [.. _all.Select(a => Estimate(a.Setting, a.Error, a.Bytes))];
        if (hopeful)
            all = [.. all.Select(s => s.Fitted ? s : s with { Error = s.Error * (1 - FitGain) })];
        if (_goal.TargetError is { } target)
        {
            ConsideredSetting? cheapest = all.Where(s => s.Error <= target).OrderBy(s => s.Bytes).ThenBy(s => s.Error).FirstOrDefault();
            return cheapest is null ? (all.OrderBy(s => s.Error).ThenBy(s => s.Bytes).First(), false) : (cheapest, true);
        }

        if (_goal.BudgetBytes is { } budget)
        {
            ConsideredSetting? best = all.Where(s => s.Bytes <= budget).OrderBy(s => s.Error).ThenBy(s => s.Bytes).FirstOrDefault();
            return best is null ? (all.OrderBy(s => s.Bytes).First(), false) : (best, true);
        }

        return (Balanced(), true);
    }

    /// <summary>The best setting of each number of clusters by the goal, by size: what the choice was made among.</summary>
    internal IReadOnlyList<ConsideredSetting> Telling(CompressionSetting chosen)
    {
        IEnumerable<ConsideredSetting> perClusters = _all.GroupBy(a => a.Setting.Clusters).Select(g =>
        {
            ConsideredSetting[] settings = [.. g.Select(a => Estimate(a.Setting, a.Error, a.Bytes))];
            return _goal.TargetError is { } target
                ? settings.Where(s => s.Error <= target).MinBy(s => s.Bytes) ?? settings.MinBy(s => s.Error)!
                : _goal.BudgetBytes is { } budget
                    ? settings.Where(s => s.Bytes <= budget).MinBy(s => s.Error) ?? settings.MinBy(s => s.Bytes)!
                    : settings.First(s => (s.Setting.RankU, s.Setting.RankV) == _goal.Rank);
        });
        return [.. perClusters.Concat(_fitted.Keys.Append(chosen).Select(Of)).DistinctBy(s => s.Setting).OrderBy(s => s.Bytes)];
    }

    /// <summary>
    /// More clusters as long as they lower the error by more per byte than a higher rank would. What is compared at each
    /// step is the steepest way to any larger number of clusters, so that one useless step does not hide a good one.
    /// </summary>
    private ConsideredSetting Balanced()
    {
        var (rankU, rankV) = _goal.Rank!.Value;
        ConsideredSetting[] all = [.. _all.Select(a => Estimate(a.Setting, a.Error, a.Bytes))];
        ConsideredSetting[] plain = [.. all.Where(s => (s.Setting.RankU, s.Setting.RankV) == (rankU, rankV)).OrderBy(s => s.Setting.Clusters)];
        ConsideredSetting current = plain[0];
        while (true)
        {
            double byRank = all.Where(s => s.Setting.Clusters == current.Setting.Clusters && s.Bytes > current.Bytes).Select(s => Slope(current, s)).DefaultIfEmpty().Max();
            ConsideredSetting? next = plain.Where(s => s.Bytes > current.Bytes).MaxBy(s => Slope(current, s));
            if (next is null || Slope(current, next) <= Math.Max(0, byRank))
                return current;
            current = next;
        }
    }

    private static double Slope(ConsideredSetting from, ConsideredSetting to) => (from.Error - to.Error) / (to.Bytes - from.Bytes);

    private ConsideredSetting Estimate(CompressionSetting setting, double read, long bytes)
    {
        bool fitted = _fitted.TryGetValue(setting, out double error);
        if (!fitted)
            error = read * (_corrections.TryGetValue(setting.Clusters, out double own) ? own : _corrections.Values.DefaultIfEmpty(1).Average());
        return new ConsideredSetting(setting, error * _runCorrection, (long)Math.Ceiling(bytes * _sizeCorrection), fitted);
    }
}
