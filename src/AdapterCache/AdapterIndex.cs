using System.Text.Json;
using StackExchange.Redis;

namespace Eigengate.AdapterCache;

/// <summary>
/// Which adapters exist, which nodes hold which clusters, and the adapters' weights: shared by gateways, nodes and tools.
/// One implementation over the Redis protocol with commands that Redis 7 and Garnet both have. Thread-safe; one instance per process.
/// Every method throws <see cref="IndexUnavailableException"/> when the server does not answer within seconds.
/// </summary>
public sealed class AdapterIndex : IAsyncDisposable
{
    public const string DefaultKeyPrefix = "eigengate";

    /// <summary>Weights travel and are stored in chunks of this many bytes, so that no command stalls the server.</summary>
    public const int ChunkBytes = 1 << 20;

    /// <summary>How long a request that was admitted with a replaced or removed version can still load its weights.</summary>
    public static readonly TimeSpan RetiredWeightsLifetime = TimeSpan.FromMinutes(15);

    /// <summary>How long an upload in chunks may take before it is committed.</summary>
    private static readonly TimeSpan StagedWeightsLifetime = TimeSpan.FromMinutes(30);

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(3);

    private const int UploadAttempts = 3;

    private const int ConcurrentRegistrations = 32;

    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;
    private readonly RedisKeys _keys;

    private AdapterIndex(ConnectionMultiplexer connection, string address, RedisKeys keys)
    {
        _connection = connection;
        _database = connection.GetDatabase();
        _keys = keys;
        Address = address;
        _connection.ConnectionRestored += (_, _) => ConnectionRestored?.Invoke();
    }

    /// <summary>Host and port of the server, without credentials; for messages.</summary>
    public string Address { get; }

    /// <summary>Raised on a pool thread when the connection is back after it was lost: the server may have lost writes.</summary>
    internal event Action? ConnectionRestored;

