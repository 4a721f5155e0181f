
namespace Eigengate.Gateway.Tests.Routing;

public sealed class StreamingTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_arrive_one_by_one_while_the_node_still_holds_the_next_back()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        using var step = new SemaphoreSlim(0);
        await deployment.AddNodeAsync("n0", [], async context =>
        {
            for (var i = 0; i < 5; i++)
            {
                await step.WaitAsync(context.RequestAborted);
                await UpstreamNode.WriteEventAsync(context, $"{i}");
            }

            await UpstreamNode.WriteEventAsync(context, "[DONE]");
        });

        step.Release();
        using var response = await SendAsync(deployment, Cancel);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal($"data: {i}", await reader.ReadLineAsync(Cancel));
            Assert.Equal("", await reader.ReadLineAsync(Cancel));
            step.Release();
        }

        Assert.Equal("data: [DONE]\n\n", await reader.ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task Client_that_goes_away_cancels_the_work_on_the_node()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var cancelled = new TaskCompletionSource();
        await deployment.AddNodeAsync("n0", [], async context =>
        {
            await UpstreamNode.WriteEventAsync(context, "first");
            context.RequestAborted.Register(cancelled.SetResult);
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });

        var response = await SendAsync(deployment, Cancel);
        var stream = await response.Content.ReadAsStreamAsync(Cancel);
        await stream.ReadExactlyAsync(new byte["data: first\n\n".Length], Cancel);
        response.Dispose();
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(5), Cancel);
    }

    [Fact]
    public async Task Client_that_goes_away_before_the_first_byte_cancels_the_work_on_the_node()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var cancelled = new TaskCompletionSource();
        var node = await deployment.AddNodeAsync("n0", [], async context =>
        {
            context.RequestAborted.Register(cancelled.SetResult);
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });

        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var sending = SendAsync(deployment, leaving.Token);
        await Deployment.UntilAsync(() => !node.Requests.IsEmpty);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(5), Cancel);
    }

    [Fact]
    public async Task Node_that_dies_midway_ends_the_stream_with_an_error_event()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var arrived = new TaskCompletionSource();
        await deployment.AddNodeAsync("n0", [], async context =>
        {
            await UpstreamNode.WriteEventAsync(context, "first");
            await arrived.Task;
            context.Abort();
        });
        using var response = await SendAsync(deployment, Cancel);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        Assert.Equal("data: first", await reader.ReadLineAsync(Cancel));
        arrived.SetResult();
        var events = (await reader.ReadToEndAsync(Cancel)).TrimStart('\n').Split("\n\n");
        Assert.Equal(["data: [DONE]", ""], events[1..]);
        var error = System.Text.Json.JsonDocument.Parse(events[0]["data: ".Length..]).RootElement.GetProperty("error");
        Assert.Equal("InternalServerError", error.GetProperty("type").GetString());
        Assert.Equal(500, error.GetProperty("code").GetInt32());
    }

    [Fact]
    public async Task Node_that_falls_silent_midway_ends_the_stream_with_an_error_event()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ActivityTimeout = TimeSpan.FromMilliseconds(300) });
        var cancelled = new TaskCompletionSource();
        await deployment.AddNodeAsync("n0", [], async context =>
        {
            context.RequestAborted.Register(cancelled.SetResult);
            await UpstreamNode.WriteEventAsync(context, "first");
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        using var response = await SendAsync(deployment, Cancel);
        var body = await response.Content.ReadAsStringAsync(Cancel);
        Assert.StartsWith("data: first\n\ndata: {\"error\":", body, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(5), Cancel);
    }

    [Fact]
    public async Task Stream_longer_than_the_activity_timeout_is_not_cut_while_events_come()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ActivityTimeout = TimeSpan.FromMilliseconds(400) });
        await deployment.AddNodeAsync("n0", [], async context =>
        {
            for (var i = 0; i < 10; i++)
            {
                await UpstreamNode.WriteEventAsync(context, $"{i}");
                await Task.Delay(100, context.RequestAborted);
            }
        });
        using var response = await SendAsync(deployment, Cancel);
        Assert.EndsWith("data: 9\n\n", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    private static Task<HttpResponseMessage> SendAsync(Deployment deployment, CancellationToken cancel) => deployment.Client.SendAsync(
        new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent("""{"stream": true}""", null, "application/json") },
        HttpCompletionOption.ResponseHeadersRead,
        cancel);
}
