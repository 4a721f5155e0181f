using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Eigengate.ComputeNode.Tests.Support;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Tests.Endpoints;

/// <summary>One sequence runs at a time, and a flood of others waits.</summary>
public sealed class CallerTests(SharedIndex index)
{
    private const int Flood = 700;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SingleRequest_OfAnotherCaller_DoesNotWaitForAFlood()
    {
        await using RunningNode node = await StartAsync(maxWaiting: 2048);
        using var leave = new CancellationTokenSource();
        Task flood = FloodAsync(node, "flood", leave.Token);
        await UntilAsync(() => node.Host.Stats.Waiting > Flood - 50);

        // Of the same caller it would be the last; of another it is among the next few.
        using HttpResponseMessage single = await PostAsync(node, "single", new { prompt = "a", max_tokens = 1 }, Cancel);
        Assert.True(single.IsSuccessStatusCode);
        Assert.InRange(node.Host.Stats.Waiting, Flood / 2, Flood);
        Assert.False(flood.IsCompleted);

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flood);
        Assert.Equal((0, 0), ((await node.IdleAsync()).Running, node.Host.Stats.Waiting));
    }

    [Fact]
    public async Task Flood_IsRefusedWhileOtherCallersStillGetIn()
    {
        await using RunningNode node = await StartAsync(maxWaiting: 800);
        using var leave = new CancellationTokenSource();
        Task flood = FloodAsync(node, "flood", leave.Token);
        await UntilAsync(() => node.Host.Stats.Waiting > Flood - 50);

        using HttpResponseMessage refused = await PostAsync(node, "flood", new { prompt = "a", n = 100, max_tokens = 200 }, Cancel);
        Assert.Equal(429, (int)refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        JsonNode error = (await refused.Content.ReadFromJsonAsync<JsonNode>(Cancel))!["error"]!;
        Assert.Equal("RateLimitError", (string)error["type"]!);
        using HttpResponseMessage single = await PostAsync(node, "single", new { prompt = "a", max_tokens = 1 }, Cancel);
        Assert.True(single.IsSuccessStatusCode);

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flood);
        await node.IdleAsync();
    }

    private Task<RunningNode> StartAsync(int maxWaiting) => RunningNode.StartAsync(
        index, (options, _) => options with { Engine = options.Engine with { MaxSequences = 1, MaxWaiting = maxWaiting } });

    /// <summary>Seconds of work for this node in one request.</summary>
    private static async Task FloodAsync(RunningNode node, string caller, CancellationToken leave)
    {
        string[] prompts = [.. Enumerable.Repeat("flood", Flood / 100)];
        using HttpResponseMessage _ = await PostAsync(node, caller, new { prompt = prompts, n = 100, max_tokens = 250, ignore_eos = true }, leave);
    }

    private static async Task<HttpResponseMessage> PostAsync(RunningNode node, string caller, object body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        request.Headers.Add(RoutingHeaders.Caller, caller);
        return await node.Client.SendAsync(request, cancel);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (int i = 0; !condition(); i++)
        {
            Assert.True(i < 1000, "the node did not get there in 10 s");
            await Task.Delay(10, Cancel);
        }
    }
}
