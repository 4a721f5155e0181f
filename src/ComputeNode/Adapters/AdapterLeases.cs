using Eigengate.Inference.Adapters;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>The leases of one request, one per sequence. Disposing gives back those that the engine did not take over.</summary>
internal sealed class AdapterLeases : IDisposable
{
    private readonly List<ResidentAdapter> _leases = [];

    public IReadOnlyList<ResidentAdapter> Leases => _leases;

    public static async Task<AdapterLeases> AcquireAsync(AdapterLoader loader, PinnedAdapter adapter, int count, CancellationToken cancel)
    {
        var leases = new AdapterLeases();
        try
        {
            while (leases._leases.Count < count)
                leases._leases.Add(await loader.AcquireAsync(adapter, cancel));
            return leases;
        }
        catch
        {
            leases.Dispose();
            throw;
        }
    }

    public void Dispose() => _leases.ForEach(lease => lease.Dispose());
}
