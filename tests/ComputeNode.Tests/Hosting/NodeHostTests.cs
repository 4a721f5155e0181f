using System.Net;
using System.Text.Json.Nodes;
using Eigengate.AdapterCache;
using Eigengate.ComputeNode.Requests;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.OpenAiApi;
using static Eigengate.ComputeNode.Tests.Support.RunningNode;

namespace Eigengate.ComputeNode.Tests.Hosting;

public sealed class NodeHostTests(SharedIndex index)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task BundleAdapters_AreServedCompressed_TheRestExactly()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        IReadOnlyList<AdapterRecord> records = await adapters.ListAsync(Cancel);
        Assert.Equal(["a0", "a1", "a2", "a3", "extra"], records.Select(r => r.Id).Order());
        Assert.All(records, r => Assert.Equal(r.Id == "extra", r.Cluster is null));

        string[] compressed = await AllTextsAsync(node);
        // The same folder without the bundle: bases of full rank lose nothing, so the greedy texts agree.
        await using RunningNode exact = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { BundleDirectory = null });
        Assert.Equal(await AllTextsAsync(exact), compressed);
        Assert.Equal(5, compressed.Distinct().Count());
    }

    [Fact]
    public async Task NodeOfOneCluster_ServesItsAdapters_AndSends503ForOthers()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode whole = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        await using RunningNode part = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix, Clusters = [1] });

        Assert.Equal([[0, 1], [1]], (await adapters.ListNodesAsync(Cancel)).Select(n => n.Clusters).OrderByDescending(c => c.Count));
        foreach (AdapterRecord adapter in await adapters.ListAsync(Cancel))
        {
            using HttpResponseMessage response = await part.PostAsync("/v1/completions", new { model = adapter.Id, prompt = "a", max_tokens = 1 });
            Assert.Equal(adapter.Cluster == 0 ? HttpStatusCode.ServiceUnavailable : HttpStatusCode.OK, response.StatusCode);
        }
    }

    [Fact]
    public async Task AdapterRegisteredLater_IsServedOnFirstUse()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode node = await StartAsync(index, (options, _) => options with { KeyPrefix = prefix });
        Assert.Equal(404, (await node.RefusedAsync(new { model = "late", prompt = "a" })).Status);

        // Another node brings the adapter; this one fetches the weights from the index.
        await using RunningNode other = await StartAsync(index, (options, folder) =>
        {
            TinyModel.WriteAdapter(Path.Combine(folder, "adapters", "late"), seed: 5);
            return options with { KeyPrefix = prefix, AdapterDirectory = Path.Combine(folder, "adapters") };
        });
        object body = new { model = "late", prompt = "abc", max_tokens = 12, temperature = 0, ignore_eos = true };
        JsonNode[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => node.CompleteAsync(body)));
        Assert.Equal(TextOf(await other.CompleteAsync(body)), Assert.Single(answers.Select(a => TextOf(a)).Distinct()));
    }

    [Fact]
    public async Task VersionPinnedByTheGateway_IsServed_AlsoAfterItWasReplaced()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        AdapterRecord extra = (await adapters.GetAsync("extra", Cancel))!;
        AdapterRecord other = (await adapters.GetAsync("a0", Cancel))!;
        byte[] weights = (await adapters.GetWeightsAsync("a0", other.Version, Cancel))!;
        await adapters.RegisterAsync(extra with { Version = other.Version, Cluster = other.Cluster, Generation = other.Generation }, weights, Cancel);

        object body = new { model = "ignored", prompt = "abcd", max_tokens = 10, temperature = 0, ignore_eos = true };
        string old = await PinnedAsync("extra", extra.Version), replaced = await PinnedAsync("extra", other.Version);
        Assert.NotEqual(old, replaced);
        Assert.Equal(replaced, TextOf(await node.CompleteAsync(new { model = "a0", prompt = "abcd", max_tokens = 10, temperature = 0, ignore_eos = true })));

        async Task<string> PinnedAsync(string id, string version)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = System.Net.Http.Json.JsonContent.Create(body) };
            request.Headers.Add(RoutingHeaders.Adapter, Uri.EscapeDataString(id));
            request.Headers.Add(RoutingHeaders.AdapterVersion, version);
            using HttpResponseMessage response = await node.Client.SendAsync(request, Cancel);
            return TextOf(JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!);
        }
    }

    [Fact]
    public async Task MoreAdaptersThanSlots_AreAllServed()
    {
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { Engine = options.Engine with { AdapterSlots = 2 } });
        string[] names = ["a0", "a1", "a2", "a3", "extra"];
        JsonNode[] answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => node.CompleteAsync(new { model = names[i % 5], prompt = new[] { "a", "b" }, max_tokens = 4 })));
        Assert.Equal(Enumerable.Range(0, 30).Select(i => names[i % 5]), answers.Select(a => (string)a["model"]!));
    }

    [Fact]
    public async Task UnusableWeights_AreA400_AndLeaveOthersAlone()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        byte[] garbage = [1, 2, 3];
        foreach (int? cluster in new int?[] { null, 0 })
        {
            AdapterRecord record = (await adapters.ListAsync(Cancel))[0];
            await adapters.RegisterAsync(record with { Id = "broken", Version = AdapterRecord.DigestOf(garbage), Cluster = cluster }, garbage, Cancel);
            var (status, error) = await node.RefusedAsync(new { model = "broken", prompt = "a" });
            Assert.Equal((400, "model"), (status, (string)error["param"]!));
            Assert.DoesNotContain("/", (string)error["message"]!, StringComparison.Ordinal);
        }

        await node.CompleteAsync(new { model = "a0", prompt = "a", max_tokens = 1 });
    }

    [Fact]
    public async Task Disconnect_FreesBlocksAndSlots()
    {
        await using RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder));
        for (int i = 0; i < 10; i++)
        {
            using var leave = new CancellationTokenSource();
            Task<HttpResponseMessage> request = node.Client.SendAsync(
                new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
                {
                    Content = System.Net.Http.Json.JsonContent.Create(new { model = i % 2 == 0 ? "a0" : "extra", prompt = "a", n = 4, seed = 1, max_tokens = 250, ignore_eos = true, stream = i % 3 == 0 }),
                },
                HttpCompletionOption.ResponseHeadersRead,
                leave.Token);
            await UntilAsync(() => node.Host.Stats.Running > 0);
            await leave.CancelAsync();
            try
            {
                (await request).Dispose();
            }
            catch (OperationCanceledException)
            {
            }

            EngineStats stats = await node.IdleAsync();
            Assert.Equal((0, 0, 0), (stats.Running, stats.Waiting, stats.KvBlocksUsed));
        }

        await UntilAsync(() => node.Host.RequestsInFlight == 0);
    }

    [Fact]
    public async Task LeftChat_FreesItsBlocks()
    {
        // Slow enough that nothing is over before the client leaves.
        await using RunningNode node = await StartAsync(index, (options, _) => options with { Engine = options.Engine with { ReferenceKernels = true } });
        foreach (bool stream in new[] { false, true })
        {
            using var leave = new CancellationTokenSource();
            using var content = System.Net.Http.Json.JsonContent.Create(new { messages = new[] { new { role = "user", content = "a" } }, n = 32, seed = 1, ignore_eos = true, stream });
            Task<HttpResponseMessage> request = node.Client.PostAsync(Chat, content, leave.Token);
            await UntilAsync(() => node.Host.Stats.Running > 0);
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
            EngineStats stats = await node.IdleAsync();
            Assert.Equal((0, 0, 0), (stats.Running, stats.Waiting, stats.KvBlocksUsed));
        }

        await UntilAsync(() => node.Host.RequestsInFlight == 0);
    }

    [Fact]
    public async Task ModelWithoutATemplate_Completes_ButChatIsRefusedByItsName()
    {
        await using RunningNode node = await StartAsync(index, (options, _) =>
        {
            File.WriteAllText(Path.Combine(options.ModelDirectory, "tokenizer_config.json"), """{"bos_token": "<begin>", "eos_token": "<end>"}""");
            return options;
        });
        await node.CompleteAsync(new { prompt = "a", max_tokens = 1 });
        var (status, error) = await node.RefusedAsync(new { messages = new[] { new { role = "user", content = "a" } } }, Chat);
        Assert.Equal((400, "BadRequestError", "messages"), (status, (string)error["type"]!, (string)error["param"]!));
        Assert.Contains("The model `tiny` has no chat template", (string)error["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FullQueue_Is429_WithRetryAfter()
    {
        await using RunningNode node = await StartAsync(index, (options, _) => options with { Engine = options.Engine with { MaxSequences = 1, MaxWaiting = 2 } });
        object body = new { prompt = "a", max_tokens = 250, ignore_eos = true };
        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => node.PostAsync("/v1/completions", body)));
        HttpResponseMessage refused = responses.First(r => r.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.Contains("RateLimitError", await refused.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        Assert.Contains(responses, r => r.StatusCode == HttpStatusCode.OK);

        Assert.Equal("n", (string)(await node.RefusedAsync(new { prompt = "a", n = 3, max_tokens = 1 })).Error["param"]!);
    }

    [Fact]
    public async Task Shutdown_WithdrawsDrainsAndEndsWhatOutlastsThePeriod()
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        await using RunningNode node = await StartAsync(index, (options, _) => options with
        {
            KeyPrefix = prefix,
            DrainPeriod = TimeSpan.FromMilliseconds(300),
            Engine = options.Engine with { ReferenceKernels = true },
        });
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        Assert.Equal(node.Host.Url, Assert.Single(await adapters.ListNodesAsync(Cancel)).Url);

        Task<IReadOnlyList<JsonNode>> stream = node.StreamAsync(new { prompt = "a", n = 32, seed = 1, max_tokens = 250, ignore_eos = true, stream = true });
        await UntilAsync(() => node.Host.Stats.Running > 0);
        Task stopping = node.Host.StopAsync(Cancel);
        await UntilAsync(() => node.Host.IsDraining);
        Assert.Empty(await adapters.ListNodesAsync(Cancel));
        using HttpResponseMessage late = await node.PostAsync("/v1/completions", new { prompt = "a" });
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.StatusCode);
        Assert.Equal("1", late.Headers.GetValues("Retry-After").Single());
        using HttpResponseMessage health = await node.Client.GetAsync("/health", Cancel);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);

        string?[] reasons = [.. (await stream).Select(e => (string?)e["choices"]![0]!["finish_reason"]).Where(r => r is not null)];
        Assert.Equal(32, reasons.Length);
        Assert.Contains("abort", reasons);
        await stopping;
    }

    [Fact]
    public async Task CachedPromptTokens_AreInTheUsage_WhenTheNodeIsToldTo()
    {
        await using RunningNode node = await StartAsync(index, (options, _) => options with { PromptTokensDetails = true });
        string prompt = new('x', 40);
        object Body(bool stream) => new { prompt = new[] { prompt, "other" }, n = 2, max_tokens = 2, ignore_eos = true, stream, stream_options = stream ? new { include_usage = true } : null };
        Assert.Equal(0, Cached(await node.CompleteAsync(Body(stream: false))));

        // Two full blocks of 16 lie before the last token of the one prompt; the other has none.
        Assert.Equal(32, Cached(await node.CompleteAsync(Body(stream: false))));
        Assert.Equal(32, Cached((await node.StreamAsync(Body(stream: true)))[^1]));

        static int Cached(JsonNode answer) => (int)answer["usage"]!["prompt_tokens_details"]!["cached_tokens"]!;
    }

    [Fact]
    public async Task EachRequest_IsOneLogLine_WithoutPromptText()
    {
        using var log = new LogLines();
        await using (RunningNode node = await StartAsync(index, log: log))
        {
            await node.CompleteAsync(new { prompt = "sesame", max_tokens = 3, ignore_eos = true, request_id = "r-1" });
            await node.RefusedAsync(new { prompt = "sesame", max_tokens = 0, request_id = "r-2" });
        }

        string line = Assert.Single(log.All, l => l.Contains("r-1", StringComparison.Ordinal));
        Assert.Contains("tiny, version base, 6 prompt and 3 completion tokens in 1 choices, 1 length", line, StringComparison.Ordinal);
        Assert.EndsWith("answered 400 BadRequestError, field max_tokens", Assert.Single(log.All, l => l.Contains("r-2", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.DoesNotContain(log.All, l => l.Contains("sesame", StringComparison.Ordinal));
    }

    [Fact]
    public async Task LogLine_OfAnAdapter_HasItsVersion_CountsReasonsAndTimes()
    {
        using var log = new LogLines();
        string prefix = $"test-{Guid.NewGuid():N}";
        await using (RunningNode node = await StartAsync(index, (options, folder) => WithBundle(options, folder) with { KeyPrefix = prefix }, log))
        {
            await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
            string version = (await adapters.GetAsync("a1", Cancel))!.Version;
            JsonNode answer = await node.CompleteAsync(new
            {
                model = "a1",
                prompt = "sesame",
                n = 2,
                seed = 1,
                max_tokens = 3,
                request_id = "r-3",
                allowed_token_ids = new[] { (int)'x' },
                stop = new[] { "xx" },
            });
            Assert.Equal("stop", (string)answer["choices"]![0]!["finish_reason"]!);
            string expected = $"^Request r-3: a1, version {version}, 6 prompt and 4 completion tokens in 2 choices, 2 stop, first event after [0-9]+ ms, total [0-9]+ ms$";
            await UntilAsync(() => log.All.Any(line => System.Text.RegularExpressions.Regex.IsMatch(line, expected)));
        }

        Assert.DoesNotContain(log.All, line => line.Contains("sesame", StringComparison.Ordinal));
        Assert.Single(log.All, line => line.Contains("r-3", StringComparison.Ordinal));
    }

    [Fact]
    public async Task BodyAboveTheLimit_Is413()
    {
        await using RunningNode node = await StartAsync(index, (options, _) => options with { Limits = new RequestLimits { MaxBodyBytes = 1000 } });
        using HttpResponseMessage response = await node.PostAsync("/v1/completions", new { prompt = new string('a', 2000) });
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal(413, (int)JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!["error"]!["code"]!);
    }

    [Fact]
    public async Task ModelDefaults_ComeFromItsGenerationConfig()
    {
        await using RunningNode node = await StartAsync(index, (options, _) =>
        {
            File.WriteAllText(Path.Combine(options.ModelDirectory, "generation_config.json"), """{"top_k": 1, "temperature": 0.7, "do_sample": false}""");
            return options;
        });
        JsonNode greedy = await node.CompleteAsync(new { prompt = "abc", max_tokens = 12, temperature = 0 });
        JsonNode byDefault = await node.CompleteAsync(new { prompt = "abc", max_tokens = 12 });
        Assert.Equal(TextOf(greedy), TextOf(byDefault));
    }

    [Fact]
    public async Task AChatWithoutALimit_StaysWithinTheModelsDefault()
    {
        await using RunningNode node = await StartAsync(index, (options, _) =>
        {
            File.WriteAllText(Path.Combine(options.ModelDirectory, "generation_config.json"), """{"max_new_tokens": 7}""");
            return options;
        });
        object[] messages = [new { role = "user", content = "abc" }];
        JsonNode answer = await node.ChatAsync(new { messages, ignore_eos = true });
        Assert.Equal(("length", 7), ((string)answer["choices"]![0]!["finish_reason"]!, (int)answer["usage"]!["completion_tokens"]!));
        answer = await node.ChatAsync(new { messages, ignore_eos = true, max_tokens = 9 });
        Assert.Equal(9, (int)answer["usage"]!["completion_tokens"]!);
    }

    public static TheoryData<string, string> BadStarts => new()
    {
        { "model", "no-model" },
        { "bundle", "no-bundle" },
        { "cluster", "but not 7" },
        { "clusters-without-bundle", "bundle" },
        { "adapters", "no-adapters" },
        { "adapter-shape", "wide" },
        { "adapter-name", "has the name of the base model" },
        { "generation-config", "generation_config.json" },
        { "chat-template", "tiny, template 'default': chat template, line 1" },
        { "options", "served model names must not be empty; lease" },
    };

    [Theory]
    [MemberData(nameof(BadStarts))]
    public async Task WhatCannotBeServed_StopsTheStart_ByName_AndAnnouncesNothing(string fault, string fragment)
    {
        string prefix = $"test-{Guid.NewGuid():N}";
        NodeStartException e = await Assert.ThrowsAsync<NodeStartException>(async () =>
            await (await StartAsync(index, (options, folder) => Break(options with { KeyPrefix = prefix }, folder, fault))).DisposeAsync());
        Assert.Contains(fragment, e.Message, StringComparison.Ordinal);
        await using AdapterIndex adapters = await AdapterIndex.ConnectAsync(index.Address, prefix, Cancel);
        Assert.Empty(await adapters.ListNodesAsync(Cancel));
        Assert.Empty(await adapters.ListAsync(Cancel));
    }

    private static NodeOptions Break(NodeOptions options, string folder, string fault)
    {
        string adapters = Path.Combine(folder, "adapters");
        switch (fault)
        {
            case "model":
                return options with { ModelDirectory = Path.Combine(folder, "no-model") };
            case "options":
                return options with { ServedModelNames = [], Lease = TimeSpan.Zero };
            case "bundle":
                return options with { BundleDirectory = Path.Combine(folder, "no-bundle") };
            case "cluster":
                return WithBundle(options, folder) with { Clusters = [0, 7] };
            case "clusters-without-bundle":
                return options with { Clusters = [0] };
            case "adapters":
                return options with { AdapterDirectory = Path.Combine(folder, "no-adapters") };
            case "adapter-shape":
                string model = TinyModel.WriteAdapter(Path.Combine(adapters, "wide"), seed: 1);
                File.WriteAllText(Path.Combine(model, "adapter_config.json"), """{"peft_type": "LORA", "r": 3, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"]}""");
                return options with { AdapterDirectory = adapters };
            case "adapter-name":
                TinyModel.WriteAdapter(Path.Combine(adapters, "tiny"), seed: 1);
                return options with { AdapterDirectory = adapters };
            case "chat-template":
                File.WriteAllText(Path.Combine(options.ModelDirectory, "chat_template.jinja"), "{% for %}");
                return options;
            default:
                File.WriteAllText(Path.Combine(options.ModelDirectory, "generation_config.json"), """{"temperature": "warm"}""");
                return options;
        }
    }

    /// <summary>Four adapters in a bundle of two clusters with bases of full rank, and a fifth only as a folder.</summary>
    internal static NodeOptions WithBundle(NodeOptions options, string folder)
    {
        string adapters = Path.Combine(folder, "adapters"), bundle = Path.Combine(folder, "bundle");
        for (int i = 0; i < 4; i++)
            TinyModel.WriteAdapter(Path.Combine(adapters, $"a{i}"), seed: 20 + i);
        Compressor.Compress(new CompressorOptions { Output = bundle, Clusters = 2, RankU = 16, RankV = 16 }, PeftAdapter.FindFolders(adapters), cancellation: Cancel);
        TinyModel.WriteAdapter(Path.Combine(adapters, "extra"), seed: 30);
        return options with { BundleDirectory = bundle, AdapterDirectory = adapters };
    }

    internal static async Task<string[]> AllTextsAsync(RunningNode node)
    {
        string[] names = ["a0", "a1", "a2", "a3", "extra"];
        JsonNode[] answers = await Task.WhenAll(names.Select(name => node.CompleteAsync(new { model = name, prompt = "abcd", max_tokens = 10, temperature = 0, ignore_eos = true })));
        return [.. answers.Select(a => TextOf(a))];
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 500 && !condition(); i++)
            await Task.Delay(10, Cancel);
        Assert.True(condition(), "the awaited state was not reached within 5 s");
    }
}
