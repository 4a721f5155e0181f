using System.Text.Json.Nodes;
using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Tests.Support;
using static Eigengate.ComputeNode.Tests.Hosting.NodeHostTests;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Hosting;

/// <summary>The two ways of serving that compression is compared with: every adapter by its own A and B, and one merged into the weights.</summary>
public sealed class ServingModesTests(SharedIndex index)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Exact_ServesTheBundlesAdaptersToo_ByTheirOwnFactors_FromASmallPool()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        // q and v of two layers, rank 2: 16 pages of 64 numbers, so that two of the five adapters have room.
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with
        {
            KeyPrefix = prefix,
            Exact = true,
            Engine = options.Engine with { AdapterPoolBytes = 2 * 16 * 64 * 4 },
        });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        Assert.All(await adapters.ListAsync(Cancel), record => Assert.Null(record.Cluster));
        Assert.Empty((await adapters.ListNodesAsync(Cancel)).Single().Clusters);

        string[] exact = await AllTextsAsync(node);
        await using RunningNode compressed = await StartAsync(index, WithBundle);
        Assert.Equal(await AllTextsAsync(compressed), exact);
        Exposition metrics = await Exposition.OfAsync(node);
        Assert.Equal((2 * 16 * 64 * 4, 2 * 16 * 64 * 4), (metrics["eigengate:adapter_pool_bytes"], metrics["eigengate:adapter_pool_used_bytes"]));
    }

    [Theory]
    [InlineData("a1")]
    [InlineData("extra")]
    public async Task Merged_IsServedAloneUnderItsName(string name)
    {
        await using RunningNode all = await StartAsync(index, WithBundle);
        await using RunningNode merged = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { MergedAdapter = name });
        object body = new { model = name, prompt = "abcd", max_tokens = 10, temperature = 0, ignore_eos = true };
        Assert.Equal(TextOf(await all.CompleteAsync(body)), TextOf(await merged.CompleteAsync(body)));

        JsonNode models = JsonNode.Parse(await merged.Client.GetStringAsync("/v1/models", Cancel))!;
        Assert.Equal([name], models["data"]!.AsArray().Select(card => (string)card!["id"]!));
        foreach (string other in (string[])["a0", "tiny"])
            Assert.Equal(404, (await merged.RefusedAsync(new { model = other, prompt = "a" })).Status);
    }

    [Fact]
    public async Task Merged_CanComeFromTheBundleOrFromAFolderAnywhere()
    {
        object Body(string model) => new { model, prompt = "abcd", max_tokens = 10, temperature = 0, ignore_eos = true };
        await using RunningNode all = await StartAsync(index, WithBundle);
        // Its bases have full rank, so that the compressed form loses nothing.
        await using RunningNode fromBundle = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { AdapterDirectory = null, MergedAdapter = "a2" });
        Assert.Equal(TextOf(await all.CompleteAsync(Body("a2"))), TextOf(await fromBundle.CompleteAsync(Body("a2"))));
        await using RunningNode fromFolder = await StartAsync(index, (options, folder) => options with
        {
            MergedAdapter = TinyModel.WriteAdapter(Path.Combine(folder, "elsewhere", "mine"), seed: 22),
        });
        Assert.Equal(TextOf(await all.CompleteAsync(Body("a2"))), TextOf(await fromFolder.CompleteAsync(Body("mine"))));
    }

    [Fact]
    public async Task WhatCannotBeServedSo_IsSaidAtTheStart()
    {
        await RefusedAsync("needs the folder of adapters", options => options with { Exact = true, AdapterDirectory = null });
        await RefusedAsync("exclude each other", options => options with { Exact = true, MergedAdapter = "a1" });
        await RefusedAsync("'nobody' to merge is neither a folder", options => options with { MergedAdapter = "nobody" });
        await RefusedAsync("must not be negative", options => options with { HostCacheBytes = -1 });
        await RefusedAsync("the whole pool has", options => options with { Exact = true, Engine = options.Engine with { AdapterPoolBytes = 1024 } });

        async Task RefusedAsync(string reason, Func<NodeOptions, NodeOptions> change)
        {
            NodeStartException refusal = await Assert.ThrowsAsync<NodeStartException>(() => StartAsync(index, (options, folder) => change(WithBundle(options, folder))));
            Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Metrics_CountWhereAdaptersWereFound()
    {
        // Two slots; host memory for three of the five adapters: 2 layers, q [32, 32] and v [16, 32] of rank 2 are 448 numbers.
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with
        {
            Exact = true,
            HostCacheBytes = 3 * 448 * 4,
            Engine = options.Engine with { AdapterSlots = 2 },
        });
        // Device:            miss  miss  hit   miss  miss  miss  miss
        // Host:              miss  miss        miss  hit   miss  hit
        foreach (string name in (string[])["a0", "a1", "a1", "a2", "a0", "a3", "a2"])
            await node.CompleteAsync(new { model = name, prompt = "ab", max_tokens = 1 });
        Exposition metrics = await Exposition.OfAsync(node);
        Assert.Equal((1, 6, 6, 4), (Of("device_hits_total"), Of("device_misses_total"), Of("device_loads_total"), Of("device_evictions_total")));
        Assert.Equal((2, 4, 3 * 448 * 4), (Of("host_hits_total"), Of("host_misses_total"), Of("host_cache_bytes")));
        Assert.Equal((2, 2, 3), (metrics["vllm:max_gpu_lora_adapters"], metrics["vllm:num_gpu_loaded_lora_adapters"], metrics["vllm:num_cpu_loaded_lora_adapters"]));
        Assert.Equal(0, metrics["eigengate:adapters_waiting_for_room"]);

        double Of(string name) => metrics[$"eigengate:adapter_{name}"];
    }
}
