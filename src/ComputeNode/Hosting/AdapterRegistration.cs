using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Hosting;

/// <summary>
/// Puts the base and the adapters of the node's own folders into the index: compressed ones of the clusters it holds,
/// and, served by their own A, B, those of the adapter folder that the bundle lacks. Every node of a deployment does
/// so; registering what is there already changes nothing.
/// </summary>
internal sealed class AdapterRegistration(NodeOptions options, ServedModel model, Engine engine, AdapterIndex index, ILogger logger)
{
    /// <exception cref="NodeStartException">An adapter cannot be read or served, or the index belongs to another base.</exception>
    public async Task RunAsync(Bundle? bundle, NodeRecord node, CancellationToken cancel)
    {
        if (options.MergedAdapter is not null)
        {
            await RegisterBaseAsync(cancel);
            return;
        }

        // All folders are checked before the first entry is made.
        ExactAdapter[] exact = await Task.Run(() => OpenExact(bundle), cancel);
        BundleAdapter[] compressed = bundle is null || options.Exact ? [] : [.. bundle.Manifest.Adapters.Where(a => node.Clusters.Contains(a.Cluster))];
        RefuseBaseNames(compressed.Select(a => a.Id).Concat(exact.Select(a => a.Peft.Id)));

        await RegisterBaseAsync(cancel);
        try
        {
            int changed = await index.RegisterManyAsync(compressed.Select(a => Compressed(bundle!, a)).Concat(exact.Select(Exact)), cancel);
            logger.LogInformation(
                "{Compressed} compressed and {Exact} exact adapters registered, {Changed} of them new or changed", compressed.Length, exact.Length, changed);
        }
        catch (Exception e) when (e is BundleFormatException or AdapterFormatException or ArgumentException)
        {
            throw new NodeStartException(e.Message, e);
        }
    }

    private ExactAdapter[] OpenExact(Bundle? bundle)
    {
        if (options.AdapterDirectory is not { } root)
            return [];
        var inBundle = (options.Exact ? [] : bundle?.Manifest.Adapters ?? []).Select(a => a.Id).ToHashSet(StringComparer.Ordinal);
        try
        {
            IReadOnlyDictionary<string, ModuleShape> shapes = BaseShapes.Read(options.ModelDirectory);
            string[] folders = [.. PeftAdapter.FindFolders(root).Where(folder => !inBundle.Contains(Path.GetFileName(folder)))];
            using var weights = new BaseWeights(options.ModelDirectory);
            ExactAdapter[] adapters = [.. folders.Select(folder => ExactAdapter.Open(folder, shapes, weights))];
            foreach (ExactAdapter adapter in adapters)
                RequireServable(adapter);
            return adapters;
        }
        catch (Exception e) when (e is AdapterFormatException or DirectoryNotFoundException)
        {
            throw new NodeStartException($"'{root}': {e.Message}", e);
        }
    }

    /// <summary>Only the engine knows which modules it can adapt, and what its pool holds.</summary>
    private void RequireServable(ExactAdapter adapter)
    {
        try
        {
            engine.RequireLoadable(adapter.Weights(version: ""));
        }
        catch (InvalidAdapterException e)
        {
            throw new NodeStartException($"The adapter in '{adapter.Peft.Folder}' does not fit the model: {e.Message}", e);
        }
    }

    private void RefuseBaseNames(IEnumerable<string> adapters)
    {
        if (adapters.FirstOrDefault(model.Names.Contains) is { } taken)
            throw new NodeStartException($"The adapter '{taken}' has the name of the base model; serve the base under another name.");
    }

    private async Task RegisterBaseAsync(CancellationToken cancel)
    {
        BaseRecord? present = await index.GetBaseAsync(cancel);
        if (present is not null && present.Name != model.Name && (await index.ListNodesAsync(cancel)).Count > 0)
        {
            throw new NodeStartException(
                $"The index at {index.Address} belongs to nodes of the base '{present.Name}', this node has '{model.Name}'; use the same name or another key prefix.");
        }

        if (present is null || present.Name != model.Name || present.MaxModelLength != model.MaxModelLength)
            await index.RegisterBaseAsync(new BaseRecord(model.Name, model.Created, model.MaxModelLength, model.Root), cancel);
    }

    private (AdapterRecord Adapter, ReadOnlyMemory<byte> Weights) Compressed(Bundle bundle, BundleAdapter adapter)
    {
        byte[] blob = bundle.CoreBlob(adapter.Id);
        string root = Path.Combine(options.BundleDirectory!, adapter.Id);
        return (Record(adapter.Id, blob, root) with { Generation = bundle.Manifest.Generation, Cluster = adapter.Cluster, RelativeSquaredError = adapter.RelSqError }, blob);
    }

    private static (AdapterRecord Adapter, ReadOnlyMemory<byte> Weights) Exact(ExactAdapter adapter)
    {
        byte[] blob = ExactAdapterBlob.Write(adapter);
        return (Record(adapter.Peft.Id, blob, adapter.Peft.Folder), blob);
    }

    private static AdapterRecord Record(string id, byte[] blob, string root) =>
        new(id, AdapterRecord.DigestOf(blob), Generation: "", Cluster: null, AdapterStatus.Ready, root, DateTimeOffset.UtcNow);
}
