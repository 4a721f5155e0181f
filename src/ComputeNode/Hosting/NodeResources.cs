using Eigengate.AdapterCache;
using Eigengate.ChatTemplates;
using Eigengate.ComputeNode.Adapters;
using Eigengate.ComputeNode.Generation;
using Eigengate.ComputeNode.Requests;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Models;
using Eigengate.Inference.Tokenization;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.Safetensors;
using Microsoft.Extensions.Logging;

namespace Eigengate.ComputeNode.Hosting;

/// <summary>What a node has loaded and connected before it listens. Owns all of it.</summary>
internal sealed class NodeResources : IAsyncDisposable
{
    private NodeResources(EngineLoop loop, ServedModel model, AdapterIndex index, IndexFollower follower, NodeRecord record)
    {
        Loop = loop;
        Model = model;
        Index = index;
        Follower = follower;
        Record = record;
    }

    public EngineLoop Loop { get; }

    public ServedModel Model { get; }

    public AdapterIndex Index { get; }

    public IndexFollower Follower { get; }

    /// <summary>What this node announces; its address is known only when it listens.</summary>
    public NodeRecord Record { get; }

    /// <exception cref="NodeStartException">A folder or file is not what was expected.</exception>
    /// <exception cref="IndexUnavailableException">The index does not answer.</exception>
    public static async Task<NodeResources> LoadAsync(NodeOptions options, ILogger logger, CancellationToken cancel)
    {
        var (engine, bundle, model) = await Task.Run(() => LoadModel(options, logger), cancel);
        var loop = new EngineLoop(engine);
        AdapterIndex? index = null;
        IndexFollower? follower = null;
        try
        {
            using (bundle)
            {
                NodeRecord record = Describe(options, engine, bundle, model);
                index = await AdapterIndex.ConnectAsync(options.Index, options.KeyPrefix, cancel);
                await new AdapterRegistration(options, model, engine, index, logger).RunAsync(bundle, record, cancel);
                follower = await IndexFollower.StartAsync(index, logger: logger, cancel: cancel);
                return new NodeResources(loop, model, index, follower, record);
            }
        }
        catch
        {
            await DisposeAsync(loop, follower, index);
            throw;
        }
    }

    public ValueTask DisposeAsync() => DisposeAsync(Loop, Follower, Index);

    private static async ValueTask DisposeAsync(EngineLoop loop, IndexFollower? follower, AdapterIndex? index)
    {
        await loop.DisposeAsync();
        if (follower is not null)
            await follower.DisposeAsync();
        if (index is not null)
            await index.DisposeAsync();
    }

    private static (Engine Engine, Bundle? Bundle, ServedModel Model) LoadModel(NodeOptions options, ILogger logger)
    {
        Engine? engine = null;
        Bundle? bundle = null;
        try
        {
            // Cheap checks first: a wrong bundle folder should not cost the loading of a large model.
            bundle = options.BundleDirectory is { } folder ? Bundle.Open(folder) : null;
            int[] clusters = ClustersOf(options, bundle);
            ChatPrompts? chat = ChatPrompts.Load(options.ModelDirectory);
            engine = Engine.Load(options.ModelDirectory, options.Engine with { CoreDType = CoreType(bundle, options.Engine) });
            foreach (int cluster in clusters)
                AddCluster(engine, bundle!, cluster);
            var model = new ServedModel(
                options.ServedModelNames ?? [FolderName(options.ModelDirectory)],
                options.ModelDirectory,
                DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
                engine.Tokenizer,
                engine.Config.VocabularySize,
                engine.MaxModelLength,
                GenerationDefaults.Load(options.ModelDirectory))
            {
                Chat = chat,
            };
            logger.LogInformation("Model {Model} loaded: context {MaxModelLength} tokens, {Clusters} adapter clusters, {Chat} chat template", model.Name, model.MaxModelLength, clusters.Length, chat is null ? "no" : "with");
            return (engine, bundle, model);
        }
        catch (Exception e)
        {
            engine?.Dispose();
            bundle?.Dispose();
            if (e is InvalidModelException or ChatTemplateException or TokenizerFormatException or SafetensorsException or IOException or ArgumentException or NotSupportedException or InvalidDataException)
                throw new NodeStartException(e.Message, e);
            throw;
        }
    }

    /// <summary>Cores that the bundle stores as bfloat16 stay so on the device: nothing is lost, and a step moves half the bytes.</summary>
    private static EngineDType CoreType(Bundle? bundle, EngineOptions options) =>
        bundle?.Manifest.CoreDtype == nameof(DType.BF16) ? EngineDType.BFloat16 : options.CoreDType;

    private static int[] ClustersOf(NodeOptions options, Bundle? bundle)
    {
        if (bundle is null)
        {
            return options.Clusters is not { Count: > 0 } ? []
                : throw new NodeStartException("Clusters were named but no bundle: clusters belong to a bundle folder.");
        }

        int count = bundle.Manifest.Clusters;
        int[] chosen = options.Clusters is { } named ? [.. named.Distinct().Order()] : [.. Enumerable.Range(0, count)];
        int[] unknown = [.. chosen.Where(c => c < 0 || c >= count)];
        return unknown.Length == 0 ? chosen
            : throw new NodeStartException($"The bundle '{options.BundleDirectory}' has the clusters 0 to {count - 1}, but not {string.Join(", ", unknown)}.");
    }

    private static void AddCluster(Engine engine, Bundle bundle, int cluster)
    {
        IReadOnlyDictionary<string, SharedBasis> bases = bundle.ReadBasis(cluster);
        try
        {
            engine.AddCluster(
                ClusterKeys.Of(bundle.Manifest.Generation, cluster),
                bases.ToDictionary(basis => basis.Key, basis => ToEngine(basis.Value)));
        }
        catch (InvalidAdapterException e)
        {
            throw new NodeStartException($"Cluster {cluster} of the bundle does not fit the model: {e.Message}", e);
        }
        finally
        {
            foreach (SharedBasis basis in bases.Values)
                basis.Dispose();
        }
    }

    private static ClusterBasis ToEngine(SharedBasis basis) => new(
        basis.U.data<float>().ToArray(), basis.V.data<float>().ToArray(), basis.OutFeatures, basis.InFeatures, basis.RankU, basis.RankV);

    private static NodeRecord Describe(NodeOptions options, Engine engine, Bundle? bundle, ServedModel model) => new(
        Id: $"{Environment.MachineName.ToLowerInvariant()}-{Guid.NewGuid():N}",
        Url: "",
        BaseModel: model.Name,
        MaxModelLength: model.MaxModelLength,
        Generation: bundle?.Manifest.Generation ?? "",
        Clusters: ClustersOf(options, bundle),
        ServesExact: true,
        MaxSequences: engine.Options.MaxSequences,
        Started: DateTimeOffset.UtcNow);

    private static string FolderName(string directory) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)));
}
