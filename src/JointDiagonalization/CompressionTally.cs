using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Runs;

namespace Eigengate.JointDiagonalization;

/// <summary>Adds up errors, norms and sizes of finished modules.</summary>
internal sealed class CompressionTally
{
    private readonly SortedDictionary<string, double>[] _errors;
    private readonly List<string>[] _modules;
    private readonly double[] _energies;
    private readonly Dictionary<string, ReportModule> _reports = [];
    private double _errorSum;
    private double _weightedErrorSum;
    private double _lowerBoundSum;
    private int _products;
    private long _storedNumbers;

    internal CompressionTally(int adapters)
    {
        _errors = [.. Enumerable.Range(0, adapters).Select(_ => new SortedDictionary<string, double>(StringComparer.Ordinal))];
        _modules = [.. Enumerable.Range(0, adapters).Select(_ => new List<string>())];
        _energies = new double[adapters];
    }

    /// <summary>Modules must come in ordinal order of their paths.</summary>
    /// <returns>The mean error of the module's non-zero products, or null without any.</returns>
    internal double? Add(BundleModule place, FinishedModule module)
    {
        string path = place.Path;
        _storedNumbers += module.StoredNumbers;
        _lowerBoundSum += module.LowerBound;
        double errors = 0;
        int products = 0;
        foreach (var (i, adapter) in module.AdapterNumbers.Index())
        {
            if (module.Has(adapter))
                _modules[adapter].Add(path);
            double norm = module.ProductNorms[i], error = module.ProductErrors[i];
            if (norm == 0)
                continue;
            products++;
            errors += error;
            _errors[adapter].Add(path, error);
            _energies[adapter] += norm * norm;
            _weightedErrorSum += norm * norm * error;
        }

        _reports.Add(path, new ReportModule(
            path, place.DOut, place.DIn, products, Mean(errors) ?? 0, Mean(module.TailU), Mean(module.TailV), Mean(module.LowerBound)));
        _products += products;
        _errorSum += errors;
        return Mean(errors);

        double? Mean(double sum) => products == 0 || double.IsNaN(sum) ? null : sum / products;
    }

    internal double Norm(int adapter) => Math.Sqrt(_energies[adapter]);

    internal double MeanError(int adapter) => _errors[adapter].Count == 0 ? 0 : _errors[adapter].Values.Average();

    /// <summary>Modules of which something is stored, in ordinal order.</summary>
    internal string[] Modules(int adapter) => [.. _modules[adapter]];

    internal CompressionReport Report(BundleManifest manifest, AdapterCollection collection, long bytesOut, double seconds)
    {
        double mean = _products == 0 ? 0 : _errorSum / _products;
        double gap = _products == 0 ? 0 : Math.Max(0, (_errorSum - _lowerBoundSum) / _products);
        double energy = _energies.Sum();
        long sourceNumbers = collection.Adapters.SelectMany(a => a.Modules.Values).Sum(m => m.A.Count + m.B.Count);
        using var process = Process.GetCurrentProcess();
        return new CompressionReport
        {
            Method = manifest.Method,
            Rank = manifest.Rank,
            Residual = manifest.Residual,
            Clusters = manifest.Clusters,
            Iterations = manifest.Iterations,
            Seed = manifest.Seed,
            Seconds = seconds,
            PeakRssBytes = process.PeakWorkingSet64,
            Adapters = [.. manifest.Adapters.Select((a, i) => new ReportAdapter(a.Id, a.Cluster, a.RelSqError, _errors[i]))],
            MeanRelSqError = mean,
            NormWeightedRelSqError = energy == 0 ? 0 : _weightedErrorSum / energy,
            CertifiedGap = double.IsNaN(gap) ? null : gap,
            BytesIn = collection.Adapters.Sum(a => a.WeightBytes),
            BytesOut = bytesOut,
            ParametersSaved = 1 - ((double)_storedNumbers / sourceNumbers),
            BaseModel = manifest.BaseModel,
            Dtype = manifest.Dtype,
            LeftOut = [.. collection.Skipped],
            Modules = [.. collection.Modules.Select(m => _reports[m.Path])],
        };
    }
}
