using System.Collections.Concurrent;
using Eigengate.AdapterCache;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.OpenAiApi;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>
/// Makes adapters resident on demand: leases what the engine has, else fetches the weights from the index and loads them.
/// Requests that need one version at the same time share one fetch. Thread-safe; the engine thread is never involved.
/// </summary>
internal sealed class AdapterLoader(AdapterIndex index, Engine engine, TimeSpan timeout)
{
    private static readonly TimeSpan SlotPoll = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan RetrySoon = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(string Id, string Version), Lazy<Fetch>> _fetches = new();

    /// <summary>Leases one adapter version for one sequence.</summary>
    /// <exception cref="ApiException">404 removed meanwhile, 400 unusable weights, 503 not loaded in time or served by other nodes.</exception>
    public async ValueTask<ResidentAdapter> AcquireAsync(PinnedAdapter adapter, CancellationToken cancel)
    {
        if (engine.TryAcquire(adapter.Id, adapter.Version, out ResidentAdapter? resident))
            return resident;

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(timeout);
        var key = (adapter.Id, adapter.Version);
        Lazy<Fetch> fetch = _fetches.GetOrAdd(key, _ => new Lazy<Fetch>(() => new Fetch(Task.Run(() => FetchAsync(adapter), CancellationToken.None))));
        try
        {
            Func<ResidentAdapter> load = await fetch.Value.Weights.WaitAsync(deadline.Token);
            return await LoadAsync(fetch.Value, load, deadline.Token);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new ApiException(ApiError.Unavailable($"The adapter `{adapter.Id}` could not be loaded within {timeout.TotalSeconds:0} s.", RetrySoon));
        }
        catch (Exception e) when (e is InvalidAdapterException or BundleFormatException or SafetensorsException)
        {
            throw new ApiException(ApiError.BadRequest($"The adapter `{adapter.Id}` cannot be served: {e.Message}", "model"));
        }
        finally
        {
            if (fetch.Value.Weights.IsCompleted)
                _fetches.TryRemove(KeyValuePair.Create(key, fetch));
        }
    }

    /// <summary>Waits for a free slot while running sequences lease all of them.</summary>
    private static async Task<ResidentAdapter> LoadAsync(Fetch fetch, Func<ResidentAdapter> load, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                // One at a time: the first one packs the weights, the others find them loaded.
                lock (fetch.Loading)
                    return load();
            }
            catch (AdapterSlotsExhaustedException)
            {
                await Task.Delay(SlotPoll, cancel);
            }
        }
    }

    /// <summary>Fetches and decodes the weights; the result puts them on the device.</summary>
    private async Task<Func<ResidentAdapter>> FetchAsync(PinnedAdapter adapter)
    {
        using var limit = new CancellationTokenSource(timeout);
        byte[] blob = await index.GetWeightsAsync(adapter.Id, adapter.Version, limit.Token)
            ?? throw new ApiException(ApiError.UnknownModel(adapter.Id));
        // The blob itself says what it is: the index may already describe a newer version.
        if (ExactAdapterBlob.TryRead(blob, out IReadOnlyDictionary<string, LoraFactors>? factors))
            return () => engine.LoadAdapter(AdapterWeights.Exact(adapter.Id, adapter.Version, factors));

        CoreBlob cores = CoreBlob.Parse(blob);
        string cluster = ClusterKeys.Of(cores.Generation, cores.Cluster);
        if (!engine.HasCluster(cluster))
            throw new ApiException(AdapterCatalog.Elsewhere(adapter.Id));
        var weights = new AdapterWeights(adapter.Id, adapter.Version, cluster, cores.Cores.ToDictionary(core => core.Key, core => core.Value.Values))
        {
            Factors = cores.Residuals.ToDictionary(residual => residual.Key, residual => LoraFactors.FromColumns(
                residual.Value.P, residual.Value.Q, residual.Value.OutFeatures, residual.Value.InFeatures, residual.Value.Rank)),
        };
        return () => engine.LoadAdapter(weights);
    }

    private sealed record Fetch(Task<Func<ResidentAdapter>> Weights)
    {
        public Lock Loading { get; } = new();
    }
}
