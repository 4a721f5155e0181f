using Eigengate.AdapterCache;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.OpenAiApi;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>
/// Makes adapters resident on demand: leases what the engine has, else takes the weights from host memory or the index and loads them.
/// Thread-safe; the engine thread is never involved.
/// </summary>
internal sealed class AdapterLoader(AdapterIndex index, Engine engine, HostAdapterCache host, TimeSpan timeout)
{
    private static readonly TimeSpan RetrySoon = TimeSpan.FromSeconds(1);

    /// <summary>Leases one adapter version for one sequence.</summary>
    /// <exception cref="ApiException">404 removed meanwhile, 400 unusable weights, 503 not loaded in time or served by other nodes.</exception>
    public async ValueTask<ResidentAdapter> AcquireAsync(PinnedAdapter adapter, CancellationToken cancel)
    {
        if (engine.TryAcquire(adapter.Id, adapter.Version, out ResidentAdapter? resident))
            return resident;

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(timeout);
        try
        {
            AdapterWeights weights = await host.GetAsync(adapter, () => FetchAsync(adapter)).WaitAsync(deadline.Token);
            if (weights.ClusterKey is { } cluster && !engine.HasCluster(cluster))
                throw new ApiException(AdapterCatalog.Elsewhere(adapter.Id));
            return await engine.LoadAdapterAsync(weights, deadline.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new ApiException(ApiError.Unavailable($"The adapter `{adapter.Id}` could not be loaded within {timeout.TotalSeconds:0} s.", RetrySoon));
        }
        catch (Exception e) when (e is InvalidAdapterException or BundleFormatException or SafetensorsException)
        {
            throw new ApiException(ApiError.BadRequest($"The adapter `{adapter.Id}` cannot be served: {e.Message}", "model"));
        }
    }

    /// <summary>Whoever waits may leave; the fetch goes on for the others, within its own time.</summary>
    private async Task<AdapterWeights> FetchAsync(PinnedAdapter adapter)
    {
        using var limit = new CancellationTokenSource(timeout);
        byte[] blob = await index.GetWeightsAsync(adapter.Id, adapter.Version, limit.Token) ?? throw new ApiException(ApiError.UnknownModel(adapter.Id));
        return AdapterBlob.Read(adapter.Id, adapter.Version, blob);
    }
}