    /// <summary>Connects, or fails within about five seconds.</summary>
    /// <param name="server"><c>host:port</c>, or any StackExchange.Redis configuration string (password, TLS, several endpoints).</param>
    /// <param name="keyPrefix">Name space of all keys: deployments with different prefixes can share a server.</param>
    /// <param name="cancel">Gives up early.</param>
    /// <exception cref="IndexUnavailableException">Nothing answered there.</exception>
    public static async Task<AdapterIndex> ConnectAsync(string server, string keyPrefix = DefaultKeyPrefix, CancellationToken cancel = default)
    {
        var keys = new RedisKeys(keyPrefix);
        var options = ConfigurationOptions.Parse(server);
        options.AbortOnConnectFail = true;
        options.ConnectRetry = 1;
        options.ConnectTimeout = (int)ConnectTimeout.TotalMilliseconds;
        options.ReconnectRetryPolicy = new ExponentialRetry(100, 1000);
        options.HeartbeatInterval = TimeSpan.FromMilliseconds(250);
        options.ClientName ??= "eigengate";
        var address = string.Join(',', options.EndPoints.Select(Describe));
        try
        {
            var connecting = ConnectionMultiplexer.ConnectAsync(options);
            try
            {
                return new AdapterIndex(await connecting.WaitAsync(2 * ConnectTimeout, cancel), address, keys);
            }
            catch
            {
                _ = connecting.ContinueWith(late => late.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
                throw;
            }
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            throw new IndexUnavailableException($"The index at {address} does not answer. Is a Redis or Garnet server running there?", e);
        }
    }

    /// <summary>
    /// Makes an adapter known together with its weights, or replaces it; all of it or nothing becomes visible.
    /// The weights of a replaced version can still be read for <see cref="RetiredWeightsLifetime"/>.
    /// </summary>
    /// <param name="adapter">The record.</param>
    /// <param name="weights">The blob that the version is the digest of (cores, or A and B of an exact adapter, as safetensors);
    /// also when only the record changed.</param>
    /// <param name="cancel">May leave uncommitted chunks behind, which expire.</param>
    /// <returns>False when the same record was there already; its registration time is kept.</returns>
    public async Task<bool> RegisterAsync(AdapterRecord adapter, ReadOnlyMemory<byte> weights, CancellationToken cancel = default)
    {
        ValidateNames(adapter);
        var changed = await CommitAsync(adapter, weights, cancel);
        if (changed)
            Hint();
        return changed;
    }

    /// <summary>Registers many adapters, several at once. Registration order follows the order given within a few dozen places.</summary>
    /// <returns>How many of them changed the index.</returns>
    public async Task<int> RegisterManyAsync(IEnumerable<(AdapterRecord Adapter, ReadOnlyMemory<byte> Weights)> adapters, CancellationToken cancel = default)
    {
        var changed = 0;
        var options = new ParallelOptions { MaxDegreeOfParallelism = ConcurrentRegistrations, CancellationToken = cancel };
        await Parallel.ForEachAsync(adapters, options, async (entry, token) =>
        {
            ValidateNames(entry.Adapter);
            if (await CommitAsync(entry.Adapter, entry.Weights, token))
                Interlocked.Increment(ref changed);
        });
        if (changed > 0)
            Hint();
        return changed;
    }

    /// <summary>Removes an adapter; requests admitted before can load its weights for <see cref="RetiredWeightsLifetime"/>.</summary>
    /// <returns>False when there was none of this id.</returns>
    public async Task<bool> RemoveAsync(string id, CancellationToken cancel = default)
    {
        var removed = (string)(await ScriptAsync(IndexScripts.RemoveAdapter, [_keys.State, _keys.Adapters, _keys.Changes], [id], cancel))!;
        if (removed.Length == 0)
            return false;
        await RetireAsync(id, removed, cancel);
        Hint();
        return true;
    }

    /// <summary>The adapter as it is now, or null.</summary>
    public async Task<AdapterRecord?> GetAsync(string id, CancellationToken cancel = default)
    {
        var stored = await CallAsync(database => database.HashGetAsync(_keys.Adapters, id), cancel);
        return stored.IsNull ? null : StoredAdapter.Parse(stored!).Record;
    }

    /// <summary>The weights of one version, or null when that version was never registered or is long gone.</summary>
    public async Task<byte[]?> GetWeightsAsync(string id, string version, CancellationToken cancel = default)
    {
        var key = _keys.Weights(id, version);
        var count = (int)await CallAsync(database => database.HashLengthAsync(key), cancel);
        if (count == 0)
            return null;
        using var weights = new MemoryStream();
        for (var i = 0; i < count; i++)
        {
            byte[]? chunk = await CallAsync(database => database.HashGetAsync(key, i), cancel);
            if (chunk is null || count == 1)
                return chunk;
            weights.Write(chunk);
        }

        return weights.ToArray();
    }

    /// <summary>All adapters in registration order.</summary>
    public async Task<IReadOnlyList<AdapterRecord>> ListAsync(CancellationToken cancel = default)
    {
        var found = new Dictionary<string, StoredAdapter>(StringComparer.Ordinal);
        await foreach (var change in ReadChangesAsync(0, cancel))
        {
            if (change.Adapter is { } adapter)
                found[change.Id] = adapter;
            else
                found.Remove(change.Id);
        }

        return [.. found.Values.OrderBy(adapter => adapter.Sequence).Select(adapter => adapter.Record)];
    }

    /// <summary>Takes or renews a node's lease. Without renewal the node vanishes when it ends. See <see cref="NodeLease"/>.</summary>
    public async Task AnnounceAsync(NodeRecord node, TimeSpan lease, CancellationToken cancel = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lease, TimeSpan.FromMilliseconds(1));
        var json = JsonSerializer.Serialize(node, IndexJson.Default.NodeRecord);
        var changed = await ScriptAsync(
            IndexScripts.AnnounceNode, [_keys.Nodes, _keys.Node(node.Id)], [node.Id, json, (long)lease.TotalMilliseconds], cancel);
        if ((int)changed == 1)
            Hint();
    }

