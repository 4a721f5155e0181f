using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Planning;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>Size of a bundle's data files before it is written: all numbers at full ranks, and the file headers that name every tensor.</summary>
internal sealed class BundleSize
{
    // {"dtype":"BF16","shape":[64,64],"data_offsets":[123456789,123456789]}, quotes, colon and comma.
    private const int HeaderEntryBytes = 78;

    private readonly PlanSettings _storage;
    private readonly (ModuleShape Shape, long Owners)[] _shapes;
    private readonly int _adapters;
    private readonly long _coreNameBytes;
    private readonly long _basisNameBytes;
    private readonly long _cores;

    internal BundleSize(AdapterCollection collection, PlanSettings storage)
    {
        _storage = storage;
        _adapters = collection.Adapters.Count;
        _shapes =
        [
            .. collection.Modules
                .Select(m => (Shape: new ModuleShape(m.DOut, m.DIn), Owners: collection.Adapters.LongCount(a => a.Modules.ContainsKey(m.Path))))
                .GroupBy(m => m.Shape)
                .Select(g => (g.Key, g.Sum(m => m.Owners))),
        ];
        ModulesPerShape = collection.Modules.GroupBy(m => new ModuleShape(m.DOut, m.DIn)).ToDictionary(g => g.Key, g => g.LongCount());
        _cores = collection.Adapters.Sum(a => (long)a.Modules.Count);
        _coreNameBytes = collection.Adapters.Sum(a => a.Modules.Keys.Sum(m => (long)BundleWriter.CoreName(a.Id, m).Length));
        _basisNameBytes = collection.Modules.Sum(m => 2L * (m.Path.Length + 2));
    }

    private Dictionary<ModuleShape, long> ModulesPerShape { get; }

    internal long Of(CompressionSetting setting)
    {
        PlanSettings settings = _storage with { RankU = setting.RankU, RankV = setting.RankV, Clusters = setting.Clusters, Residual = setting.Residual };
        int clusters = Math.Min(setting.Clusters, _adapters);
        long bytes = 0;
        foreach (var (shape, owners) in _shapes)
        {
            var plan = new MemoryPlan([shape], settings);
            bytes += (plan.BasisBytes(_adapters) * ModulesPerShape[shape]) + (plan.AdapterBytes * owners);
        }

        // A residual is two more tensors per adapter and module, int8 cores have scales beside them.
        int tensors = 1 + (setting.Residual > 0 ? 2 : 0) + (settings.CoreDType == Safetensors.DType.I8 ? 1 : 0);
        long headers = (clusters * (_basisNameBytes + (2L * HeaderEntryBytes * ModulesPerShape.Values.Sum())))
            + (tensors * (_coreNameBytes + (HeaderEntryBytes * _cores)));
        return bytes + headers;
    }
}
