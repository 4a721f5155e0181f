using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.Inference;

namespace Eigengate.ComputeNode.Tests.Metrics;

public sealed class MetricsTests(SharedIndex index)
{
    private const string Seconds = "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0 160.0 640.0 2560.0";
    private const string TokenSeconds = "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0";
    private const string RequestSeconds = "0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 960.0 1920.0 7680.0";

    /// <summary>1-2-5 up to the tiny model's context of 256.</summary>
    private const string Tokens = "1.0 2.0 5.0 10.0 20.0 50.0 100.0 200.0";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Histograms => new()
    {
        { "vllm:request_prompt_tokens", Tokens },
        { "vllm:request_generation_tokens", Tokens },
        { "vllm:request_max_num_generation_tokens", Tokens },
        { "vllm:request_params_max_tokens", Tokens },
        { "vllm:request_params_n", "1.0 2.0 5.0 10.0 20.0" },
        { "vllm:iteration_tokens_total", "1.0 8.0 16.0 32.0 64.0 128.0 256.0 512.0 1024.0 2048.0 4096.0 8192.0 16384.0" },
        { "vllm:time_to_first_token_seconds", Seconds },
        { "vllm:inter_token_latency_seconds", TokenSeconds },
        { "vllm:request_time_per_output_token_seconds", TokenSeconds },
        { "vllm:e2e_request_latency_seconds", RequestSeconds },
        { "vllm:request_queue_time_seconds", RequestSeconds },
        { "vllm:request_inference_time_seconds", RequestSeconds },
        { "vllm:request_prefill_time_seconds", RequestSeconds },
        { "vllm:request_decode_time_seconds", RequestSeconds },
    };

    [Fact]
    public async Task FreshNode_HasEveryFamily_WithItsTypeLabelsAndZeros()
    {
        await using RunningNode node = await RunningNode.StartAsync(index);
        Exposition metrics = await Exposition.OfAsync(node);

        foreach (var (name, bounds) in Histograms.Select(row => row.Data))
        {
            Assert.Equal("histogram", metrics.Families[name].Type);
            Assert.Equal(bounds, string.Join(' ', metrics.Families[name].Bounds));
            Assert.Equal(0, metrics[$"{name}_count"]);
        }

        string[] counters = ["vllm:num_preemptions_total", "vllm:prompt_tokens_total", "vllm:generation_tokens_total"];
        Assert.All(counters, name => Assert.Equal(("counter", 0), (metrics.Families[name].Type, metrics[name])));
        Assert.Equal(["abort", "error", "length", "stop"], LabelsOf(metrics, "vllm:request_success_total", "finished_reason"));
        string[] gauges = ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"];
        Assert.All(gauges, name => Assert.Equal(("gauge", 0), (metrics.Families[name].Type, metrics[name])));
        Assert.Equal(["capacity", "deferred"], LabelsOf(metrics, "vllm:num_requests_waiting_by_reason", "reason"));
        Assert.Equal(["awake", "discard_all", "weights_offloaded"], LabelsOf(metrics, "vllm:engine_sleep_state", "sleep_state"));
        Assert.Equal(1, metrics["vllm:engine_sleep_state", ("sleep_state", "awake")]);

        // 256 blocks of 16 tokens hold 16 contexts of 256.
        Assert.Equal(1, metrics["vllm:cache_config_info",
            ("block_size", "16"), ("num_gpu_blocks", "256"), ("kv_cache_size_tokens", "4096"), ("kv_cache_max_concurrency", "16.00")]);
        foreach (var (name, family) in metrics.Families.Where(family => family.Key != "vllm:lora_requests_info"))
            Assert.All(family.Samples, sample => Assert.Equal(("tiny", "0", name), (sample.Labels["model_name"], sample.Labels["engine"], name)));
    }