    /// <summary>Gives a node's lease back: it vanishes at once.</summary>
    public async Task WithdrawAsync(string nodeId, CancellationToken cancel = default)
    {
        await CallAsync(database => database.KeyDeleteAsync(_keys.Node(nodeId)), cancel);
        await CallAsync(database => database.SortedSetRemoveAsync(_keys.Nodes, nodeId), cancel);
        Hint();
    }

    /// <summary>Nodes whose lease has not ended, by id.</summary>
    public async Task<IReadOnlyList<NodeRecord>> ListNodesAsync(CancellationToken cancel = default) =>
        [.. (await ReadNodesAsync(cancel)).Select(ParseNode)];

    /// <summary>Sets the base model of this index.</summary>
    /// <returns>False when the same record was there already.</returns>
    public async Task<bool> RegisterBaseAsync(BaseRecord record, CancellationToken cancel = default)
    {
        var json = JsonSerializer.Serialize(record, IndexJson.Default.BaseRecord);
        var changed = (int)await ScriptAsync(IndexScripts.PutBase, [_keys.State, _keys.Base], [json, NewEpoch()], cancel) == 1;
        if (changed)
            Hint();
        return changed;
    }

    /// <summary>The base model, or null while none is registered.</summary>
    public async Task<BaseRecord?> GetBaseAsync(CancellationToken cancel = default)
    {
        var json = await CallAsync(database => database.StringGetAsync(_keys.Base), cancel);
        return json.IsNull ? null : JsonSerializer.Deserialize((string)json!, IndexJson.Default.BaseRecord);
    }

    public async ValueTask DisposeAsync() => await _connection.DisposeAsync();

    /// <summary>Where the index stands: which life of the data it is (null while empty), and how many changes were made.</summary>
    internal async Task<(string? Epoch, long Version)> ReadStateAsync(CancellationToken cancel)
    {
        var state = await CallAsync(database => database.HashGetAsync(_keys.State, ["epoch", "version"]), cancel);
        return (state[0], state[1].IsNull ? 0 : (long)state[1]);
    }

    /// <summary>Adapters that changed after a version, each once with its present value, in the order of their last change.</summary>
    internal async IAsyncEnumerable<AdapterChange> ReadChangesAsync(
        long after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        const int page = 1000;
        SortedSetEntry[] changes;
        do
        {
            var start = after;
            changes = await CallAsync(
                database => database.SortedSetRangeByScoreWithScoresAsync(_keys.Changes, start, exclude: Exclude.Start, take: page), cancel);
            if (changes.Length == 0)
                break;
            var stored = await CallAsync(
                database => database.HashGetAsync(_keys.Adapters, [.. changes.Select(change => change.Element)]), cancel);
            for (var i = 0; i < changes.Length; i++)
                yield return new AdapterChange((long)changes[i].Score, changes[i].Element!, stored[i].IsNull ? null : StoredAdapter.Parse(stored[i]!));
            after = (long)changes[^1].Score;
        }
        while (changes.Length == page);
    }

    /// <summary>The ids and stored records of live nodes, by id.</summary>
    internal async Task<IReadOnlyList<(string Id, string Json)>> ReadNodesAsync(CancellationToken cancel)
    {
        var members = await CallAsync(database => database.SortedSetRangeByRankAsync(_keys.Nodes), cancel);
        if (members.Length == 0)
            return [];
        string[] ids = [.. members.Select(member => (string)member!).Order(StringComparer.Ordinal)];
        var records = await CallAsync(database => database.StringGetAsync([.. ids.Select(_keys.Node)]), cancel);
        return [.. ids.Zip(records).Where(node => !node.Second.IsNull).Select(node => (node.First, (string)node.Second!))];
    }

    internal static NodeRecord ParseNode((string Id, string Json) node) => JsonSerializer.Deserialize(node.Json, IndexJson.Default.NodeRecord)!;

