namespace Eigengate.AdapterCache.Tests;

/// <summary>What every server behind the index must make true. Each test has a key prefix of its own.</summary>
public abstract class AdapterIndexContract(IndexServer server) : IAsyncLifetime
{
    private readonly string _prefix = $"test-{Guid.NewGuid():N}";
    private AdapterIndex? _index;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected IndexServer Server => server;

    protected AdapterIndex Index => _index ?? throw new InvalidOperationException("The test was skipped.");

    public virtual async ValueTask InitializeAsync()
    {
        if (server.SkipReason is null)
            _index = await ConnectAsync();
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (_index is not null)
            await _index.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Register_adapter_is_found_with_every_field_and_its_weights()
    {
        SkipIfAbsent();
        var adapter = Samples.Adapter("team/sql-lora") with
        {
            RelativeSquaredError = 0.25,
            Norms = new Dictionary<string, double> { ["layers.0.q_proj"] = 1.5 },
        };
        Assert.True(await Index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel));

        var found = await Index.GetAsync(adapter.Id, Cancel);
        Assert.Equivalent(adapter, found, strict: true);
        Assert.Equal(Samples.Weights(adapter), await Index.GetWeightsAsync(adapter.Id, adapter.Version, Cancel));
    }

    [Fact]
    public async Task Get_unknown_adapter_is_null()
    {
        SkipIfAbsent();
        Assert.Null(await Index.GetAsync("nobody", Cancel));
        Assert.Null(await Index.GetWeightsAsync("nobody", "v1", Cancel));
        Assert.False(await Index.RemoveAsync("nobody", Cancel));
        Assert.Null(await Index.GetBaseAsync(Cancel));
        Assert.Empty(await Index.ListAsync(Cancel));
        Assert.Empty(await Index.ListNodesAsync(Cancel));
    }