    [Theory]
    [InlineData("/metrics/")]
    [InlineData("/metrics/any/path")]
    public async Task AnySuffix_IsAnsweredWithoutRedirect(string path)
    {
        await using RunningNode node = await RunningNode.StartAsync(index);
        Assert.Contains("vllm:num_requests_running", await node.Client.GetStringAsync(path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AfterKnownRequests_CountsAreExact()
    {
        await using RunningNode node = await StartWithAdaptersAsync();
        // 6 + 10 tokens; 2 × (3 + 5); 1 + 1, which scores and generates one.
        await node.CompleteAsync(new { prompt = "sesame", max_tokens = 10, ignore_eos = true });
        await node.CompleteAsync(new { model = "first", prompt = "abc", max_tokens = 5, n = 2, seed = 1, ignore_eos = true });
        JsonNode stopped = await node.CompleteAsync(new { prompt = "a", max_tokens = 10, allowed_token_ids = new[] { (int)'x' }, stop_token_ids = new[] { (int)'x' } });
        Assert.Equal("stop", (string)stopped["choices"]![0]!["finish_reason"]!);
        // A refused request leaves no trace.
        await node.RefusedAsync(new { prompt = "a", max_tokens = 0 });

        Exposition metrics = await SettledAsync(node, requests: 3);
        Assert.Equal(6 + (2 * 3) + 1, metrics["vllm:prompt_tokens_total"]);
        Assert.Equal(10 + (2 * 5) + 1, metrics["vllm:generation_tokens_total"]);
        Assert.Equal((3, 1, 0, 0), (Ended(metrics, "length"), Ended(metrics, "stop"), Ended(metrics, "abort"), Ended(metrics, "error")));
        Assert.Equal(0, metrics["vllm:num_preemptions_total"]);

        AssertHistogram(metrics, "vllm:request_prompt_tokens", count: 4, sum: 6 + 3 + 3 + 1);
        AssertHistogram(metrics, "vllm:request_generation_tokens", count: 4, sum: 10 + 5 + 5 + 1);
        AssertHistogram(metrics, "vllm:request_params_max_tokens", count: 4, sum: 10 + 5 + 5 + 10);
        AssertHistogram(metrics, "vllm:request_max_num_generation_tokens", count: 3, sum: 10 + 5 + 1);
        AssertHistogram(metrics, "vllm:request_params_n", count: 3, sum: 1 + 2 + 1);
        // Each prompt token and each output token but a sequence's last is computed once, whatever the steps.
        Assert.Equal(13 + 21 - 4, metrics["vllm:iteration_tokens_total_sum"]);
        Assert.Equal(2, metrics["vllm:request_prompt_tokens_bucket", ("le", "5.0")] - metrics["vllm:request_prompt_tokens_bucket", ("le", "2.0")]);

        Assert.Equal(4, metrics["vllm:time_to_first_token_seconds_count"]);
        Assert.Equal(9 + (2 * 4), metrics["vllm:inter_token_latency_seconds_count"]);
        Assert.Equal(3, metrics["vllm:request_time_per_output_token_seconds_count"]);
        Assert.All(["e2e_request_latency", "request_queue_time", "request_inference_time", "request_prefill_time", "request_decode_time"],
            name => Assert.Equal(4, metrics[$"vllm:{name}_seconds_count"]));
    }

    [Fact]
    public async Task TimesOfTheParts_AddUpToTheWhole()
    {
        await using RunningNode node = await RunningNode.StartAsync(index);
        await node.CompleteAsync(new { prompt = "sesame", max_tokens = 40, n = 3, seed = 1, ignore_eos = true });
        Exposition metrics = await SettledAsync(node, requests: 1);
        double queue = Sum("request_queue_time"), prefill = Sum("request_prefill_time"), decode = Sum("request_decode_time");
        Assert.All((double[])[queue, prefill, decode], part => Assert.True(part > 0));
        Assert.Equal(Sum("time_to_first_token"), queue + prefill, 9);
        Assert.Equal(Sum("inter_token_latency"), decode, 9);
        Assert.Equal(decode / 39, Sum("request_time_per_output_token"), 9);
        Assert.Equal(Sum("e2e_request_latency"), queue + Sum("request_inference_time"), 9);
        Assert.True(Sum("request_inference_time") >= prefill + decode);

        double Sum(string name) => metrics[$"vllm:{name}_seconds_sum"];
    }

    [Fact]
    public async Task ClientsThatLeave_AreCountedAsAborts_AndGaugesReturnToZero()
    {
        await using RunningNode node = await RunningNode.StartAsync(index, (options, _) =>
            options with { Engine = options.Engine with { MaxSequences = 2, ReferenceKernels = true } });
        using var leave = new CancellationTokenSource();
        Task request = LongRequestAsync(node, "tiny", n: 5, leave.Token);
        Exposition busy = await UntilAsync(node, metrics => metrics["vllm:num_requests_running"] == 2);
        Assert.Equal(3, busy["vllm:num_requests_waiting"]);
        Assert.Equal((3, 0), (Waiting(busy, "capacity"), Waiting(busy, "deferred")));
        Assert.InRange(busy["vllm:kv_cache_usage_perc"], 2.0 / 256, 1);

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        Exposition idle = await SettledAsync(node, requests: 1);
        Assert.Equal(5, Ended(idle, "abort"));
        Assert.Equal((0, 0, 0), (idle["vllm:num_requests_running"], idle["vllm:num_requests_waiting"], idle["vllm:kv_cache_usage_perc"]));
        // Those that never ran have no queue time that ended.
        Assert.Equal(5, idle["vllm:e2e_request_latency_seconds_count"]);
        Assert.Equal(2, idle["vllm:request_queue_time_seconds_count"]);
    }

    [Fact]
    public async Task AdaptersInUse_AreListed_RunningAndWaitingApart()
    {
        await using RunningNode node = await StartWithAdaptersAsync(engine => engine with { MaxSequences = 1, ReferenceKernels = true });
        Assert.Equal(("4", "", ""), AdaptersOf(await Exposition.OfAsync(node)));
        using var leave = new CancellationTokenSource();
        Task first = LongRequestAsync(node, "first", n: 1, leave.Token);
        await UntilAsync(node, metrics => AdaptersOf(metrics) == ("4", "first", ""));
        Task second = LongRequestAsync(node, "second", n: 1, leave.Token);
        Exposition busy = await UntilAsync(node, metrics => AdaptersOf(metrics) == ("4", "first", "second"));

        Exposition.Sample series = Assert.Single(busy.Families["vllm:lora_requests_info"].Samples);
        Assert.Equal(["max_lora", "running_lora_adapters", "waiting_lora_adapters"], series.Labels.Keys.Order());
        Assert.InRange(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - series.Value, -1, 60);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(first, second));
        await UntilAsync(node, metrics => AdaptersOf(metrics) == ("4", "", ""));
    }

    [Fact]
    public async Task RequestWithoutAFreeAdapterSlot_WaitsAsDeferred()
    {
        await using RunningNode node = await StartWithAdaptersAsync(engine => engine with { AdapterSlots = 1, ReferenceKernels = true });
        using var leave = new CancellationTokenSource();
        Task first = LongRequestAsync(node, "first", n: 1, leave.Token);
        await UntilAsync(node, metrics => AdaptersOf(metrics).Running == "first");
        Task second = LongRequestAsync(node, "second", n: 3, leave.Token);
        Exposition busy = await UntilAsync(node, metrics => Waiting(metrics, "deferred") > 0);
        Assert.Equal((3, 0, 3), (Waiting(busy, "deferred"), Waiting(busy, "capacity"), busy["vllm:num_requests_waiting"]));
        Assert.Equal(("1", "first", "second"), AdaptersOf(busy));
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(first, second));
        await UntilAsync(node, metrics => metrics["vllm:num_requests_waiting"] + metrics["vllm:num_requests_running"] == 0);
    }

    private static void AssertHistogram(Exposition metrics, string name, int count, int sum) =>
        Assert.Equal((count, sum), (metrics[$"{name}_count"], metrics[$"{name}_sum"]));

    private static double Ended(Exposition metrics, string reason) => metrics["vllm:request_success_total", ("finished_reason", reason)];

    private static double Waiting(Exposition metrics, string reason) => metrics["vllm:num_requests_waiting_by_reason", ("reason", reason)];

    private static IEnumerable<string> LabelsOf(Exposition metrics, string family, string label) => metrics.Families[family].Samples.Select(s => s.Labels[label]).Order();

    private static (string Slots, string Running, string Waiting) AdaptersOf(Exposition metrics)
    {
        IReadOnlyDictionary<string, string> labels = Assert.Single(metrics.Families["vllm:lora_requests_info"].Samples).Labels;
        return (labels["max_lora"], labels["running_lora_adapters"], labels["waiting_lora_adapters"]);
    }

    private static async Task LongRequestAsync(RunningNode node, string model, int n, CancellationToken leave)
    {
        using HttpResponseMessage response = await node.Client.PostAsJsonAsync(
            "/v1/completions", new { model, prompt = "a", n, seed = 1, max_tokens = 250, ignore_eos = true }, leave);
    }

    /// <summary>The metrics once the node is done with all its requests, which is shortly after they were answered.</summary>
    private static Task<Exposition> SettledAsync(RunningNode node, int requests) => UntilAsync(node, metrics =>
        metrics["vllm:num_requests_running"] + metrics["vllm:num_requests_waiting"] == 0 && metrics["vllm:request_params_n_count"] == requests);

    private static async Task<Exposition> UntilAsync(RunningNode node, Func<Exposition, bool> condition)
    {
        for (int i = 0; i < 500; i++)
        {
            Exposition metrics = await Exposition.OfAsync(node);
            if (condition(metrics))
                return metrics;
            await Task.Delay(10, Cancel);
        }

        Assert.Fail("the awaited metrics were not there within 5 s");
        return null!;
    }

    private Task<RunningNode> StartWithAdaptersAsync(Func<EngineOptions, EngineOptions>? change = null) => RunningNode.StartAsync(index, (options, folder) =>
    {
        string adapters = Path.Combine(folder, "adapters");
        TinyModel.WriteAdapter(Path.Combine(adapters, "first"), seed: 11);
        TinyModel.WriteAdapter(Path.Combine(adapters, "second"), seed: 12);
        return options with { AdapterDirectory = adapters, Engine = change?.Invoke(options.Engine) ?? options.Engine };
    });
}