    /// <summary>Calls back, on a pool thread, when some writer says that the index changed. Hints can get lost.</summary>
    internal async Task SubscribeAsync(Action hint, CancellationToken cancel)
    {
        var subscriber = _connection.GetSubscriber();
        await CallAsync(async _ =>
        {
            await subscriber.SubscribeAsync(_keys.Changed, (_, _) => hint());
            return true;
        }, cancel);
    }

    private async Task<bool> CommitAsync(AdapterRecord adapter, ReadOnlyMemory<byte> weights, CancellationToken cancel)
    {
        var key = _keys.Weights(adapter.Id, adapter.Version);
        var chunks = Math.Max(1, (weights.Length + ChunkBytes - 1) / ChunkBytes);
        var body = StoredAdapter.Body(adapter);
        for (var attempt = 1; ; attempt++)
        {
            for (var i = 0; i < chunks - 1; i++)
            {
                var complete = await ScriptAsync(
                    IndexScripts.StageChunk,
                    [_keys.Adapters, key],
                    [adapter.Id, adapter.Version, chunks, i, weights.Slice(i * ChunkBytes, ChunkBytes), (long)StagedWeightsLifetime.TotalMilliseconds],
                    cancel);
                if ((int)complete == 1)
                    break;
            }

            var result = (RedisResult[])(await ScriptAsync(
                IndexScripts.CommitAdapter,
                [_keys.State, _keys.Adapters, _keys.Changes, key],
                [adapter.Id, adapter.Created.ToUnixTimeMilliseconds(), adapter.Version, body, chunks, weights[((chunks - 1) * ChunkBytes)..], NewEpoch()],
                cancel))!;
            var outcome = (int)result[0];
            if (outcome >= 0)
            {
                if ((string)result[1]! is { Length: > 0 } replaced)
                    await RetireAsync(adapter.Id, replaced, cancel);
                return outcome == 1;
            }

            // Chunks go missing only when the same version is removed and expires while it is being uploaded again.
            if (attempt == UploadAttempts)
                throw new IndexUnavailableException($"The index at {Address} lost parts of the weights of adapter '{adapter.Id}' {UploadAttempts} times.");
        }
    }

    private Task<RedisResult> RetireAsync(string id, string version, CancellationToken cancel) => ScriptAsync(
        IndexScripts.RetireWeights,
        [_keys.Adapters, _keys.Weights(id, version)],
        [id, version, (long)RetiredWeightsLifetime.TotalMilliseconds],
        cancel);

    private void Hint() => _connection.GetSubscriber().Publish(_keys.Changed, RedisValue.EmptyString, CommandFlags.FireAndForget);

    private Task<RedisResult> ScriptAsync(string script, RedisKey[] keys, RedisValue[] arguments, CancellationToken cancel) =>
        CallAsync(database => database.ScriptEvaluateAsync(script, keys, arguments), cancel);

    private async Task<T> CallAsync<T>(Func<IDatabase, Task<T>> command, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        try
        {
            return await command(_database).WaitAsync(cancel);
        }
        catch (Exception e) when (e is RedisConnectionException or RedisTimeoutException)
        {
            throw new IndexUnavailableException($"The index at {Address} does not answer.", e);
        }
    }

    private static string NewEpoch() => Guid.NewGuid().ToString("N");

    private static string Describe(System.Net.EndPoint endpoint) => endpoint switch
    {
        System.Net.DnsEndPoint dns => $"{dns.Host}:{dns.Port}",
        _ => endpoint.ToString() ?? "?",
    };

    private static void ValidateNames(AdapterRecord adapter)
    {
        ArgumentException.ThrowIfNullOrEmpty(adapter.Id);
        if (adapter.Version.Length == 0 || adapter.Version.Any(char.IsWhiteSpace))
            throw new ArgumentException($"The version of adapter '{adapter.Id}' must be a digest without white space, but was '{adapter.Version}'.", nameof(adapter));
    }
}

/// <summary>What became of an adapter: its present value, or null when it was removed.</summary>
/// <param name="Version">Version of the index at the adapter's last change.</param>
internal readonly record struct AdapterChange(long Version, string Id, StoredAdapter? Adapter);
