namespace Eigengate.Integration.Tests;

/// <summary>Clients that leave at any stage, seen through the gateway and on the node's metrics: nothing of theirs stays.</summary>
public sealed class LeavingClientTests(ServedLongContext served) : IClassFixture<ServedLongContext>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Adapter => served.Adapters[0];

    [Fact]
    public async Task Client_that_leaves_a_stream_frees_blocks_and_adapter_slot()
    {
        double aborts = await AbortsAsync();
        using var leave = new CancellationTokenSource();
        using (HttpResponseMessage stream = await ServedLongContext.CompleteAsync(served.First, Long(Adapter), leave.Token))
        {
            using var lines = new StreamReader(await stream.Content.ReadAsStreamAsync(Cancel));
            Assert.StartsWith("data: {", await lines.ReadLineAsync(Cancel), StringComparison.Ordinal);
            Assert.True(await served.MetricAsync("vllm:kv_cache_usage_perc") > 0);
        }

        await served.IdleAsync();
        Assert.Equal(aborts + 1, await AbortsAsync());
        await AssertSlotIsFreeAsync();
    }

    [Fact]
    public async Task Client_that_leaves_while_its_prompt_is_computed_frees_blocks_and_adapter_slot()
    {
        double aborts = await AbortsAsync(), generated = await served.MetricAsync("vllm:generation_tokens_total");
        using var leave = new CancellationTokenSource();
        int[] prompt = [.. Enumerable.Range(0, ServedLongContext.Context - 8).Select(i => 3 + (i % 200))];
        Task<HttpResponseMessage> request = ServedLongContext.CompleteAsync(served.First, new { model = Adapter, prompt, max_tokens = 4, ignore_eos = true }, leave.Token);
        await served.UntilAsync("in its prompt", value => value("vllm:num_requests_running", "") == 1 && value("vllm:kv_cache_usage_perc", "") > 0);

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await served.IdleAsync();
        Assert.Equal(aborts + 1, await AbortsAsync());
        Assert.Equal(generated, await served.MetricAsync("vllm:generation_tokens_total"));
        await AssertSlotIsFreeAsync();
    }

    [Theory]
    [InlineData("capacity")]
    [InlineData("deferred")]
    public async Task Client_that_leaves_the_queue_is_forgotten_and_the_running_one_goes_on(string reason)
    {
        double aborts = await AbortsAsync();
        using HttpResponseMessage running = await ServedLongContext.CompleteAsync(served.First, Long(Adapter), Cancel);
        using var leave = new CancellationTokenSource();
        // For the same adapter the engine has no room, for another one the device has none.
        Task<HttpResponseMessage> waiting = ServedLongContext.CompleteAsync(served.Second, Long(reason == "capacity" ? Adapter : served.Adapters[1]), leave.Token);
        await served.UntilAsync($"waiting for {reason}", value => value("vllm:num_requests_waiting_by_reason", $"reason=\"{reason}\"") == 1);

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await served.UntilAsync("one alone", value => value("vllm:num_requests_waiting", "") == 0);
        Assert.Equal(1, await served.MetricAsync("vllm:num_requests_running"));

        running.Dispose();
        await served.IdleAsync();
        Assert.InRange(await AbortsAsync(), aborts + 1, aborts + 2);
        await AssertSlotIsFreeAsync();
    }

    private static object Long(string model) => new { model, prompt = "planet ->", max_tokens = ServedLongContext.Context - 64, ignore_eos = true, stream = true };

    private Task<double> AbortsAsync() => served.MetricAsync("vllm:request_success_total", "finished_reason=\"abort\"");

    /// <summary>Another adapter needs the only one.</summary>
    private async Task AssertSlotIsFreeAsync()
    {
        using HttpResponseMessage answer = await ServedLongContext.CompleteAsync(
            served.Second, new { model = served.Adapters[1], prompt = "planet ->", max_tokens = 2, ignore_eos = true }, Cancel);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Cancel));
    }
}
