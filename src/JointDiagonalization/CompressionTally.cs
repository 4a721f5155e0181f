using System.Diagnostics;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.JointDiagonalization;

/// <summary>Adds up errors, norms and sizes while modules are fitted.</summary>
internal sealed class CompressionTally
{
    private readonly SortedDictionary<string, double>[] _errors;
    private readonly List<string>[] _modules;
    private readonly double[] _energies;
    private readonly Dictionary<string, ModuleSums> _moduleSums = [];
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

    internal void AddBasis(SharedBasis basis, double lowerBound)
    {
        _storedNumbers += basis.U.numel() + basis.V.numel();
        _lowerBoundSum += lowerBound;
    }

    /// <summary>Adds a cluster's bounds of one module; a bound that is not certified makes the module's uncertified.</summary>
    internal void AddBounds(string module, JointFit fit)
    {
        ModuleSums sums = _moduleSums.GetValueOrDefault(module);
        _moduleSums[module] = sums with { TailU = sums.TailU + fit.TailU, TailV = sums.TailV + fit.TailV, Bound = sums.Bound + fit.LowerBound, Bounded = true };
    }

    internal void AddCore(int adapter, string module, Sigma core)
    {
        _modules[adapter].Add(module);
        _storedNumbers += core.Values.Length;
        if (core.Norm == 0)
            return;
        _products++;
        ModuleSums sums = _moduleSums.GetValueOrDefault(module);
        _moduleSums[module] = sums with { Error = sums.Error + core.RelSqError, Products = sums.Products + 1 };
        double energy = core.Norm * core.Norm;
        _errors[adapter].Add(module, core.RelSqError);
        _energies[adapter] += energy;
        _errorSum += core.RelSqError;
        _weightedErrorSum += energy * core.RelSqError;
    }

    internal double Norm(int adapter) => Math.Sqrt(_energies[adapter]);

    internal double MeanError(int adapter) => _errors[adapter].Count == 0 ? 0 : _errors[adapter].Values.Average();

    /// <summary>Modules with a core, in the order of the fit (ordinal).</summary>
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
            Modules = [.. collection.Modules.Select(m => _moduleSums.GetValueOrDefault(m.Path).Describe(m))],
        };
    }

    private readonly record struct ModuleSums(double Error, int Products, double TailU, double TailV, double Bound, bool Bounded)
    {
        internal ReportModule Describe(BundleModule module) => new(
            module.Path, module.DOut, module.DIn, Products, Mean(Error) ?? 0, Certified(TailU), Certified(TailV), Certified(Bound));

        private double? Certified(double sum) => Bounded && !double.IsNaN(sum) ? Mean(sum) : null;

        private double? Mean(double sum) => Products == 0 ? null : sum / Products;
    }
}