    [Fact]
    public async Task Register_same_adapter_again_changes_nothing_and_keeps_its_registration_time()
    {
        SkipIfAbsent();
        var adapter = Samples.Adapter("a");
        await Index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel);
        Assert.False(await Index.RegisterAsync(adapter with { Created = adapter.Created.AddDays(1) }, Samples.Weights(adapter), Cancel));
        Assert.Equal(adapter.Created, (await Index.GetAsync("a", Cancel))!.Created);
    }

    [Fact]
    public async Task Register_new_version_replaces_the_record_and_leaves_the_old_weights_to_running_requests()
    {
        SkipIfAbsent();
        var first = Samples.Adapter("a", "v1");
        var second = Samples.Adapter("a", "v2") with { Cluster = 3 };
        await Index.RegisterAsync(first, Samples.Weights(first), Cancel);
        Assert.True(await Index.RegisterAsync(second, Samples.Weights(second), Cancel));

        Assert.Equal("v2", (await Index.GetAsync("a", Cancel))!.Version);
        Assert.Equal(Samples.Weights(first), await Index.GetWeightsAsync("a", "v1", Cancel));
        Assert.Equal(Samples.Weights(second), await Index.GetWeightsAsync("a", "v2", Cancel));
    }

    [Fact]
    public async Task Register_weights_larger_than_a_chunk_round_trip()
    {
        SkipIfAbsent();
        var weights = new byte[(3 * AdapterIndex.ChunkBytes) + 17];
        new Random(1).NextBytes(weights);
        var adapter = Samples.Adapter("large", AdapterRecord.DigestOf(weights));
        Assert.True(await Index.RegisterAsync(adapter, weights, Cancel));
        Assert.False(await Index.RegisterAsync(adapter, weights, Cancel));

        var read = await Index.GetWeightsAsync("large", adapter.Version, Cancel);
        Assert.NotNull(read);
        Assert.Equal(adapter.Version, AdapterRecord.DigestOf(read));
    }

    [Fact]
    public async Task Register_adapter_without_weights_is_allowed()
    {
        SkipIfAbsent();
        var failed = Samples.Adapter("bad") with { Status = AdapterStatus.Failed, Failure = "rank 512 is greater than max_lora_rank" };
        await Index.RegisterAsync(failed, ReadOnlyMemory<byte>.Empty, Cancel);
        Assert.Equivalent(failed, await Index.GetAsync("bad", Cancel), strict: true);
        Assert.Equal(0, (await Index.GetWeightsAsync("bad", failed.Version, Cancel))?.Length);
    }

    [Fact]
    public async Task Register_version_with_white_space_is_refused()
    {
        SkipIfAbsent();
        await Assert.ThrowsAsync<ArgumentException>(() => Index.RegisterAsync(Samples.Adapter("a", "v 1"), default, Cancel));
    }

    [Fact]
    public async Task List_is_in_registration_order_and_replacement_keeps_the_place()
    {
        SkipIfAbsent();
        foreach (var id in (string[])["zebra", "ape", "mole"])
            await Index.RegisterAsync(Samples.Adapter(id), Samples.Weights(id), Cancel);
        await Index.RegisterAsync(Samples.Adapter("zebra", "v2"), Samples.Weights("zebra2"), Cancel);

        Assert.Equal(["zebra", "ape", "mole"], (await Index.ListAsync(Cancel)).Select(adapter => adapter.Id));
    }

    [Fact]
    public async Task Remove_adapter_is_gone_at_once_and_comes_back_last()
    {
        SkipIfAbsent();
        var adapter = Samples.Adapter("a");
        await Index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel);
        await Index.RegisterAsync(Samples.Adapter("b"), Samples.Weights("b"), Cancel);

        Assert.True(await Index.RemoveAsync("a", Cancel));
        Assert.False(await Index.RemoveAsync("a", Cancel));
        Assert.Null(await Index.GetAsync("a", Cancel));
        Assert.Equal(["b"], (await Index.ListAsync(Cancel)).Select(left => left.Id));
        Assert.NotNull(await Index.GetWeightsAsync("a", adapter.Version, Cancel));

        Assert.True(await Index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel));
        Assert.Equal(["b", "a"], (await Index.ListAsync(Cancel)).Select(left => left.Id));
    }

    [Fact]
    public async Task Register_one_id_concurrently_ends_with_one_whole_adapter()
    {
        SkipIfAbsent();
        await using var other = await ConnectAsync();
        await Parallel.ForEachAsync(Enumerable.Range(0, 40), Cancel, async (i, cancel) =>
        {
            var writer = i % 2 == 0 ? Index : other;
            var adapter = Samples.Adapter("contended", $"v{i % 8}");
            await writer.RegisterAsync(adapter, Samples.Weights(adapter), cancel);
        });

        var winner = (await Index.GetAsync("contended", Cancel))!;
        Assert.Equal(Samples.Weights(winner), await other.GetWeightsAsync(winner.Id, winner.Version, Cancel));
        Assert.Single(await Index.ListAsync(Cancel));
    }

    [Fact]
    public async Task Register_and_remove_one_id_concurrently_never_leaves_a_record_without_weights()
    {
        SkipIfAbsent();
        var adapter = Samples.Adapter("flicker");
        await Parallel.ForEachAsync(Enumerable.Range(0, 60), Cancel, async (i, cancel) =>
        {
            if (i % 3 == 0)
                await Index.RemoveAsync("flicker", cancel);
            else
                await Index.RegisterAsync(adapter, Samples.Weights(adapter), cancel);
        });

        await Index.RegisterAsync(adapter, Samples.Weights(adapter), Cancel);
        Assert.Equal(Samples.Weights(adapter), await Index.GetWeightsAsync("flicker", adapter.Version, Cancel));
    }

    [Fact]
    public async Task Register_many_makes_all_of_them_known()
    {
        SkipIfAbsent();
        const int count = 2500;
        var many = Enumerable.Range(0, count)
            .Select(i => Samples.Adapter($"adapter-{i:0000}") with { Cluster = i % 16 })
            .Select(adapter => (adapter, (ReadOnlyMemory<byte>)Samples.Weights(adapter)));
        Assert.Equal(count, await Index.RegisterManyAsync(many, Cancel));

        var listed = await Index.ListAsync(Cancel);
        Assert.Equal(count, listed.Count);
        Assert.Equal(count, listed.Select(adapter => adapter.Id).Distinct().Count());
    }

    [Fact]
    public async Task Prefixes_keep_two_deployments_on_one_server_apart()
    {
        SkipIfAbsent();
        await using var other = await AdapterIndex.ConnectAsync(server.Address, _prefix + "-other", Cancel);
        await Index.RegisterAsync(Samples.Adapter("mine"), Samples.Weights("mine"), Cancel);
        Assert.Empty(await other.ListAsync(Cancel));
    }

    [Fact]
    public async Task Base_is_kept_and_unchanged_registration_is_reported()
    {
        SkipIfAbsent();
        Assert.True(await Index.RegisterBaseAsync(Samples.Base, Cancel));
        Assert.False(await Index.RegisterBaseAsync(Samples.Base, Cancel));
        Assert.Equal(Samples.Base, await Index.GetBaseAsync(Cancel));
    }

    [Fact]
    public async Task Announced_node_is_listed_until_withdrawn()
    {
        SkipIfAbsent();
        await Index.AnnounceAsync(Samples.Node("n1", 1, 2), TimeSpan.FromMinutes(1), Cancel);
        await Index.AnnounceAsync(Samples.Node("n2", 3), TimeSpan.FromMinutes(1), Cancel);
        var nodes = await Index.ListNodesAsync(Cancel);
        Assert.Equal(["n1", "n2"], nodes.Select(node => node.Id));
        Assert.Equivalent(Samples.Node("n1", 1, 2), nodes[0], strict: true);

        await Index.WithdrawAsync("n1", Cancel);
        Assert.Equal(["n2"], (await Index.ListNodesAsync(Cancel)).Select(node => node.Id));
    }

    [Fact]
    public async Task Node_whose_lease_ends_vanishes_by_itself()
    {
        SkipIfAbsent();
        await Index.AnnounceAsync(Samples.Node("long", 1), TimeSpan.FromMinutes(1), Cancel);
        await Index.AnnounceAsync(Samples.Node("short", 1), TimeSpan.FromMilliseconds(700), Cancel);
        Assert.Equal(["long", "short"], (await Index.ListNodesAsync(Cancel)).Select(node => node.Id));
        await Task.Delay(1000, Cancel);
        Assert.Equal(["long"], (await Index.ListNodesAsync(Cancel)).Select(node => node.Id));
    }

    [Fact]
    public async Task Node_lease_is_renewed_while_held_and_withdrawn_on_dispose()
    {
        SkipIfAbsent();
        var lease = await NodeLease.StartAsync(Index, Samples.Node("held", 1), TimeSpan.FromSeconds(1), cancel: Cancel);
        await Task.Delay(2000, Cancel);
        Assert.Single(await Index.ListNodesAsync(Cancel));
        await lease.UpdateAsync(Samples.Node("held", 1, 2), Cancel);
        Assert.Equal([1, 2], (await Index.ListNodesAsync(Cancel))[0].Clusters);

        await lease.DisposeAsync();
        Assert.Empty(await Index.ListNodesAsync(Cancel));
    }

    [Fact]
    public async Task Follower_sees_adapters_base_and_nodes_of_other_processes()
    {
        SkipIfAbsent();
        await Index.RegisterAsync(Samples.Adapter("before"), Samples.Weights("before"), Cancel);
        await using var follower = await IndexFollower.StartAsync(Index, cancel: Cancel);
        Assert.Equal(1, follower.Current.AdapterCount);

        await using var other = await ConnectAsync();
        await other.RegisterBaseAsync(Samples.Base, Cancel);
        await other.RegisterAsync(Samples.Adapter("after"), Samples.Weights("after"), Cancel);
        await other.AnnounceAsync(Samples.Node("n1", 1), TimeSpan.FromMinutes(1), Cancel);
        var seen = await WaitForAsync(follower, snapshot => snapshot is { AdapterCount: 2, Nodes.Count: 1, Base: not null });
        Assert.Equal(["before", "after"], seen.Adapters.Select(adapter => adapter.Id));

        await other.RemoveAsync("before", Cancel);
        await other.RegisterAsync(Samples.Adapter("after", "v2"), Samples.Weights("after2"), Cancel);
        seen = await WaitForAsync(follower, snapshot => snapshot.AdapterCount == 1 && snapshot.Adapters.Single().Version == "v2");
        Assert.False(seen.TryGetAdapter("before", out _));
    }

    [Fact]
    public async Task Follower_drops_a_node_whose_lease_ends()
    {
        SkipIfAbsent();
        await Index.AnnounceAsync(Samples.Node("short", 1), TimeSpan.FromMilliseconds(1000), Cancel);
        await using var follower = await IndexFollower.StartAsync(Index, cancel: Cancel);
        Assert.Single(follower.Current.Nodes);
        await WaitForAsync(follower, snapshot => snapshot.Nodes.Count == 0);
    }

    [Fact]
    public async Task Follower_finds_an_adapter_that_its_snapshot_does_not_have_yet()
    {
        SkipIfAbsent();
        await using var follower = await IndexFollower.StartAsync(Index, TimeSpan.FromHours(1), cancel: Cancel);
        await using var other = await ConnectAsync();
        for (var i = 0; i < 20; i++)
        {
            await other.RegisterAsync(Samples.Adapter($"new-{i}"), Samples.Weights("new"), Cancel);
            Assert.NotNull(await follower.FindAsync($"new-{i}", Cancel));
        }

        Assert.Null(await follower.FindAsync("never", Cancel));
    }

    [Fact]
    public async Task Follower_snapshot_equals_the_list_after_random_changes()
    {
        SkipIfAbsent();
        await using var follower = await IndexFollower.StartAsync(Index, TimeSpan.FromMilliseconds(5), cancel: Cancel);
        var random = new Random(7);
        for (var i = 0; i < 400; i++)
        {
            var id = $"a{random.Next(30)}";
            if (random.Next(3) == 0)
                await Index.RemoveAsync(id, Cancel);
            else
                await Index.RegisterAsync(Samples.Adapter(id, $"v{random.Next(3)}"), Samples.Weights(id), Cancel);
        }

        await Index.RegisterAsync(Samples.Adapter("last"), Samples.Weights("last"), Cancel);
        var seen = await WaitForAsync(follower, snapshot => snapshot.TryGetAdapter("last", out _));
        var listed = await Index.ListAsync(Cancel);
        Assert.Equal(listed.Select(adapter => (adapter.Id, adapter.Version)), seen.Adapters.Select(adapter => (adapter.Id, adapter.Version)));
    }

    protected Task<AdapterIndex> ConnectAsync() => AdapterIndex.ConnectAsync(server.Address, _prefix, Cancel);

    protected void SkipIfAbsent() => Assert.SkipWhen(server.SkipReason is not null, server.SkipReason ?? "");

    protected static async Task<IndexSnapshot> WaitForAsync(IndexFollower follower, Func<IndexSnapshot, bool> condition)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(10));
        return await follower.WaitForAsync(condition, patience.Token);
    }
}
