using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

namespace Eigengate.Bench.Serving;

internal sealed class CompletionLoad(Uri server, int tokensPerRequest) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 256 }) { BaseAddress = server };

    /// <summary>
    /// Keeps <paramref name="concurrency"/> requests in flight until all are done; generated tokens per second. Requests take
    /// the models in turn, and each generates exactly the same number of tokens, whatever the model says.
    /// </summary>
    public async Task<double> TokensPerSecondAsync(IReadOnlyList<string> models, int concurrency, int requests, CancellationToken cancel)
    {
        int next = -1;
        long tokens = 0;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(async _ =>
        {
            for (int i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
                Interlocked.Add(ref tokens, await CompleteAsync(models[i % models.Count], tokensPerRequest, cancel));
        }));
        return tokens / clock.Elapsed.TotalSeconds;
    }

    /// <summary>Milliseconds of one request that generates one token.</summary>
    public async Task<double> LatencyAsync(string model, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        await CompleteAsync(model, 1, cancel);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    public void Dispose() => _http.Dispose();

    private async Task<int> CompleteAsync(string model, int maxTokens, CancellationToken cancel)
    {
        var body = new { model, prompt = "planet ->", max_tokens = maxTokens, temperature = 0, ignore_eos = true };
        using HttpResponseMessage response = await _http.PostAsJsonAsync("/v1/completions", body, cancel);
        JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(cancel);
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException($"{(int)response.StatusCode} for model {model}: {answer}");
        return answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32();
    }
}
