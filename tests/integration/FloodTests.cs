using System.Net;

namespace Eigengate.Integration.Tests;

/// <summary>One caller floods gateway and node; another's requests pass it.</summary>
public sealed class FloodTests(ServedLongContext served) : IClassFixture<ServedLongContext>
{
    private const int Requests = 80, Choices = 8, Places = 64;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_flood_of_one_caller_holds_up_another_for_a_few_admissions_only()
    {
        using var leave = new CancellationTokenSource();
        var flood = new { model = served.Adapters[0], prompt = "planet ->", n = Choices, seed = 1, max_tokens = 300, ignore_eos = true };
        Task<HttpResponseMessage>[] requests = [.. Enumerable.Range(0, Requests).Select(_ => ServedLongContext.CompleteAsync(served.First, flood, leave.Token))];
        await served.UntilAsync("flooded", value => value("vllm:num_requests_waiting", "") > Places / 2 * Choices);

        // Most of the gateway's places are the flood's, and what came later was turned away; some are left to others.
        await served.UntilAsync("turned away", _ => requests.Count(r => r.IsCompletedSuccessfully) >= Requests - Places);
        Assert.All(requests.Where(r => r.IsCompletedSuccessfully), r => Assert.Equal(HttpStatusCode.TooManyRequests, r.Result.StatusCode));

        double before = await EndedAsync();
        for (int i = 0; i < 5; i++)
        {
            using HttpResponseMessage single = await ServedLongContext.CompleteAsync(
                served.Second, new { model = served.Adapters[0], prompt = "planet ->", max_tokens = 2, ignore_eos = true }, Cancel);
            Assert.Equal(HttpStatusCode.OK, single.StatusCode);
        }

        // In order of arrival, each would have waited for hundreds of the flood's sequences.
        Assert.InRange(await served.MetricAsync("vllm:num_requests_waiting"), Places / 4 * Choices, double.MaxValue);
        Assert.InRange(await EndedAsync() - before, 5, 100);

        await leave.CancelAsync();
        foreach (Task<HttpResponseMessage> request in requests.Where(r => !r.IsCompletedSuccessfully))
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await served.IdleAsync();
    }

    /// <summary>Sequences of anyone that ended.</summary>
    private Task<double> EndedAsync() => served.MetricAsync("vllm:request_success_total");
}
